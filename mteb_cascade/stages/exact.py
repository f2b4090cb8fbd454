"""Exact top k from blocks of scores, where a cut never splits a tie by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.values.run import PAD, Run

QUERY_BLOCK, DOCUMENT_BLOCK = 1_024, 16_384
"""Queries and documents whose scores are held at once."""


def nearest(
    queries: Queries, corpus: Corpus, scored: Callable[[slice, NDArray[np.integer]], NDArray[np.float32]], k: int
) -> Run:
    """The k best documents of each query, blocks of queries against blocks of the corpus.

    Args:
        queries: Q queries.
        corpus: N documents.
        scored: (which of the queries, rows of the corpus [n]) to float32 [q, n]; -inf is never returned.
        k: Columns wanted, >= 1.
    """

    def blocks(part: slice) -> Iterator[tuple[int, NDArray[np.float32]]]:
        for first in range(0, len(corpus), DOCUMENT_BLOCK):
            yield first, scored(part, np.arange(first, min(first + DOCUMENT_BLOCK, len(corpus))))

    parts = [slice(start, start + QUERY_BLOCK) for start in range(0, len(queries), QUERY_BLOCK)]
    return stacked([best(queries.ids[part], corpus, blocks(part), k) for part in parts], queries, corpus)


def best(query_ids: Sequence[str], corpus: Corpus, blocks: Iterable[tuple[int, NDArray[np.float32]]], k: int) -> Run:
    """The k best documents of each query.

    Args:
        query_ids: Q ids.
        corpus: What the blocks are columns of.
        blocks: (first row of the corpus, scores [Q, n] of n consecutive documents). -inf is "no evidence": never
            returned.
        k: Columns wanted, >= 1.

    Returns:
        A run of at most k columns; documents that tie at the cut are chosen by id, as everywhere.
    """
    refuse_none(k)
    docs = np.empty((len(query_ids), 0), np.int32)
    scores = np.empty((len(query_ids), 0), np.float32)
    for first, block in blocks:
        found = at_least_kth(block, k)
        inside = found != PAD
        block = np.where(inside, np.take_along_axis(block, np.where(inside, found, 0), axis=1), np.float32(-np.inf))
        docs = np.hstack([docs, np.where(inside, found + np.int32(first), PAD).astype(np.int32)])
        several = docs.shape[1] > found.shape[1]
        scores = np.hstack([scores, block])
        if several:
            kept = at_least_kth(scores, k)
            inside = kept != PAD
            kept = np.where(inside, kept, 0)
            docs = np.where(inside, np.take_along_axis(docs, kept, axis=1), PAD).astype(np.int32)
            scores = np.where(inside, np.take_along_axis(scores, kept, axis=1), np.float32(-np.inf))
        if docs.shape[1] > 4 * k:  # many ties at the cut: settle them now, or they pile up block by block
            settled = Run.ranked(query_ids, corpus, docs, scores).cut(k)
            docs, scores = settled.docs, settled.scores
    return Run.ranked(query_ids, corpus, docs, scores).cut(k)


def at_least_kth(scores: NDArray[np.float32], k: int) -> NDArray[np.int32]:
    """Columns of every score that is at least the row's k-th largest, ties included, -inf never.

    Args:
        scores: [Q, n].
        k: >= 1.

    Returns:
        int32 [Q, m], columns in ascending order, -1 pads the end of a row.

    >>> at_least_kth(np.float32([[3, 1, 1, 2], [0, -np.inf, 5, -np.inf]]), 3).tolist()
    [[0, 1, 2, 3], [0, 2, -1, -1]]
    """
    kept = scores > -np.inf
    if scores.shape[1] > k:
        kth = np.partition(scores, scores.shape[1] - k, axis=1)[:, -k]
        kept &= scores >= kth[:, None]
    # NaN compares as False everywhere: keep it, so that ranking names the pair instead of losing it.
    kept |= np.isnan(scores)
    counts = np.count_nonzero(kept, axis=1)
    rows = np.repeat(np.arange(len(kept)), counts)
    cells = np.flatnonzero(kept)  # As np.nonzero, which takes several times as long of two dimensions.
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    found = np.full((len(scores), int(counts.max(initial=0))), PAD, np.int32)
    found[rows, places] = cells - rows * scores.shape[1]
    return found


def refuse_none(k: int) -> None:
    """Raise InputError where no document is wanted."""
    if k < 1:
        raise InputError(f"k: expected at least 1 document a query, got {k}")


def ranked_lists(
    ids: Sequence[str], corpus: Corpus, lists: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]]
) -> Run:
    """Lists of documents and their scores, one a query and at least one, as a run."""
    columns = max(len(docs) for docs, _ in lists)
    every = np.full((len(lists), columns), PAD, np.int32)
    scores = np.full(every.shape, -np.inf, np.float32)
    for row, (docs, own) in enumerate(lists):
        every[row, : len(docs)], scores[row, : len(docs)] = docs, own
    return Run.ranked(ids, corpus, every, scores)


def stacked(runs: Sequence[Run], queries: Queries, corpus: Corpus) -> Run:
    """Runs of consecutive queries as one, padded to the widest."""
    if not runs:
        return Run.empty(queries.ids, corpus)
    columns = max(run.depth for run in runs)
    runs = [run.widened(columns) for run in runs]
    return Run(
        queries.ids, corpus, np.concatenate([run.docs for run in runs]), np.concatenate([run.scores for run in runs])
    )
