"""Weights, depths and blends, chosen on development queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Split
from mteb_cascade.errors import InputError
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.values.curves import curves
from mteb_cascade.values.list_fusion import moments
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.run import Run

WEIGHTS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12)
DEPTHS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100)
BLENDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

Weights = tuple[float, ...]


@dataclass(frozen=True)
class Scored:
    """What one reranking step is given, and what it says of it.

    Args:
        run: The ranking that the step received [Q, K].
        scores: The step's score of every candidate, float32 [Q, K].
    """

    run: Run
    scores: NDArray[np.float32]


def scored(cascade: Cascade, split: Split, depth: int) -> Scored:
    """Score the first `depth` candidates of the cascade's last step, once, for every depth and blend.

    The run keeps 100 columns at least, so that recall@100 can be told at every depth.

    Raises:
        InputError: The step is not pointwise: its scores at one depth say nothing of another.
    """
    if not cascade.steps[-1].stage.pointwise:
        raise InputError(f"{cascade.label}: its last step is not pointwise, so one scoring does not tell every depth")
    *_, before = cascade.at(*cascade.depths[:-1], 0).trace(split.queries, max(depth, 100))
    return Scored(before, cascade.steps[-1].stage.scored(split.queries, before.cut(depth)))


def choose_weights(
    hybrid: Hybrid,
    split: Split,
    measure: str = "ndcg@10",
    grid: Sequence[Weights] | None = None,
    lists: Sequence[Run] | None = None,
) -> tuple[Weights, dict[Weights, NDArray[np.float64]]]:
    """Weights of a hybrid's members with the best mean on a split: one retrieval, fused anew for each.

    Args:
        hybrid: Its fusion and pool are kept, its own weights are not looked at.
        split: Development queries.
        measure: What is to be best.
        grid: Weights to try, one number a member, the simplest first; by default every split of 1 into tenths, in
            units of the member's spread where the fusion is raw.
        lists: The members' pools of these queries where they are at hand (`Hybrid.lists`).

    Returns:
        The weights, of equally good ones the first in the grid, and {weights: float64 [Q]} of all that were tried.
    """
    lists = hybrid.lists(split.queries) if lists is None else lists
    if grid is None:
        grid = simplex(len(hybrid.members))
        grid = [per_unit(shares, spreads(lists)) for shares in grid] if hybrid.fusion == "linear" else grid
    points = hybrid.points(lists)
    tried = {
        tuple(weights): evaluate(points.ranked(weights), split.qrels, [measure])[measure]
        for weights in dict.fromkeys(grid)
    }
    return max(tried, key=lambda weights: float(mean(tried[weights]))), tried


def choose_weight(
    hybrid: Hybrid, split: Split, measure: str = "ndcg@10", weights: Sequence[float] = WEIGHTS
) -> tuple[float, dict[float, float]]:
    """The weight of a hybrid's first member, the others as they are, with the best mean on a split.

    Returns:
        The weight, the smaller of two equal ones, and {weight: mean} of all that were tried.
    """
    grid = [(weight, *hybrid.weights[1:]) for weight in sorted(weights)]
    (weight, *_), tried = choose_weights(hybrid, split, measure, grid)
    return weight, {first: float(mean(values)) for (first, *_), values in tried.items()}


def simplex(members: int, steps: int = 10) -> list[Weights]:
    """Every way to share 1 among the members in equal steps: those of fewer members first, then the more even.

    >>> simplex(2, steps=4)
    [(1.0, 0.0), (0.0, 1.0), (0.5, 0.5), (0.75, 0.25), (0.25, 0.75)]
    """
    cuts = combinations(range(1, steps + members), members - 1)
    shares = [np.diff([0, *cut, steps + members]) - 1 for cut in cuts][::-1]
    shares.sort(key=lambda share: (np.count_nonzero(share), int((share**2).sum())))
    return [tuple((share / steps).tolist()) for share in shares]


def spreads(lists: Sequence[Run]) -> list[float]:
    """Standard deviation of the scores within each member's lists, averaged over queries; 1 where all are equal."""
    deviations = [moments(run.scores.astype(np.float64), run.scores > -np.inf)[1] for run in lists]
    return [float(mean(deviation[:, 0])) or 1.0 for deviation in deviations]


def per_unit(shares: Weights, units: Sequence[float]) -> Weights:
    """Weights that give each member its share in its own unit: they add up to 1, in four digits.

    >>> per_unit((0.5, 0.5), (4.0, 0.1))
    (0.02439, 0.9756)
    """
    weights = np.asarray(shares) / np.asarray(units)
    return tuple(float(f"{weight:.4g}") for weight in weights / weights.sum())


def choose_depth_and_blend(
    given: Scored,
    split: Split,
    measure: str = "mrr@10",
    depths: Sequence[int] = DEPTHS,
    blends: Sequence[float] = BLENDS,
) -> tuple[int, float, dict[tuple[int, float], float]]:
    """Depth and blend of a step with the best mean on a split; of equal ones the shallowest, then the least blended.

    Returns:
        Depth, blend, and {(depth, blend): mean} of all that were tried.
    """
    tried: dict[tuple[int, float], float] = {}
    for blend in blends:
        at_depth = mean(curves(given.run, given.scores, split.qrels, [measure], blend)[measure])
        tried |= {(depth, blend): float(at_depth[depth - 1]) for depth in depths if depth <= len(at_depth)}
    depth, blend = max(tried, key=lambda choice: (tried[choice], -choice[0], -choice[1]))
    return depth, blend, tried
