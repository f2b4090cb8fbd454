"""What every stage of a cascade made of some queries: rankings, the stages' own scores, outcomes and phantoms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.cascade import Step
from mteb_cascade.values.curves import outcomes_of
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.lookup import looked_up
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import PAD, Run


@dataclass(frozen=True, eq=False)
class Trail:
    """Q queries on their way through a cascade.

    Args:
        runs: The ranking after each stage, [Q, K] each; those of `Cascade.trace`, but for documents with the query's
            own id where they do not count.
        pools: What each step received and scored, [Q, depth] each, likewise; one fewer than runs.
        scores: What each stage itself said, the first one too: a run [Q, depth] whose scores are its own, -inf where it
            said nothing.
        qrels: Judgements.
    """

    runs: tuple[Run, ...]
    pools: tuple[Run, ...]
    scores: tuple[Run, ...]
    qrels: Qrels

    @classmethod
    def of(
        cls,
        steps: Sequence[Step],
        queries: Queries,
        received: Run,
        found: Run,
        qrels: Qrels,
        *,
        ignore_identical_ids: bool = False,
        progress: Progress = silent,
    ) -> Trail:
        """Rerank step by step, through the store.

        Args:
            steps: What reranks.
            queries: Q queries.
            received: [Q, K], what the first stage handed on; K at least every depth, or all that there is.
            found: The same documents with what it said of them.
            qrels: Judgements.
            ignore_identical_ids: Take documents with the query's own id out of every ranking, once it is made.
            progress: Told of the pairs scored.
        """
        runs, pools, scores = [received], [], [found]
        for step in steps:
            head = runs[-1].cut(step.depth)
            own = np.full(head.docs.shape, -np.inf, np.float32)
            if (head.docs != PAD).any():
                own = step.stage.scored(queries, head, progress)
            # Depth 0 leaves the ranking as it is, and so does depth 1.
            pools.append(runs[-1].cut(max(step.depth, 1)))
            scores.append(Run(head.query_ids, head.corpus, head.docs, own))
            runs.append(rerank(runs[-1], own, step.depth, step.blend))
        if ignore_identical_ids:
            runs = [run.without_identical_ids() for run in runs]
            pools = [pool.without_identical_ids() for pool in pools]
        return cls(tuple(runs), tuple(pools), tuple(scores), qrels)

    @cached_property
    def said(self) -> list[NDArray[np.float64]]:
        """What each stage itself said of the documents of its ranking, [Q, K] each; -inf where it said nothing."""
        nothing = np.full(len(self.runs[0].docs), -np.inf)
        return [looked_up(one, run, nothing) for one, run in zip(self.scores, self.runs, strict=True)]

    @cached_property
    def outcomes(self) -> list[NDArray[np.int8]]:
        """What became of rank 1 in each step, [Q] each, numbers of `OUTCOMES`; without a step, as `whole`."""
        found = [
            outcomes_of(pool, after, pool.depth, self.qrels)
            for pool, after in zip(self.pools, self.runs[1:], strict=True)
        ]
        return found or [self.whole]

    @property
    def whole(self) -> NDArray[np.int8]:
        """What became of rank 1 from the first stage to the last, [Q]; the pool is what the first step received."""
        pool = self.pools[0] if self.pools else self.runs[0]
        return outcomes_of(pool, self.runs[-1], pool.depth, self.qrels)

    @cached_property
    def phantoms(self) -> NDArray[np.bool_]:
        """Cells of the last ranking that are phantoms of the last step, bool [Q, K]: see `values.phantoms`."""
        run = self.runs[-1]
        if not self.pools or not run.depth:
            return np.zeros(run.docs.shape, bool)
        pool = self.pools[-1]
        columns = np.broadcast_to(np.arange(pool.depth), pool.docs.shape)
        before = looked_up(pool, run, np.full(len(run.docs), np.inf), np.where(pool.docs == PAD, -np.inf, columns))
        relevant = (self.qrels.of_run(run) >= self.qrels.relevance_level) & (before < np.inf)
        best = np.where(relevant, before, np.inf).min(axis=1, keepdims=True)
        above = ~np.logical_or.accumulate(relevant, axis=1) & relevant.any(axis=1, keepdims=True)
        return np.asarray(above & (before > best) & (before < np.inf) & (run.docs != PAD))
