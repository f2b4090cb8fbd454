"""How many tokens texts have, for a stage that reads them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.stages.base import Stage

WORDS = "words"


def tokenizer_of(stage: Stage) -> Any:
    """The tokenizer of the stage's network, which is loaded; None where it has none."""
    return getattr(getattr(stage, "network", None), "tokenizer", None)


def counted_by(stage: Stage) -> str:
    """What `token_counts` counts: "tokens of NAME", or "words" where the stage has no tokenizer."""
    return WORDS if tokenizer_of(stage) is None else f"tokens of {stage.label}"


def token_counts(stage: Stage, texts: Sequence[str]) -> NDArray[np.int64]:
    """Tokens of each text by the stage's tokenizer, special ones left out, nothing cut; words where it has none.

    >>> from mteb_cascade.stages.bm25 import BM25
    >>> token_counts(BM25(), ["red fox", ""]).tolist()
    [2, 0]

    Returns:
        int64 [len(texts)].
    """
    tokenizer = tokenizer_of(stage)
    if tokenizer is None or not len(texts):
        lists: Any = [text.split() for text in texts]
    elif hasattr(tokenizer, "encode_batch_fast"):
        lists = [one.ids for one in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)]
    else:
        lists = tokenizer(list(texts), add_special_tokens=False, truncation=False, verbose=False)["input_ids"]
    return np.array([len(one) for one in lists], np.int64)
