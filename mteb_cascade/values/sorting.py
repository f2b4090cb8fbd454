"""Scores and ties as one whole number each: sorting those takes a fraction of the time of sorting by several keys."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LAST = np.iinfo(np.int64).min
"""Below every key."""


def sort_keys(scores: NDArray[np.float32], tie: NDArray[np.integer]) -> NDArray[np.int64]:
    """A key for each cell: the greater, the higher the score or, of equal scores, the tie.

    Args:
        scores: float32 of any shape, no NaN; -0.0 equals 0.0.
        tie: Whole numbers of that shape, within int32.

    Returns:
        int64 of that shape, above `LAST`.

    >>> sort_keys(np.float32([1, -0.0, 0, -np.inf]), np.array([0, 7, -3, 5])).argsort().tolist()
    [3, 2, 1, 0]
    """
    # The bits of floats of one sign are ordered as they are; flipping those of the negative ones orders them all.
    # Adding 0.0 turns -0.0 into 0.0: the two are one score.
    bits = (scores + np.float32(0.0)).view(np.int32)
    keys = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits).astype(np.int64)
    keys <<= 32
    keys += tie
    return keys


def best_first(keys: NDArray[np.int64]) -> NDArray[np.intp]:
    """Columns [Q, K] of each row by falling key; equal keys in any order."""
    return np.asarray(np.argsort(~keys, axis=-1), np.intp)
