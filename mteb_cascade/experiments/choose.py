"""Weights, depths and blends, chosen on development queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Split
from mteb_cascade.errors import InputError
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.hybrid import Hybrid, Member
from mteb_cascade.values.curves import curves
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.run import Run

WEIGHTS = (0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12)
DEPTHS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 40, 50, 60, 70, 80, 90, 100)
BLENDS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


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
    return Scored(before, cascade.steps[-1].stage.score(split.queries, before.cut(depth)))


def choose_weight(
    hybrid: Hybrid, split: Split, measure: str = "ndcg@10", weights: Sequence[float] = WEIGHTS
) -> tuple[float, dict[float, float]]:
    """The weight of a hybrid's first member, the others as they are, with the best mean on a split.

    Returns:
        The weight, the smaller of two equal ones, and {weight: mean} of all that were tried.
    """
    tried: dict[float, float] = {}
    for weight in weights:
        first, *others = hybrid.members
        other = Hybrid(Member(first.stage, weight), *others, pool=hybrid.pool)
        other.index(hybrid.corpus)
        run = other.retrieve(split.queries, 1000)
        tried[weight] = float(mean(evaluate(run, split.qrels, [measure])[measure]))
    return max(tried, key=lambda weight: (tried[weight], -weight)), tried


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
