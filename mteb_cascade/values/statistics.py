"""Paired comparisons over queries, or over clusters of queries that are not independent of each other.

A cluster (a module of PythonDocs, say) is drawn, or flipped, as a whole; without clusters each query is its own. A
query without positives is NaN in a measure and 0 here, as it is in the means that are reported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mteb_cascade.values.resampling import blocks, half_widths, resampled_means, totals

RESAMPLES = 10_000


@dataclass(frozen=True)
class Comparison:
    """A paired difference.

    Args:
        difference: Mean of a - b over queries.
        low: Lower end of the percentile interval.
        high: Upper end.
        p_value: Two-sided, of no difference.
    """

    difference: float
    low: float
    high: float
    p_value: float


def interval(
    values: ArrayLike,
    clusters: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Percentile bootstrap interval of a mean (Efron and Tibshirani 1993, chapter 13).

    Args:
        values: [Q] or [Q, D], one column a depth.
        clusters: Q names; these are resampled. None: the queries are.
        level: Share of samples that the interval should cover, of each column by itself.
        resamples: B.
        seed: Same seed, same interval.

    Returns:
        Lower and upper ends, float64, each a number or [D].

    Raises:
        ValueError: There is no query, or not one cluster a query.
    """
    sums, sizes = totals(values, clusters)
    means = resampled_means(sums, sizes, resamples, seed)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return (low, high) if np.ndim(values) == 2 else (low[0], high[0])


def paired_bootstrap(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Interval and significance of the mean of a - b, by resampling queries.

    The p-value is the shift method's (Efron and Tibshirani 1993, 16.4; Smucker, Allan and Carterette 2007, 3.3): the
    share of resamples whose mean lies at least as far from the observed one as the observed lies from 0, the sample
    itself counted as one.

    Args:
        a: [Q], a measure of every query.
        b: [Q], the other system's, same queries in the same order.
        clusters: Q names; these are resampled. None: the queries are.
        level: Coverage of the interval.
        resamples: B.
        seed: Same seed, same answer.

    Raises:
        ValueError: Lengths disagree, there is no query, or a query is NaN in one of the two only.
    """
    sums, sizes = totals(_differences(a, b), clusters)
    observed = float(sums.sum() / sizes.sum())
    means = resampled_means(sums, sizes, resamples, seed)[:, 0]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    farther = int(_at_least(np.abs(means - observed), abs(observed)).sum())
    return Comparison(observed, float(low), float(high), (farther + 1) / (resamples + 1))


def randomisation_test(
    a: ArrayLike,
    b: ArrayLike,
    clusters: Sequence[str] | None = None,
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> float:
    """Two-sided p-value of Fisher's paired randomisation test (Smucker, Allan and Carterette 2007, 3.1).

    Were the systems the same, the sign of each difference would be chance. Where there are no more than `resamples`
    patterns of signs, all are counted and the p-value is exact; else it is (farther + 1) / (resamples + 1).

    Args:
        a: [Q], a measure of every query.
        b: [Q], the other system's, same queries in the same order.
        clusters: Q names; a cluster's differences change sign together. None: each query's by itself.
        resamples: B.
        seed: Same seed, same answer.

    Raises:
        ValueError: Lengths disagree, there is no query, or a query is NaN in one of the two only.

    >>> randomisation_test([1, 1, 1, 0, 0], [0, 0, 0, 0, 0])
    0.25
    """
    sums = totals(_differences(a, b), clusters)[0][:, 0]
    # A difference of 0 has no sign to flip.
    sums = sums[sums != 0]
    observed = abs(sums.sum())
    exact = len(sums) < 63 and 2 ** len(sums) <= resamples
    count = 2 ** len(sums) if exact else resamples
    rng = np.random.default_rng(seed)
    farther = 0
    for start, stop in blocks(count, len(sums)):
        if exact:
            flips = (np.arange(start, stop)[:, None] >> np.arange(len(sums))) & 1
        else:
            flips = rng.integers(0, 2, (stop - start, len(sums)), dtype=np.int8)
        farther += int(_at_least(np.abs(sums.sum() - 2 * (flips @ sums)), observed).sum())
    return farther / count if exact else (farther + 1) / (count + 1)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """p-values corrected for having asked m questions (Holm 1979): reject those at or below the level.

    Args:
        p_values: [m].

    Returns:
        float64 [m], in the order given: the i-th smallest times m - i + 1, at least the one before it, at most 1.

    Raises:
        ValueError: One is NaN or outside [0, 1].

    >>> holm([0.01, 0.04, 0.03, 0.005]).round(3).tolist()
    [0.03, 0.06, 0.06, 0.02]
    """
    p = np.asarray(p_values, np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"p-values lie in 0..1; got {p.tolist()}")
    order = np.argsort(p, kind="stable")
    corrected = np.empty_like(p)
    corrected[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1.0)
    return corrected


def upper_bounds(
    losses: ArrayLike,
    clusters: Sequence[str] | None = None,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NDArray[np.float64]:
    """One-sided upper bounds on several mean losses that hold all together.

    Single-step max-t (Westfall and Young 1993; Romano and Wolf 2005): bound_d = mean_d + c * se_d, where se_d is the
    deviation of the bootstrap means and c the `level` quantile of max over d of (mean_d - resampled mean_d) / se_d. A
    loss that is the same for every query has se 0 and its mean as bound.

    Args:
        losses: [Q, D], one column a competitor; the columns are resampled together.
        clusters: Q names; these are resampled. None: the queries are.
        level: Probability that no true mean loss lies above its bound.
        resamples: B.
        seed: Same seed, same bounds.

    Returns:
        float64 [D].

    Raises:
        ValueError: There is no query, or not one cluster a query.
    """
    sums, sizes = totals(losses, clusters)
    mean: NDArray[np.float64] = sums.sum(axis=0) / sizes.sum()
    short = mean - resampled_means(sums, sizes, resamples, seed)
    return mean + half_widths(short, level, np.abs(sums).max(initial=0.0))


@dataclass(frozen=True)
class AsGoodAsBest:
    """Whether a shallower depth is shown to be as good as the best one.

    Args:
        depth: The shallowest shown to be; `best` where the deepest competitor is shown to lose, or there is none; None:
            undecided.
        best: The best depth, chosen on other queries.
        competitors: The shallower depths that were compared, ascending.
        losses: Mean of best - competitor, one each.
        bounds: Simultaneous upper bounds on these losses.
        margin: What a bound had to stay under.
    """

    depth: int | None
    best: int
    competitors: tuple[int, ...]
    losses: tuple[float, ...]
    bounds: tuple[float, ...]
    margin: float

    def __str__(self) -> str:
        if self.depth is None:
            return "undecided, too few queries"
        needed = self.depth == self.best and self.competitors
        return f"depth {self.depth} is needed" if needed else f"depth {self.depth}"


def as_good_as_best(
    per_query: ArrayLike,
    depths: Sequence[int],
    best: int,
    margin: float = 0.01,
    clusters: Sequence[str] | None = None,
    *,
    most: int = 25,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> AsGoodAsBest:
    """The shallowest depth that loses less than `margin` against the best, at a stated confidence.

    Non-inferiority, not the absence of significance, which rewards few queries. Competitors are depths shallower than
    `best`, log-spaced; their losses get simultaneous bounds (`upper_bounds`). Where none stays under the margin, the
    best depth is needed if the deepest competitor by itself is shown to lose (its own one-sided lower bound is above
    0; it is named beforehand, so it pays no correction); else there are too few queries to tell.

    Args:
        per_query: [Q, D], a measure of each query at each depth, such as one of `curves`.
        depths: D depths, ascending.
        best: One of them, chosen on other queries than these.
        margin: Largest loss still called as good, in the measure's unit.
        clusters: Q names; these are resampled. None: the queries are.
        most: Competitors at most.
        level: Confidence of the bounds.
        resamples: B.
        seed: Same seed, same answer.

    Raises:
        ValueError: `best` is not one of `depths`, these do not ascend, or shapes disagree.
    """
    values, depths = np.asarray(per_query), list(depths)
    if values.ndim != 2 or values.shape[1] != len(depths) or best not in depths or sorted(set(depths)) != depths:
        raise ValueError(
            f"expected ascending depths, one for each column of [Q, D], the best among them; "
            f"got depths {depths}, best {best}, shape {values.shape}"
        )
    columns = _log_spaced(depths[: depths.index(best)], most)
    if not columns:
        return AsGoodAsBest(best, best, (), (), (), margin)
    values = np.nan_to_num(values.astype(np.float64))
    losses = values[:, [depths.index(best)]] - values[:, columns]
    mean = losses.mean(axis=0)
    bounds = upper_bounds(losses, clusters, level=level, resamples=resamples, seed=seed)
    good = np.flatnonzero(bounds < margin)
    depth: int | None = None
    if len(good):
        depth = depths[columns[good[0]]]
    elif -upper_bounds(-losses[:, -1:], clusters, level=level, resamples=resamples, seed=seed)[0] > 0:
        depth = best
    competitors = tuple(depths[column] for column in columns)
    return AsGoodAsBest(depth, best, competitors, tuple(mean.tolist()), tuple(bounds.tolist()), margin)


def _log_spaced(depths: Sequence[int], most: int) -> list[int]:
    """Positions of at most `most` of these ascending depths, log-spaced, the first and the last among them."""
    if len(depths) <= most:
        return list(range(len(depths)))
    wanted = np.geomspace(max(depths[0], 1), depths[-1], most)
    nearest = np.abs(np.asarray(depths)[:, None] - wanted).argmin(axis=0)
    positions: list[int] = np.unique(nearest).tolist()
    return positions


def _differences(a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    first, second = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"a paired test needs two lists of one length; got shapes {first.shape} and {second.shape}")
    if (np.isnan(first) != np.isnan(second)).any():
        row = int(np.flatnonzero(np.isnan(first) != np.isnan(second))[0])
        raise ValueError(f"query {row} is NaN in one of the two only: they were not judged alike")
    return first - second


def _at_least(values: NDArray[np.float64], limit: float) -> NDArray[np.bool_]:
    """Values >= limit, where equal up to rounding is equal: sums of the same numbers differ in the last bits."""
    return values >= limit * (1 - 1e-12) - 1e-15
