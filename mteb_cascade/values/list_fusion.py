"""How the lists of a hybrid's members become one: what a place in a list is worth, and a document outside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.values.lookup import looked_up, united
from mteb_cascade.values.run import PAD, Run

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RRF_K = 60
"""The constant of reciprocal rank fusion that its paper settled on."""

FLAT = 1e-9
"""A standard deviation below this says that all scores of a list are equal, as in mteb's HybridSearch."""


@dataclass(frozen=True)
class Fusion:
    """One way to add up ranked lists: the sum over members of weight * points.

    A document gets more points the better it stands with a member, and never more for being absent than for being
    listed; so a negative weight, allowed in every fusion, speaks for what its member ranks low.

    Args:
        points: (float64 scores [Q, K], bool listed [Q, K]) to float64 [Q, K], what each listed document is worth; a
            row is one list, best first, cells that are not listed are at its end and hold -inf.
        missing: (points [Q, K], listed [Q, K], bool full [Q]) to float64 [Q], what a document outside the list is
            worth; `full` where the list has as many documents as were asked for.
        pointwise: Whether points depend on the document's own score alone, not on the list around it.
        source: Paper or software that the rule follows.
    """

    points: Callable[[Floats, Flags], Floats]
    missing: Callable[[Floats, Flags, Flags], Floats]
    pointwise: bool
    source: str


@dataclass(frozen=True)
class Points:
    """What each member gives to each document of a pool, so that many weights can be tried on one retrieval.

    Args:
        pool: [Q, U], every document once; its own scores mean nothing.
        members: One float64 [Q, U] a member, aligned with `pool.docs`.
    """

    pool: Run
    members: tuple[Floats, ...]

    def total(self, weights: Sequence[float]) -> Floats:
        """float64 [Q, U], the weighted sum; 0 at pads."""
        total = np.zeros(self.pool.docs.shape)
        for weight, points in zip(weights, self.members, strict=True):
            total += weight * points
        return np.where(self.pool.docs == PAD, 0, total)

    def ranked(self, weights: Sequence[float]) -> Run:
        """The pool sorted by the weighted sum."""
        return Run.ranked(self.pool.query_ids, self.pool.corpus, self.pool.docs, self.total(weights))


def points_of(runs: Sequence[Run], fusion: Fusion, asked: int, pool: Run | None = None) -> Points:
    """What each of several lists gives to each document.

    Args:
        runs: One a member, of the same queries and corpus; a cell of score -inf counts as not listed.
        fusion: How.
        asked: Documents that each member was asked for.
        pool: The documents wanted; by default every document of any list.

    Raises:
        ValueError: A score is infinite (the pair is named).
    """
    pool = united(runs) if pool is None else pool
    members = []
    for run in runs:
        if (endless := np.isposinf(run.scores)).any():
            row, column = np.argwhere(endless)[0]
            raise ValueError(
                f"the score of query '{run.query_ids[row]}' and document "
                f"'{run.corpus.id_of(int(run.docs[row, column]))}' is infinite; expected a finite number"
            )
        scores, listed = run.scores.astype(np.float64), run.scores > -np.inf
        full = listed.sum(axis=1) >= min(asked, len(run.corpus))
        points = np.where(listed, fusion.points(scores, listed), -np.inf)
        members.append(looked_up(run, pool, fusion.missing(points, listed, full), points))
    return Points(pool, tuple(members))


def raw(scores: Floats, listed: Flags) -> Floats:
    """The scores themselves."""
    return scores


def min_max(scores: Floats, listed: Flags) -> Floats:
    """(score - lowest) / (highest - lowest); .5 where all scores are equal.

    >>> min_max(np.array([[7.0, 4.0, 3.0]]), np.full((1, 3), True)).tolist()
    [[1.0, 0.25, 0.0]]
    """
    low, high = ends(scores, listed)
    spread = high > low
    return np.where(spread, (scores - low) / np.where(spread, high - low, 1), 0.5)


def z_score(scores: Floats, listed: Flags) -> Floats:
    """(score - mean) / standard deviation, of the population; 0 where all scores are equal.

    >>> z_score(np.array([[3.0, 1.0]]), np.full((1, 2), True)).tolist()
    [[1.0, -1.0]]
    """
    mean, deviation, flat = moments(scores, listed)
    return np.where(flat, 0.0, (scores - mean) / np.where(flat, 1, deviation))


def distribution_based(scores: Floats, listed: Flags) -> Floats:
    """Mean - 3 deviations to 0, mean + 3 deviations to 1, clipped; .5 where all scores are equal.

    >>> distribution_based(np.array([[3.0, 1.0]]), np.full((1, 2), True)).round(3).tolist()
    [[0.667, 0.333]]
    """
    return np.clip(0.5 + z_score(scores, listed) / 6, 0, 1)


def ends(scores: Floats, listed: Flags) -> tuple[Floats, Floats]:
    """Lowest and highest listed score, each float64 [Q, 1]; inf and -inf where nothing is listed."""
    low = np.min(scores, axis=1, where=listed, initial=np.inf, keepdims=True)
    high = np.max(scores, axis=1, where=listed, initial=-np.inf, keepdims=True)
    return low, high


def moments(scores: Floats, listed: Flags) -> tuple[Floats, Floats, Flags]:
    """Mean and deviation of the listed scores and whether they are all equal, each [Q, 1]."""
    count = np.maximum(listed.sum(axis=1, keepdims=True), 1)
    mean = np.sum(scores, axis=1, where=listed, keepdims=True) / count
    deviation = np.sqrt(np.sum((scores - mean) ** 2, axis=1, where=listed, keepdims=True) / count)
    low, high = ends(scores, listed)
    return mean, deviation, (deviation < FLAT) | (low >= high)


def nothing(points: Floats, listed: Flags, full: Flags) -> Floats:
    """0."""
    return np.zeros(len(points))


def least_evidence(points: Floats, listed: Flags, full: Flags) -> Floats:
    """A full list's lowest score; 0 where the list ended early, or its lowest if that is below 0."""
    lowest = ends(points, listed)[0][:, 0]
    return np.where(np.isfinite(lowest), np.where(full, lowest, np.minimum(lowest, 0.0)), 0.0)


def lowest_listed(points: Floats, listed: Flags, full: Flags) -> Floats:
    """A full list's lowest z-score; -3, or the lowest if that is below it, where the list ended early or is all equal.

    An empty list gives 0.
    """
    low, high = (end[:, 0] for end in ends(points, listed))
    return np.where(listed.any(axis=1), np.where(full & (low < high), low, np.minimum(low, -3.0)), 0.0)


def reciprocal_rank(k: int = RRF_K) -> Fusion:
    """1 / (k + rank), ranks counted from 1; 0 outside the list.

    Args:
        k: >= 0: the larger, the less the first ranks stand out.
    """

    def points(scores: Floats, listed: Flags) -> Floats:
        return 1 / (k + np.cumsum(listed, axis=1, dtype=np.float64).clip(1))

    return Fusion(points, nothing, False, "Cormack, Clarke, Buettcher 2009; mteb's `rrf`")


FUSIONS = {
    "linear": Fusion(
        raw, least_evidence, True, "BM25 + lambda * dense, Karpukhin et al. 2020; missing: ours, measured"
    ),
    "min-max": Fusion(min_max, nothing, False, "Lee 1997 (CombSUM); mteb's `rsf`"),
    "z-score": Fusion(z_score, lowest_listed, False, "Montague and Aslam 2001 (ZMUV); missing: ours, measured"),
    "dbsf": Fusion(distribution_based, nothing, False, "Mazzeschi 2023; mteb's `dbsf`"),
    "rrf": reciprocal_rank(),
}
"""{name in specs: fusion}; only what is pointwise can be swept in one pass."""
