"""What one reranking step makes of the ranking that it received, at every depth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.values.run import PAD, Run

POINTS = 8
"""Depths at which a stage that is not pointwise is run, log-spaced: each is a scoring of its own."""

Figure = Callable[[Run, NDArray[np.float32]], NDArray[Any]]
"""From a received ranking [Q, K] and scores [Q, D] to one value a query and depth, [Q, D]."""


@dataclass(frozen=True, eq=False)
class Swept:
    """The ranking that a step received, and the step's scores of it.

    Args:
        received: [Q, K].
        depths: Depths that were looked at, ascending: 1..D of a pointwise step, a few of another.
        scores: float32 [Q, D] each: one for all depths of a pointwise step, else one a depth.
        own: int [Q], column of the document with the query's own id, which is taken out of every ranking once it is
            made; K where there is none.
    """

    received: Run
    depths: tuple[int, ...]
    scores: tuple[NDArray[np.float32], ...]
    own: NDArray[np.integer] | None = None

    @classmethod
    def of(
        cls,
        stage: Stage,
        queries: Queries,
        received: Run,
        depth: int,
        *,
        ignore_identical_ids: bool = False,
        progress: Progress = silent,
    ) -> Swept:
        """Score the first `depth` candidates once; run a stage that is not pointwise at a few depths.

        Args:
            stage: The step's.
            queries: Q queries.
            received: [Q, K], K >= depth where the corpus is large enough.
            depth: The deepest, >= 1.
            ignore_identical_ids: Take documents with the query's own id out of every ranking.
            progress: Told of the pairs scored.
        """
        depth = max(1, min(depth, received.depth))
        if stage.pointwise:
            depths = tuple(range(1, depth + 1))
            scores: tuple[NDArray[np.float32], ...] = (stage.scored(queries, received.cut(depth), progress),)
        else:
            depths = depths_of(stage, queries, received, depth)
            scores = tuple(stage.scored(queries, received.cut(one), progress) for one in depths)
        if not ignore_identical_ids:
            return cls(received, depths, scores)
        rows = received.corpus.rows(received.query_ids)
        is_own = (received.docs == rows[:, None]) & (rows[:, None] != PAD)
        own = np.where(is_own.any(axis=1), is_own.argmax(axis=1), received.depth)
        kept = tuple(
            Run(received.query_ids, received.corpus, received.docs[:, : one.shape[1]], one)
            .without(is_own[:, : one.shape[1]])
            .scores
            for one in scores
        )
        return cls(received.without(is_own), depths, kept, own)

    @property
    def pointwise(self) -> bool:
        """Whether one scoring served every depth."""
        return self.depths == tuple(range(1, self.scores[0].shape[1] + 1))

    @property
    def depth(self) -> int:
        """The deepest depth, D."""
        return self.depths[-1]

    @property
    def deepest(self) -> NDArray[np.float32]:
        """float32 [Q, D], the scores at the deepest depth."""
        return self.scores[-1]

    def at_depths(self, figure: Figure) -> NDArray[Any]:
        """A figure of every query at every depth that was looked at, [Q, len(depths)]."""
        if self.pointwise:
            return self.aligned(figure(self.received, self.scores[0]))
        parts = [self.aligned(figure(self.received, scores))[:, scores.shape[1] - 1] for scores in self.scores]
        return np.stack(parts, axis=1)

    def aligned(self, values: NDArray[Any]) -> NDArray[Any]:
        """Figures [Q, D] of the rankings without the query's own document, as figures of depths 1..D.

        A query whose own document is among the first d candidates has one other candidate less at depth d: the cascade
        scores d documents, and takes out the query's own once it has ranked them.
        """
        if self.own is None:
            return values
        columns = np.arange(values.shape[1])[None, :]
        return np.take_along_axis(values, np.maximum(columns - (self.own[:, None] <= columns), 0), axis=1)


def depths_of(stage: Stage, queries: Queries, received: Run, depth: int) -> tuple[int, ...]:
    """Depths at which a stage that is not pointwise is run, up to `depth`.

    A fixed reordering (a run file) was made of one list: it has one point, at the length of its longest list. Any other
    stage has up to `POINTS` log-spaced depths, the deepest among them.
    """
    if isinstance(stage, RunFile):
        longest = int(stage.lists(queries, received.corpus, depth).lengths.max(initial=1))
        return (max(1, min(depth, longest)),)
    return tuple(sorted({*np.geomspace(1, depth, POINTS).round().astype(int).tolist()}))
