"""Which of Elastic's shapes a depth curve has: rises and stays, rises then falls, falls; or none is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mteb_cascade.values.bands import RESAMPLES
from mteb_cascade.values.resampling import half_widths, resampled_means, totals

SHAPES = {
    (False, False): "flat",
    (False, True): "falls",
    (True, False): "rises and stays",
    (True, True): "rises then falls",
}
"""By whether it rises and whether it falls; a flat curve is one that shows neither, which few queries do too."""


@dataclass(frozen=True)
class Shape:
    """What a curve does as the depth grows.

    Args:
        shape: One of `SHAPES`.
        peak: The shallowest depth with the best mean.
        peak_low: Lower end of the peak's percentile interval, a depth.
        peak_high: Upper end.
        first: Mean at the shallowest depth.
        best: Mean at the peak.
        last: Mean at the deepest depth.
    """

    shape: str
    peak: int
    peak_low: int
    peak_high: int
    first: float
    best: float
    last: float

    def as_json(self) -> dict[str, Any]:
        """As a result file holds it."""
        return asdict(self)


def shape(
    values: ArrayLike,
    depths: Sequence[int],
    clusters: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Shape:
    """The shape of a curve, and its peak.

    It *rises* where some depth is shown to be better than the first, and *falls* where some depth is shown to be better
    than the last. All these differences, of every depth, get one family of simultaneous one-sided lower bounds, so no
    shape is claimed wrongly more often than 1 - `level`. A curve that does both passes its first value and ends below
    what it reached, whichever depths show it: were it the first that the last falls short of, the better one is too.

    Fewer clusters than log2(1 / (1 - level)), five at .95, show nothing: not even a sign test on them could. The
    peak's interval holds the middle `level` of the peaks of resampled queries.

    Args:
        values: [Q, D], a measure of each query at each depth; NaN counts as 0.
        depths: D depths, ascending.
        clusters: Q names; these are resampled. None: the queries are.
        level: Confidence of the shape and of the peak's interval.
        resamples: B.
        seed: Same seed, same answer.

    Raises:
        ValueError: There is no query or no depth, not one cluster a query, or shapes disagree.
    """
    if np.ndim(values) != 2 or np.shape(values)[1] != len(depths) or not len(depths):
        raise ValueError(f"expected one column of [Q, D] for each of {len(depths)} depths; got {np.shape(values)}")
    sums, sizes = totals(values, clusters)
    scale = float(np.abs(sums).max(initial=0.0))
    mean: NDArray[np.float64] = sums.sum(axis=0) / sizes.sum()
    resampled = resampled_means(sums, sizes, resamples, seed)
    rises, falls = _rises_and_falls(mean, resampled, level, scale) if 2.0 ** -len(sums) <= 1 - level else (False, False)
    best = int(_peaks(mean[None], scale)[0])
    ends = [(1 - level) / 2, (1 + level) / 2]
    low, high = np.quantile(_peaks(resampled, scale), ends, method="inverted_cdf").astype(int)
    return Shape(
        SHAPES[rises, falls],
        *(int(depths[column]) for column in (best, low, high)),
        *(float(mean[column]) for column in (0, best, -1)),
    )


def _rises_and_falls(
    mean: NDArray[np.float64], resampled: NDArray[np.float64], level: float, scale: float
) -> tuple[bool, bool]:
    gains = np.hstack([mean - mean[0], mean - mean[-1]])
    deviations = np.hstack([resampled - resampled[:, :1], resampled - resampled[:, -1:]]) - gains
    shown = gains > half_widths(deviations, level, scale)
    return bool(shown[: len(mean)].any()), bool(shown[len(mean) :].any())


def _peaks(means: NDArray[np.float64], scale: float) -> NDArray[np.intp]:
    """Column of the first of each row's largest, where equal up to rounding is equal."""
    columns: NDArray[np.intp] = (means >= means.max(axis=1, keepdims=True) - 1e-12 * scale).argmax(axis=1)
    return columns
