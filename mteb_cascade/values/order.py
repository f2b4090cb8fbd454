"""What a step sorts by, as one number a candidate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mteb_cascade.values.fusion import fused
from mteb_cascade.values.run import PAD, Run
from mteb_cascade.values.sorting import sort_keys


def order_keys(run: Run, scores: ArrayLike, blend: float = 0.0) -> NDArray[np.int64]:
    """A key for each candidate: among the first d of a row, the greater stands before, whatever d is.

    Score descending, then id descending; below them what could not be scored, in its old order; then pads.

    Args:
        run: The ranking that the step received, [Q, K].
        scores: [Q, D], aligned with the first D <= K columns of `run`; -inf where a candidate could not be scored.
        blend: b in score + b * score before.

    Returns:
        int64 [Q, D], each number once a row.

    Raises:
        ValueError: Shapes disagree, or a score is NaN (the pair is named).
    """
    total = fused(run, scores, blend)
    docs = run.docs[:, : total.shape[1]]
    old_order = -np.arange(total.shape[1], dtype=np.int64)
    tie = np.where(np.isneginf(total) | (docs == PAD), old_order, run.corpus.tie[docs] if len(run.corpus) else 0)
    return sort_keys(total, tie)
