"""Texts into micro-batches by a token budget, sorted by length, so that little is padded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TOKENS = {"cpu": 128}
"""Tokens that one unit of `batch_size` stands for: on a CPU small packs, which its caches hold, are the fastest."""

TOKENS_ELSEWHERE = 512


def budget_of(batch_size: int, device: str) -> int:
    """Padded tokens of one micro-batch; of a `batch_size` of 1, one text at a time.

    Args:
        batch_size: >= 1.
        device: Torch device or its type.

    >>> budget_of(32, "cpu"), budget_of(32, "cuda:0"), budget_of(1, "cuda")
    (4096, 16384, 1)
    """
    return 1 if batch_size == 1 else batch_size * TOKENS.get(device.split(":")[0], TOKENS_ELSEWHERE)


def longest_first(lengths: Sequence[int] | NDArray[np.integer]) -> NDArray[np.intp]:
    """Positions of the texts by falling length; equal ones in their order.

    The longest come first so that a batch that memory does not hold shows at once, not after hours.
    """
    return np.argsort(-np.asarray(lengths, np.int64), kind="stable")


def within(longest: int, budget: int) -> int:
    """Texts of at most this many tokens that a budget holds, at least one."""
    return max(1, budget // max(1, longest))
