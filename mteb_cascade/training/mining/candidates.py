"""What first stages retrieve for training queries, and which of it is believed not to answer them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.progress import Progress
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.stored import stored_run
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.mining.answers import RULES, Answers
from mteb_cascade.training.mining.negatives import repeated
from mteb_cascade.training.mining.stage_scores import rows_at_once, scores_by
from mteb_cascade.training.options import Mining
from mteb_cascade.values.run import PAD, Run

QUERIES = 10_000
"""Queries that are retrieved for, and stored, together: what a kill can lose."""

REASONS = (*RULES, "skipped", "judge")
"""Why a candidate is not believed; after the rules, that it is among the first, or that the judge likes it too well."""

BELIEVED, NONE = -1, -2
"""A candidate that nothing speaks against, and a cell without one."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """What was retrieved, and what became of it: 14 bytes a candidate.

    Args:
        run: [Q, K], by rank; of several first stages in turn, each document once.
        source: int8 [Q, K], the first stage that a score is of.
        reasons: int8 [Q, K], number of the one of `REASONS` that spoke first, else `BELIEVED` or `NONE`.
        scores: float32 [Q, K], the judge's; -inf where it was not asked. None without a judge.
        of_answers: float32 [Q, A], the judge's scores of each query's relevant documents, -inf at pads.
    """

    run: Run
    source: NDArray[np.int8]
    reasons: NDArray[np.int8]
    scores: NDArray[np.float32] | None = None
    of_answers: NDArray[np.float32] | None = None

    @classmethod
    def none(cls, lists: Lists) -> Candidates:
        """Nothing was retrieved."""
        cells = np.empty((len(lists), 0), np.int8)
        return cls(Run.empty(lists.queries.ids, lists.corpus), cells, cells)

    @property
    def believed(self) -> NDArray[np.bool_]:
        """Bool [Q, K]."""
        return np.asarray(self.reasons == BELIEVED)


def retrieved(stage: Stage, lists: Lists, depth: int, progress: Progress) -> Run:
    """A stored run of all queries, else of some thousand at a time, which are stored one by one."""
    stage.index(lists.corpus)
    depth = min(depth, len(lists.corpus))
    run = stored_run(stage, lists.queries, depth)
    if run is not None:
        return run
    blocks = []
    for start in range(0, len(lists), QUERIES):
        progress(start, len(lists), f"{stage.label} retrieves")
        rows = range(start, min(start + QUERIES, len(lists)))
        blocks.append(stage.retrieved(lists.queries.rows(rows), depth).widened(depth))
    progress(len(lists), len(lists), f"{stage.label} retrieves")
    docs, scores = (np.vstack([getattr(block, name) for block in blocks]) for name in ("docs", "scores"))
    return Run(lists.queries.ids, lists.corpus, docs, scores)


def interleaved(runs: Sequence[Run]) -> tuple[Run, NDArray[np.int8]]:
    """The documents of several runs of the same queries, first every first one, then every second one; each once.

    Returns:
        The run [Q, K], with the score of the run that has the document first, and int8 [Q, K], which run that is.
    """
    if len(runs) == 1:
        run = runs[0].cut(int(runs[0].lengths.max(initial=0)))
        return run, np.zeros(run.docs.shape, np.int8)
    width = max(run.depth for run in runs)
    shape = len(runs[0].docs), width * len(runs)
    docs, scores = (
        np.stack([getattr(run.widened(width), name) for run in runs], axis=2).reshape(shape)
        for name in ("docs", "scores")
    )
    again = repeated(docs)
    order = np.argsort(again | (docs == PAD), axis=1, kind="stable")
    run = Run(runs[0].query_ids, runs[0].corpus, docs, scores).without(again)
    source = np.broadcast_to(np.tile(np.arange(len(runs), dtype=np.int8), width), shape)
    longest = int(run.lengths.max(initial=0))
    return run.cut(longest), np.take_along_axis(source, order, axis=1)[:, :longest]


def ruled(run: Run, source: NDArray[np.int8], answers: Answers, skip: int, progress: Progress) -> Candidates:
    """The candidates, those out that answer their query, copy an answer, or are among the first that do not."""
    reasons = np.full(run.docs.shape, NONE, np.int8)
    for start in range(0, len(run.docs), rows_at_once(run.depth)):
        progress(start, len(run.docs), "answers and their copies are taken out")
        part = slice(start, start + rows_at_once(run.depth))
        rows, columns = np.nonzero(run.docs[part] != PAD)
        # -1, that no rule speaks against it, is `BELIEVED`.
        reasons[part][rows, columns] = answers.rule(rows + start, run.docs[part][rows, columns])
        left = reasons[part] == BELIEVED
        reasons[part][left & (np.cumsum(left, axis=1) <= skip)] = REASONS.index("skipped")
    return Candidates(run, source, reasons)


def judged(
    candidates: Candidates, lists: Lists, judge: Stage, mining: Mining, what: str, progress: Progress
) -> Candidates:
    """The candidates, those out that a judge scores above a query's best answer, less the margins.

    Args:
        candidates: Those left are scored, with every relevant document of the lists.
        lists: Their queries.
        judge: Scores through the store of pair scores; it has the corpus.
        mining: `margin` and `relative_margin`; where neither is given the threshold is the answer's own score.
        what: What messages name.
        progress: Told of the pairs, all of them first.
    """
    run, reasons = candidates.run, candidates.reasons.copy()
    width = int(lists.relevant.sum(axis=1).max(initial=0))
    asked = np.hstack(
        [np.where(lists.relevant, lists.docs, PAD)[:, :width], np.where(candidates.believed, run.docs, PAD)]
    ).astype(np.int32)
    scores = scores_by(judge, lists.queries, lists.corpus, asked, what, progress)
    best = scores[:, :width].max(axis=1, initial=-np.inf).astype(np.float64)
    # The size of a score, not the score: a negative one would be raised (ST's #3819).
    relative = (mining.relative_margin or 0.0) * np.where(np.isfinite(best), np.abs(best), 0)
    threshold = best - np.maximum(mining.margin or 0.0, relative)
    reasons[candidates.believed & (scores[:, width:] > threshold[:, None])] = REASONS.index("judge")
    return Candidates(run, candidates.source, reasons, scores[:, width:], scores[:, :width])
