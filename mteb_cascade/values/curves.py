"""Every depth at once: what a rerank depth buys, from one scoring of the deepest candidate list.

Reranking is sorting by one fixed order, so a relevant document that the run has at position p stands, at every depth
d > p, at rank 1 + #{j < d: candidate j comes before it}: a cumulative count over the run's columns. At a smaller depth
it stays at rank p + 1. All figures are equal to those of `rerank` at each depth, evaluated by ir-measures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mteb_cascade.values.fusion import fused
from mteb_cascade.values.measures import DEFAULT, Measure, denominators
from mteb_cascade.values.qrels import UNJUDGED, Qrels
from mteb_cascade.values.run import Run

OUTCOMES = ("unreachable", "missed", "kept", "recovered", "broken")
"""What became of a query's rank 1: the classes of `outcomes`, by number."""

BLOCK = 2**20
"""Cells (judged document x depth) worked on at a time."""


def curves(
    run: Run, scores: ArrayLike, qrels: Qrels, measures: Sequence[str] = DEFAULT, blend: float = 0.0
) -> dict[str, NDArray[np.float32]]:
    """Each query's figures at every rerank depth.

    Args:
        run: The ranking that the reranker received, [Q, K].
        scores: [Q, D], aligned with the first D <= K columns of `run`; -inf where a candidate could not be scored.
        qrels: Judgements; documents outside the pool stay in denominators and ideal gains.
        measures: Names, see `Measure`.
        blend: b in score + b * score before.

    Returns:
        {name: float32 [Q, D]}; column c holds depth c + 1, so column 0 is the received ranking itself. NaN where a
        query has no positive (`measures.mean` counts it as 0).

    Raises:
        InputError: A measure is unknown.
        ValueError: Shapes disagree, or a score is NaN (the pair is named).
    """
    measures = tuple(dict.fromkeys(measures))
    parsed = [Measure.parse(name) for name in measures]
    total = fused(run, scores, blend)
    grades = qrels.of_run(run)
    result = {name: np.zeros(total.shape, np.float32) for name in measures}
    gains = [_gains(measure, grades, qrels.relevance_level) for measure in parsed]
    tables = [_by_rank(measure, run.depth) for measure in parsed]
    counted = np.zeros(grades.shape, bool)
    for gain in gains:
        counted |= gain > 0
    for rows, columns, ranks in _ranks(run, total, counted):
        queries, starts = np.unique(rows, return_index=True)
        for measure, gain, table, out in zip(parsed, gains, tables, result.values(), strict=True):
            values = table.take(ranks)
            values *= gain[rows, columns, None]
            if measure.kind in ("success", "mrr"):
                out[queries] = np.maximum(out[queries], np.maximum.reduceat(values, starts))
            else:
                out[queries] += np.add.reduceat(values, starts)
    for measure, out in zip(parsed, result.values(), strict=True):
        out /= denominators(measure, qrels, run)[:, None].astype(np.float32)
    return result


def oracle_scores(run: Run, qrels: Qrels) -> NDArray[np.float32]:
    """Scores of a reranker that knows the grades: its `curves` are the ceiling, which no other reranker passes.

    Returns:
        float32 [Q, K], the grade, 0 where it is negative or the document is not judged.
    """
    return np.maximum(qrels.of_run(run), 0).astype(np.float32)


def pool_recall(run: Run, qrels: Qrels) -> NDArray[np.float32]:
    """Share of each query's relevant documents among its first candidates, at every depth.

    Returns:
        float32 [Q, K]; column c holds depth c + 1; NaN where a query has no relevant document.
    """
    relevant = qrels.of_run(run) >= qrels.relevance_level
    found = np.cumsum(relevant, axis=1, dtype=np.float32)
    found /= denominators(Measure("recall", run.depth), qrels, run)[:, None].astype(np.float32)
    return found


def outcomes(run: Run, scores: ArrayLike, qrels: Qrels, blend: float = 0.0) -> NDArray[np.int8]:
    """What became of each query's rank 1, at every depth.

    With any relevant document counting, before and after the reranking: *unreachable*, no relevant document among the
    first `depth` (queries without positives too); *missed*, one there, first in neither ranking; *kept*, first in
    both; *recovered*, first only after; *broken*, first only before.

    Args:
        run: The ranking that the reranker received, [Q, K].
        scores: [Q, D], as for `curves`.
        qrels: Judgements.
        blend: b in score + b * score before.

    Returns:
        int8 [Q, D], numbers of `OUTCOMES`; column c holds depth c + 1. At each depth the five counts sum to Q.
    """
    after = curves(run, scores, qrels, ("success@1",), blend)["success@1"] == 1
    relevant = qrels.of_run(run.cut(after.shape[1])) >= qrels.relevance_level
    return _classes(np.logical_or.accumulate(relevant, axis=1), relevant[:, :1], after)


def outcomes_of(before: Run, after: Run, depth: int, qrels: Qrels) -> NDArray[np.int8]:
    """What became of each query's rank 1 in one reranking that has taken place: `outcomes` at its depth.

    Args:
        before: The ranking that the reranker received, [Q, K].
        after: The ranking that it made of the first `depth` candidates, [Q, K].
        depth: Candidates reranked, >= 1.
        qrels: Judgements.

    Returns:
        int8 [Q], numbers of `OUTCOMES`.
    """
    relevant = qrels.of_run(before.cut(depth)) >= qrels.relevance_level
    first = qrels.of_run(after.cut(1)) >= qrels.relevance_level
    return _classes(*(np.asarray(cells.any(axis=1)) for cells in (relevant, relevant[:, :1], first)))


def _classes(reachable: NDArray[np.bool_], before: NDArray[np.bool_], after: NDArray[np.bool_]) -> NDArray[np.int8]:
    """int8, the class of each cell; the three are broadcast against each other."""
    classes = [~reachable, ~before & ~after, before & after, ~before & after]
    return np.select(classes, range(4), 4).astype(np.int8)


def _ranks(
    run: Run, total: NDArray[np.float32], cells: NDArray[np.bool_]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.int32]]]:
    """Rank of each marked cell of a run at every depth.

    Args:
        run: [Q, K].
        total: float32 [Q, D], what its first D columns are sorted by.
        cells: bool [Q, K].

    Yields:
        Rows [C] in order, columns [C] and int32 ranks [C, D] of a block of cells.
    """
    depths = total.shape[1]
    if not depths:
        return
    every_row, every_column = np.nonzero(cells)
    position = np.arange(depths, dtype=np.int32)
    size = max(1, BLOCK // depths)
    for start in range(0, len(every_row), size):
        rows, columns = every_row[start : start + size], every_column[start : start + size]
        scores = total[rows]
        # Unscored candidates keep their old order among themselves, and pads come last: both have -inf.
        tie = np.where(np.isneginf(scores), -position, run.corpus.tie[run.docs[rows, :depths]])
        inside = np.minimum(columns, depths - 1)[:, None]
        own_score = np.take_along_axis(scores, inside, axis=1)
        own_tie = np.take_along_axis(tie, inside, axis=1)
        before = (scores > own_score) | ((scores == own_score) & (tie > own_tie))
        ranks = np.cumsum(before, axis=1, dtype=np.int32)
        place = columns[:, None].astype(np.int32)
        yield rows, columns, np.where(position < place, place, ranks) + np.int32(1)


def _gains(measure: Measure, grades: NDArray[np.int32], relevance_level: int) -> NDArray[np.float32]:
    """float32 [Q, K], what a document of this grade is worth before the discount."""
    if measure.kind == "ndcg":
        return np.maximum(grades, 0).astype(np.float32)
    wanted = (grades != UNJUDGED) if measure.kind == "judged" else (grades >= relevance_level)
    return wanted.astype(np.float32)


def _by_rank(measure: Measure, columns: int) -> NDArray[np.float64]:
    """float64 [columns + 1], what rank 1, 2, ... is worth; rank 0 does not exist."""
    rank = np.arange(1, columns + 1)
    discount = {"mrr": 1.0 / rank, "ndcg": 1.0 / np.log2(rank + 1)}.get(measure.kind, np.ones(columns))
    return np.concatenate([[0.0], np.where(rank <= measure.cutoff, discount, 0.0)])
