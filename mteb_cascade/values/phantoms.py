"""Phantom hits: documents that a reranker lifts above the answer from below it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mteb_cascade.values.order import order_keys
from mteb_cascade.values.qrels import UNJUDGED, Qrels
from mteb_cascade.values.run import PAD, Run
from mteb_cascade.values.words import words

if TYPE_CHECKING:
    from mteb_cascade.corpora.corpus import Queries


@dataclass(frozen=True)
class Phantom:
    """A document that stood below a query's best-placed answer, and stands above all its answers once reranked.

    Args:
        query: Query id.
        document: Document id.
        rank_before: Its rank in the received ranking, from 1.
        rank_after: Its rank when all scored candidates are reranked.
        answer: Id of the relevant document that was best placed before.
        answer_before: That one's rank before.
        answer_after: And after.
        lifted: Ranks that the phantom rose.
        overlap: Share of the query's distinct words that the phantom has.
        retriever_score: The phantom's score in the received ranking.
        answer_retriever_score: The answer's.
        also: Other queries of which the same document is a phantom.
        grade: Its grade, below the relevance level; None where nobody judged it.
    """

    query: str
    document: str
    rank_before: int
    rank_after: int
    answer: str
    answer_before: int
    answer_after: int
    lifted: int
    overlap: float
    retriever_score: float
    answer_retriever_score: float
    also: int
    grade: int | None

    def as_json(self) -> dict[str, Any]:
        """As a result file holds it."""
        return asdict(self)


def phantoms(
    run: Run, scores: ArrayLike, qrels: Qrels, queries: Queries, blend: float = 0.0, most: int = 50
) -> list[Phantom]:
    """The phantoms that rose farthest when all scored candidates are reranked.

    Args:
        run: The ranking that the reranker received, [Q, K].
        scores: [Q, D], aligned with the first D <= K columns of `run`; -inf where a candidate could not be scored.
        qrels: Judgements. A query without an answer among its first D candidates has no phantom.
        queries: The run's queries, in its order.
        blend: b in score + b * score before.
        most: Phantoms told, at most; `also` counts the untold too.

    Returns:
        The farthest first, then in order of the queries and of the rank after.

    Raises:
        ValueError: Shapes disagree, or a score is NaN (the pair is named).
    """
    keys = order_keys(run, scores, blend)
    if not keys.size:
        return []
    docs, grades = run.docs[:, : keys.shape[1]], qrels.of_run(run)[:, : keys.shape[1]]
    relevant = grades >= qrels.relevance_level
    answer = np.where(relevant.any(axis=1), relevant.argmax(axis=1), keys.shape[1])
    best = np.where(relevant, keys, np.iinfo(np.int64).min).max(axis=1, keepdims=True)
    is_phantom = (keys > best) & (np.arange(keys.shape[1]) > answer[:, None]) & (docs != PAD)
    rows = np.flatnonzero(is_phantom.any(axis=1))
    rank_after = np.zeros(keys.shape, np.int32)
    rank_after[rows] = _ranks(keys[rows])
    appearances = np.bincount(docs[is_phantom], minlength=len(run.corpus))
    found = []
    for row, column in _farthest(is_phantom, rank_after, most):
        known = {*words(queries.texts[row])}
        document, place = int(docs[row, column]), int(answer[row])
        shared = known.intersection(words(run.corpus.texts_at([document])[0]))
        grade = int(grades[row, column])
        found.append(
            Phantom(
                query=run.query_ids[row],
                document=run.corpus.id_of(document),
                rank_before=column + 1,
                rank_after=int(rank_after[row, column]),
                answer=run.corpus.id_of(int(docs[row, place])),
                answer_before=place + 1,
                answer_after=int(rank_after[row, place]),
                lifted=column + 1 - int(rank_after[row, column]),
                overlap=len(shared) / max(len(known), 1),
                retriever_score=float(run.scores[row, column]),
                answer_retriever_score=float(run.scores[row, place]),
                also=int(appearances[document]) - 1,
                grade=None if grade == UNJUDGED else grade,
            )
        )
    return found


def _ranks(keys: NDArray[np.int64]) -> NDArray[np.int32]:
    """int32 [Q, D], rank of each key in its row, the largest 1."""
    ranks = np.empty(keys.shape, np.int32)
    order = np.argsort(-keys, axis=1)
    np.put_along_axis(ranks, order, np.arange(1, keys.shape[1] + 1, dtype=np.int32)[None, :], axis=1)
    return ranks


def _farthest(is_phantom: NDArray[np.bool_], rank_after: NDArray[np.int32], most: int) -> list[tuple[int, int]]:
    """Row and column of the phantoms that rose farthest."""
    rows, columns = np.nonzero(is_phantom)
    after = rank_after[rows, columns]
    lifted = columns + 1 - after
    if len(lifted) > most > 0:
        # Sorting millions for the sake of fifty would take longer than finding the fiftieth.
        near = lifted >= np.partition(lifted, -most)[-most]
        rows, columns, after, lifted = rows[near], columns[near], after[near], lifted[near]
    order = np.lexsort((after, rows, -lifted))[:most]
    return list(zip(rows[order].tolist(), columns[order].tolist(), strict=True))
