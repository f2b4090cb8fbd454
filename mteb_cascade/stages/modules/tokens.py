"""Texts as token ids, the same in training and in scoring."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

UNKNOWN = 1
"""Token id of "[UNK]", which also stands for a text or field without any token."""


def token_ids(tokenizer: Tokenizer, texts: Sequence[str]) -> list[NDArray[np.int64]]:
    """Token ids of each text; the unknown token where there is none."""
    encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    return [np.array(one.ids or [UNKNOWN], np.int64) for one in encoded]
