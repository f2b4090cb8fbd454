"""From single judgements to the lists that a model learns from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.training.lists import Lists
from mteb_cascade.values.run import PAD


def listed(
    queries: Queries,
    corpus: Corpus,
    asked: NDArray[np.integer],
    docs: NDArray[np.integer],
    labels: NDArray[np.floating],
    relevant: NDArray[np.bool_],
    *,
    groups: NDArray[np.int32] | None = None,
    scored: bool = False,
) -> Lists:
    """Lists of M judgements: relevant documents first, the best label first, then in the order given.

    A document that is named twice for a query counts once: as relevant, if it is that anywhere, and with the label
    named there first.

    Args:
        queries: Q queries.
        corpus: N documents.
        asked: int [M], row of the query.
        docs: int [M], row of the document.
        labels: float [M], grade or score.
        relevant: bool [M].
        groups: As `Lists` has them.
        scored: Whether the labels are a teacher's scores.
    """
    order = np.lexsort((np.arange(len(asked)), ~relevant, docs, asked))
    repeated = np.zeros(len(order), bool)
    repeated[1:] = (np.diff(asked[order]) == 0) & (np.diff(docs[order]) == 0)
    order = np.sort(order[~repeated])
    order = order[np.lexsort((-labels[order], ~relevant[order], asked[order]))]
    rows = asked[order]
    counts = np.bincount(rows, minlength=len(queries))
    places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
    shape = len(queries), int(counts.max(initial=0))
    table, grades, answers = np.full(shape, PAD, np.int32), np.zeros(shape, np.float32), np.zeros(shape, bool)
    table[rows, places] = docs[order]
    grades[rows, places] = labels[order]
    answers[rows, places] = relevant[order]
    return Lists(queries, corpus, table, grades, answers, groups, scored)


def only(lists: Lists, kept: NDArray[np.bool_]) -> Lists:
    """The lists without the documents outside `kept`, bool [Q, L]."""
    asked, _ = np.nonzero(kept)
    values = lists.docs[kept], lists.labels[kept], lists.relevant[kept]
    return listed(lists.queries, lists.corpus, asked, *values, groups=lists.groups, scored=lists.scored)
