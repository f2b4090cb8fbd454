"""Bands around a curve that hold at every depth together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mteb_cascade.values.resampling import half_widths, resampled_means, totals

RESAMPLES = 2_000


def bands(
    values: ArrayLike,
    clusters: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two-sided bounds on the means of all columns, together (max-t, see `half_widths`).

    They are not cut at the ends of a measure's range, and have no width where all queries, or the only one, agree.

    Args:
        values: [Q, D], a measure of each query at each depth; NaN counts as 0.
        clusters: Q names; these are resampled. None: the queries are.
        level: Probability that the true curve lies between the two at every depth.
        resamples: B.
        seed: Same seed, same bands.

    Returns:
        Lower and upper bounds, float64 [D] each.

    Raises:
        ValueError: There is no query, or not one cluster a query.
    """
    sums, sizes = totals(values, clusters)
    mean: NDArray[np.float64] = sums.sum(axis=0) / sizes.sum()
    deviations = resampled_means(sums, sizes, resamples, seed) - mean
    width = half_widths(deviations, level, float(np.abs(sums).max(initial=0.0)), two_sided=True)
    return mean - width, mean + width
