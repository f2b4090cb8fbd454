"""Three and more stages: every combination of depths, each stage scoring the union of what it is handed, once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.lookup import looked_up, united
from mteb_cascade.values.run import Run

GRID = (1, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Depths that are combined; the deepest of the sweep is one of them."""

Depths = tuple[int, ...]


def grid_of(depth: int) -> list[int]:
    """The depths of the grid up to this one.

    >>> grid_of(30)
    [1, 5, 10, 20, 30]
    """
    return [*(one for one in GRID if one < depth), depth]


def combinations(
    cascade: Cascade, queries: Queries, received: Run, grid: Sequence[int], progress: Progress = silent
) -> Iterator[tuple[Depths, Run]]:
    """The ranking at every combination of depths that do not grow from step to step.

    A smaller early depth lets other documents into a later step: a pointwise step scores the union of the pools that
    all combinations hand it, once. A step that is not pointwise is run for each.

    Args:
        cascade: Two or more steps; their depths are not looked at.
        queries: Q queries.
        received: The first stage's ranking [Q, K].
        grid: Depths, ascending, the last at most K.
        progress: Told of the pairs scored of a step.

    Yields:
        One depth a step, and the ranking [Q, K] at the end of the cascade.
    """
    level: dict[Depths, Run] = {(): received}
    for step in cascade.steps:
        pools = {reached: run.cut(min([grid[-1], *reached[-1:]])) for reached, run in level.items()}
        if step.stage.pointwise:
            level = dict(_shared(step, queries, level, pools, grid, progress))
        else:
            level = {
                (*reached, depth): rerank(run, step.stage.scored(queries, run.cut(depth), progress), depth, step.blend)
                for reached, run in level.items()
                for depth in grid
                if depth <= min([depth, *reached[-1:]])
            }
    yield from level.items()


def _shared(
    step: Step,
    queries: Queries,
    level: dict[Depths, Run],
    pools: dict[Depths, Run],
    grid: Sequence[int],
    progress: Progress,
) -> Iterator[tuple[Depths, Run]]:
    union = united(list(pools.values()))
    scores = step.stage.scored(queries, union, progress)
    scored = Run(union.query_ids, union.corpus, union.docs, scores)
    nothing = np.full(len(queries), -np.inf)
    for reached, run in level.items():
        pool = pools[reached]
        own = looked_up(scored, pool, nothing).astype(np.float32)
        for depth in grid:
            if depth <= pool.depth:
                yield (*reached, depth), rerank(run, own, depth, step.blend)
