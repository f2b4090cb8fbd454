"""Cost against quality: the points that no other point beats in both."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def front(costs: ArrayLike, qualities: ArrayLike) -> list[int]:
    """The non-dominated points: no other is as cheap and better, or cheaper and as good.

    Args:
        costs: [N], less is better.
        qualities: [N], more is better.

    Returns:
        Rows of the points, cheapest first, so qualities rise strictly; of points that are equal in both, the first.

    Raises:
        ValueError: Not one cost a quality, or one is NaN.

    >>> front([10, 20, 30, 40], [0.1, 0.3, 0.2, 0.3])
    [0, 1]
    """
    cost, quality = np.asarray(costs, np.float64), np.asarray(qualities, np.float64)
    if cost.ndim != 1 or cost.shape != quality.shape:
        raise ValueError(f"expected one cost a quality, got shapes {cost.shape} and {quality.shape}")
    if np.isnan(cost).any() or np.isnan(quality).any():
        raise ValueError("a cost or a quality is NaN")
    order = np.lexsort((np.arange(len(cost)), -quality, cost))
    best_before = np.concatenate([[-np.inf], np.maximum.accumulate(quality[order])[:-1]])[: len(order)]
    return [int(row) for row in order[quality[order] > best_before]]
