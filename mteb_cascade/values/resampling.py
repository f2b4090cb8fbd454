"""Bootstrap means over queries, or over clusters of them, and what must hold of many such means at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

BLOCK = 2**21
"""Numbers (resample x cluster) held at a time."""


def totals(values: ArrayLike, clusters: Sequence[str] | None) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is resampled: sum of each cluster's values, [C, D], and its number of queries, [C].

    Args:
        values: [Q] or [Q, D]; NaN, where a query has no positive, counts as 0.
        clusters: Q names; None: each query is its own.

    Raises:
        ValueError: There is no query, or not one cluster a query.
    """
    table = np.nan_to_num(np.asarray(values, np.float64))
    if not len(table):
        raise ValueError("there is no query to compare")
    table = table.reshape(len(table), -1)
    if clusters is None:
        return table, np.ones(len(table))
    if len(clusters) != len(table):
        raise ValueError(f"{len(table)} queries need as many cluster names; got {len(clusters)}")
    _, cluster = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.zeros((int(cluster.max()) + 1, table.shape[1]))
    np.add.at(sums, cluster, table)
    return sums, np.bincount(cluster).astype(np.float64)


def resampled_means(
    sums: NDArray[np.float64], sizes: NDArray[np.float64], resamples: int, seed: int
) -> NDArray[np.float64]:
    """float64 [B, D], means over queries when as many clusters are drawn again, with replacement."""
    rng = np.random.default_rng(seed)
    clusters = len(sums)
    means = np.empty((resamples, sums.shape[1]))
    parts = list(blocks(resamples, clusters))
    for start, stop in parts:
        times = drawn_at_once(clusters, resamples, seed) if len(parts) == 1 else drawn(rng, stop - start, clusters)
        means[start:stop] = (times @ sums) / (times @ sizes)[:, None]
    return means


def drawn(rng: np.random.Generator, resamples: int, clusters: int) -> NDArray[np.float64]:
    """float64 [resamples, clusters], how often each cluster is drawn."""
    found = rng.integers(0, clusters, (resamples, clusters))
    found += np.arange(resamples)[:, None] * clusters
    return np.bincount(found.ravel(), minlength=found.size).reshape(found.shape).astype(np.float64)


@lru_cache(maxsize=1)
def drawn_at_once(clusters: int, resamples: int, seed: int) -> NDArray[np.float64]:
    """As `drawn`; a sweep asks for the same for every measure."""
    return drawn(np.random.default_rng(seed), resamples, clusters)


def half_widths(
    deviations: NDArray[np.float64], level: float, scale: float, *, two_sided: bool = False
) -> NDArray[np.float64]:
    """How far several means may lie off, all together.

    Single-step max-t (Westfall and Young 1993; Romano and Wolf 2005): c * se_d, where se_d is the deviation of the
    bootstrap means and c the `level` quantile of max over d of deviation_d / se_d.

    Args:
        deviations: [B, D], resampled means less the mean for lower bounds, mean less resampled means for upper ones.
        level: Probability that none lies farther off.
        scale: Size of the numbers that were added up. A deviation that rounding alone explains counts as none.
        two_sided: Whether a mean may lie off on both sides.

    Returns:
        float64 [D], 0 where the mean is the same in every resample.
    """
    error: NDArray[np.float64] = deviations.std(axis=0)
    # Rounding gives a constant column a deviation of some 1e-17; it must not become a divisor.
    varies = error > 1e-12 * scale
    if not varies.any():
        return np.zeros_like(error)
    standardised = deviations[:, varies] / error[varies]
    largest = (np.abs(standardised) if two_sided else standardised).max(axis=1)
    return np.where(varies, np.quantile(largest, level) * error, 0.0)


def blocks(count: int, width: int) -> Iterator[tuple[int, int]]:
    """Start and stop of as many rows of this width as are held at a time."""
    size = max(1, BLOCK // max(1, width))
    for start in range(0, count, size):
        yield start, min(start + size, count)
