"""What chance gives, exactly: candidates in random order, and a retriever that draws documents at random.

Of d documents in random order, R of them relevant, the first relevant one stands below rank r with probability
s(r) = C(d - R, r) / C(d, r); so success@k is 1 - s(k) and the mean of 1 / rank the sum of (s(r - 1) - s(r)) / r. A
document's rank is uniform, which gives the measures that are sums over documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.values.measures import DEFAULT, Measure, denominators
from mteb_cascade.values.qrels import UNJUDGED, Qrels
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    from mteb_cascade.corpora.corpus import Corpus


def random_order(
    run: Run, qrels: Qrels, measures: Sequence[str] = DEFAULT, depth: int | None = None
) -> dict[str, NDArray[np.float32]]:
    """Expected figures of a reranker that shuffles the first d candidates, the others keeping their ranks.

    Args:
        run: The ranking that the reranker received, [Q, K].
        qrels: Judgements; documents outside the pool stay in denominators and ideal gains.
        measures: Names, see `Measure`.
        depth: The deepest d, D <= K; None: K.

    Returns:
        {name: float32 [Q, D]}; column c holds d = c + 1. NaN where a query has no positive.

    Raises:
        InputError: A measure is unknown.
    """
    parsed = {name: Measure.parse(name) for name in measures}
    grades = qrels.of_run(run)
    columns = run.depth if depth is None else min(depth, run.depth)
    # Beyond a short list's end nothing is left to shuffle.
    shuffled = np.minimum(np.arange(1, columns + 1), np.maximum(run.lengths, 1)[:, None])
    relevant = grades >= qrels.relevance_level
    found = {}
    for name, measure in parsed.items():
        if measure.kind in ("success", "mrr"):
            values = _first_in_random_order(measure, relevant, shuffled)
        else:
            gains = {"recall": relevant, "judged": grades != UNJUDGED}.get(measure.kind, np.maximum(grades, 0))
            values = _sum_in_random_order(measure, gains, shuffled)
        values /= denominators(measure, qrels, run)[:, None]
        found[name] = values.astype(np.float32)
    return found


def random_retriever(
    query_ids: Sequence[str], corpus: Corpus, qrels: Qrels, measures: Sequence[str] = DEFAULT
) -> dict[str, NDArray[np.float64]]:
    """Expected figures of a random ranking of the whole corpus.

    Args:
        query_ids: Q ids.
        corpus: N documents. Relevant ones outside it are never found, and stay in the denominators.
        qrels: Judgements.
        measures: Names, see `Measure`.

    Returns:
        {name: float64 [Q]}, NaN where a query has no positive.

    Raises:
        InputError: A measure is unknown.
    """
    grades = _grades_in_corpus(query_ids, corpus, qrels)
    documents, nothing = len(corpus), Run.empty(query_ids, corpus)
    relevant = np.array([(of >= qrels.relevance_level).sum() for of in grades], np.int64)
    found = {}
    for name in measures:
        measure = Measure.parse(name)
        looked_at = min(measure.cutoff, documents)
        if measure.kind in ("success", "mrr"):
            distinct, which = np.unique(relevant, return_inverse=True)
            values = _first(measure, np.array([documents]), distinct)[0, which]
        elif measure.kind == "ndcg":
            gains = np.array([np.maximum(of, 0).sum() for of in grades])
            values = gains * _discounts(looked_at)[-1] / max(documents, 1)
        elif measure.kind == "recall":
            values = relevant * looked_at / max(documents, 1)
        else:
            # `denominators` cannot know how many documents a ranking of the corpus has.
            judged = np.array([len(of) for of in grades]) / max(documents, 1)
            found[name] = judged
            continue
        found[name] = values / denominators(measure, qrels, nothing)
    return found


def _first(measure: Measure, documents: NDArray[np.integer], relevant: NDArray[np.integer]) -> NDArray[np.float64]:
    """float64 [S, U], success@k or MRR@k of S numbers of documents in random order, with U numbers relevant."""
    everything, wanted = documents[:, None].astype(np.float64), relevant.astype(np.float64)
    below = np.ones((len(documents), len(relevant)))
    reciprocal = np.zeros_like(below)
    for rank in range(1, min(measure.cutoff, int(documents.max(initial=0))) + 1):
        left = np.maximum(everything - (rank - 1), 1)
        next_below = below * (1 - np.minimum(wanted / left, 1))
        reciprocal += (below - next_below) / rank
        below = next_below
    return reciprocal if measure.kind == "mrr" else 1 - below


def _first_in_random_order(
    measure: Measure, relevant: NDArray[np.bool_], shuffled: NDArray[np.int64]
) -> NDArray[np.float64]:
    """float64 [Q, D], success@k or MRR@k when the first `shuffled` [Q, D] candidates stand in random order."""
    if not shuffled.size:
        return np.zeros(shuffled.shape)
    counts = np.cumsum(relevant, axis=1, dtype=np.int64)[:, : shuffled.shape[1]]
    distinct, which = np.unique(counts, return_inverse=True)
    every_size = np.arange(1, shuffled.shape[1] + 1)
    table = _first(measure, every_size, distinct)
    values: NDArray[np.float64] = table[shuffled - 1, which.reshape(counts.shape)]
    # Where none is among them, the first relevant document keeps its rank.
    rank = np.where(relevant.any(axis=1), relevant.argmax(axis=1) + 1, np.inf)
    untouched = 1 / rank if measure.kind == "mrr" else np.ones(len(rank))
    return np.where(counts == 0, np.where(rank <= measure.cutoff, untouched, 0.0)[:, None], values)


def _sum_in_random_order(measure: Measure, gains: NDArray[Any], shuffled: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64 [Q, D], sum of the first k gains, discounted for nDCG, when the first `shuffled` are in random order."""
    columns = shuffled.shape[1]
    gains = gains.astype(np.float64)
    looked_at = min(measure.cutoff, gains.shape[1])
    worth = _discounts(max(columns, looked_at)) if measure.kind == "ndcg" else np.arange(max(columns, looked_at) + 1.0)
    kept = np.cumsum(gains[:, :looked_at] * np.diff(worth)[:looked_at], axis=1)
    total = kept[:, -1:] if looked_at else np.zeros((len(gains), 1))
    beyond = np.zeros(shuffled.shape)
    inside = min(looked_at, columns)
    beyond[:, :inside] = total - kept[:, :inside]
    among = np.cumsum(gains[:, :columns], axis=1) / shuffled
    return among * worth[np.minimum(shuffled, measure.cutoff)] + beyond


def _discounts(ranks: int) -> NDArray[np.float64]:
    """float64 [ranks + 1], sum of 1 / log2(rank + 1) over the first 0, 1, ... ranks."""
    return np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, ranks + 2)))])


def _grades_in_corpus(query_ids: Sequence[str], corpus: Corpus, qrels: Qrels) -> list[NDArray[np.int64]]:
    """Grades of each query's judged documents that the corpus has."""
    judged = [qrels.of(query) for query in query_ids]
    ids = sorted({doc for of in judged for doc in of})
    inside = {doc for doc, row in zip(ids, corpus.rows(ids), strict=True) if row != PAD}
    return [np.array([grade for doc, grade in of.items() if doc in inside], np.int64) for of in judged]
