"""What stands at rank 1, and what the labels do not say of it: harm is bounded, not asserted."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mteb_cascade.values.order import order_keys
from mteb_cascade.values.qrels import UNJUDGED, Qrels
from mteb_cascade.values.run import PAD, Run
from mteb_cascade.values.words import words

TO = ("judged non-relevant", "unjudged", "near-duplicate")
"""What a broken query has at rank 1, by number."""

NEAR = 0.8
"""Jaccard similarity of two documents' words from which one is called a near-duplicate of the other."""


def first_columns(run: Run, scores: ArrayLike, blend: float = 0.0) -> NDArray[np.int32]:
    """Where the document at rank 1 stood in the received ranking, at every rerank depth.

    Args:
        run: The ranking that the reranker received, [Q, K].
        scores: [Q, D], aligned with the first D <= K columns of `run`; -inf where a candidate could not be scored.
        blend: b in score + b * score before.

    Returns:
        int32 [Q, D], columns of `run`; column c holds depth c + 1. -1 where the query found nothing.

    Raises:
        ValueError: Shapes disagree, or a score is NaN (the pair is named).
    """
    keys = order_keys(run, scores, blend)
    leads = keys == np.maximum.accumulate(keys, axis=1)
    columns = np.arange(keys.shape[1], dtype=np.int32)
    first = np.maximum.accumulate(np.where(leads, columns, np.int32(0)), axis=1)
    return np.where(run.docs[:, :1] == PAD, np.int32(-1), first)


def success_bounds(
    run: Run, scores: ArrayLike, qrels: Qrels, blend: float = 0.0
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """success@1 of each query at every rerank depth, an unjudged document counted as wrong, and as right.

    Args:
        run: The ranking that the reranker received, [Q, K].
        scores: [Q, D], as for `first_columns`.
        qrels: Judgements.
        blend: b in score + b * score before.

    Returns:
        Lower (which is success@1) and upper bound, float32 [Q, D] each; NaN where a query has no relevant document.
    """
    first = first_columns(run, scores, blend)
    grades = _grades_at(qrels.of_run(run), first)
    judgeable = (qrels.relevant_counts(run.query_ids) > 0)[:, None]
    relevant = grades >= qrels.relevance_level
    unjudged = (grades == UNJUDGED) & (first >= 0)
    low, high = (np.where(judgeable, right, np.nan).astype(np.float32) for right in (relevant, relevant | unjudged))
    return low, high


def broken_to(run: Run, scores: ArrayLike, qrels: Qrels, blend: float = 0.0) -> NDArray[np.int8]:
    """What took rank 1 from a relevant document, at every rerank depth.

    A *near-duplicate* has at least `NEAR` of its and a relevant document's distinct words in common (Jaccard), judged
    or not: the labels may have been given to the other copy.

    Args:
        run: The ranking that the reranker received, [Q, K].
        scores: [Q, D], as for `first_columns`.
        qrels: Judgements.
        blend: b in score + b * score before.

    Returns:
        int8 [Q, D], numbers of `TO`; -1 where the query is not *broken* (see `curves.outcomes`).
    """
    first = first_columns(run, scores, blend)
    grades = qrels.of_run(run)
    at_first = _grades_at(grades, first)
    broken = (grades[:, :1] >= qrels.relevance_level) & (at_first < qrels.relevance_level)
    found = np.where(broken, np.where(at_first == UNJUDGED, 1, 0), -1).astype(np.int8)
    rows, depths = np.nonzero(broken)
    first_of_broken = np.zeros(run.docs.shape, bool)
    first_of_broken[rows, first[rows, depths]] = True
    near = _near_relevant(run, first_of_broken, qrels)
    found[np.take_along_axis(near, np.maximum(first, 0), axis=1)] = 2
    return found


def _near_relevant(run: Run, cells: NDArray[np.bool_], qrels: Qrels) -> NDArray[np.bool_]:
    """Which of these cells [Q, K] hold a near-duplicate of one of the query's relevant documents."""
    near = np.zeros(cells.shape, bool)
    queries = np.flatnonzero(cells.any(axis=1)).tolist()
    judged = [qrels.of(run.query_ids[row]) for row in queries]
    lists = [[doc for doc, grade in of.items() if grade >= qrels.relevance_level] for of in judged]
    # One look-up for all queries: each reads the whole corpus.
    relevant = run.corpus.rows_of_lists(lists)
    distinct = np.unique(np.concatenate([relevant[relevant >= 0], run.docs[cells]]))
    known = {
        row: frozenset(words(text)) for row, text in zip(distinct.tolist(), run.corpus.texts_at(distinct), strict=True)
    }
    for row, answers in zip(queries, relevant, strict=True):
        others = [known[answer] for answer in answers.tolist() if answer >= 0]
        for column in np.flatnonzero(cells[row]):
            near[row, column] = _is_near(known[int(run.docs[row, column])], others)
    return near


def _is_near(document: frozenset[str], others: Iterable[frozenset[str]]) -> bool:
    """Whether the Jaccard similarity with one of these is at least `NEAR`; documents without words have none."""
    return any(len(document & other) / max(len(document | other), 1) >= NEAR for other in others)


def _grades_at(grades: NDArray[np.int32], columns: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32 [Q, D], the grades [Q, K] of these columns, `UNJUDGED` where there is none."""
    if not columns.size:
        return np.full(columns.shape, UNJUDGED, np.int32)
    return np.where(columns >= 0, np.take_along_axis(grades, np.maximum(columns, 0), axis=1), UNJUDGED)
