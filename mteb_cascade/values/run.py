"""A run is two rectangles: which documents, and with what score, best first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.values.sorting import LAST, best_first, sort_keys

if TYPE_CHECKING:
    from mteb_cascade.corpora.corpus import Corpus

PAD = -1
"""Row number that fills a list which ended early; its score is -inf."""

CELLS = 2**16
"""Candidates sorted at a time: what is made of them on the way stays in a processor's own memory."""


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """Ranked candidates of Q queries, K columns each; a column is a rank, cutting is slicing.

    Args:
        query_ids: Q ids; row i answers the i-th query given.
        corpus: What the rows of `docs` point into.
        docs: int32 [Q, K], rows of the corpus, best first; -1 pads the end of a short list.
        scores: float32 [Q, K]; -inf at pads.

    Raises:
        ValueError: The shapes disagree.
    """

    query_ids: tuple[str, ...]
    corpus: Corpus
    docs: NDArray[np.int32]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.docs.shape != self.scores.shape or self.docs.ndim != 2 or len(self.docs) != len(self.query_ids):
            raise ValueError(
                f"a run of {len(self.query_ids)} queries needs docs and scores of one shape [Q, K]; "
                f"got {self.docs.shape} and {self.scores.shape}"
            )

    def __repr__(self) -> str:
        return f"Run({len(self.query_ids):,} queries x {self.depth:,} candidates from {self.corpus!r})"

    @classmethod
    def ranked(
        cls, query_ids: Sequence[str], corpus: Corpus, docs: NDArray[np.int32], scores: NDArray[np.floating]
    ) -> Run:
        """Sort each row by trec_eval's and mteb's rule: score descending, then id descending, pads last.

        Args:
            query_ids: Q ids.
            corpus: Its `tie` breaks ties.
            docs: int32 [Q, K] in any order, -1 where there is no document.
            scores: [Q, K]; compared as float32, which is what trec_eval keeps.

        Returns:
            The sorted run, of the same shape.

        Raises:
            ValueError: A score is NaN (the pair is named), or a document stands twice in a row.
        """
        docs, scores = np.asarray(docs, np.int32), np.asarray(scores)
        if docs.shape != scores.shape or docs.ndim != 2:
            raise ValueError(f"docs and scores need one shape [Q, K]; got {docs.shape} and {scores.shape}")
        every = np.empty(docs.shape, np.int32), np.empty(docs.shape, np.float32)
        size = max(1, CELLS // max(docs.shape[1], 1))
        for start in range(0, len(docs), size):
            part = slice(start, start + size)
            every[0][part], every[1][part] = _ranked(query_ids[part], corpus, docs[part], scores[part])
        return cls(tuple(query_ids), corpus, *every)

    @classmethod
    def empty(cls, query_ids: Sequence[str], corpus: Corpus, columns: int = 0) -> Run:
        """A run that found nothing."""
        shape = (len(query_ids), columns)
        return cls(tuple(query_ids), corpus, np.full(shape, PAD, np.int32), np.full(shape, -np.inf, np.float32))

    @property
    def depth(self) -> int:
        """Number of columns, K."""
        return int(self.docs.shape[1])

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [Q], documents found for each query."""
        return np.asarray((self.docs != PAD).sum(axis=1), np.int64)

    def cut(self, k: int) -> Run:
        """The first k columns."""
        return Run(self.query_ids, self.corpus, self.docs[:, :k], self.scores[:, :k])

    def rows(self, rows: slice | NDArray[np.integer]) -> Run:
        """The queries at these rows, in this order."""
        ids = np.asarray(self.query_ids, dtype=object)[rows]
        return Run(tuple(ids), self.corpus, self.docs[rows], self.scores[rows])

    def widened(self, k: int) -> Run:
        """The same run padded to at least k columns."""
        missing = k - self.depth
        if missing <= 0:
            return self
        pad = ((0, 0), (0, missing))
        return Run(
            self.query_ids,
            self.corpus,
            np.pad(self.docs, pad, constant_values=PAD),
            np.pad(self.scores, pad, constant_values=-np.inf),
        )

    def without(self, unwanted: NDArray[np.bool_]) -> Run:
        """The run with these cells taken out and the rest moved up.

        Args:
            unwanted: bool [Q, K].
        """
        gone = unwanted | (self.docs == PAD)
        order = np.argsort(gone, axis=1, kind="stable")
        docs = np.where(gone, PAD, self.docs).astype(np.int32)
        scores = np.where(gone, np.float32(-np.inf), self.scores)
        return Run(
            self.query_ids,
            self.corpus,
            np.take_along_axis(docs, order, axis=1),
            np.take_along_axis(scores, order, axis=1),
        )

    def without_identical_ids(self) -> Run:
        """The run without documents whose id is the query's own (mteb's `ignore_identical_ids`)."""
        own = self.corpus.rows(self.query_ids)
        return self.without((self.docs == own[:, None]) & (own[:, None] != PAD))

    def ids(self, row: int) -> list[str]:
        """Document ids of one query, best first, without pads."""
        docs = self.docs[row]
        return self.corpus.ids_at(docs[docs != PAD])

    def as_dict(self) -> dict[str, dict[str, float]]:
        """{query: {document: score}} for mteb and TREC tools; a query that found nothing has {}."""
        ids = iter(self.corpus.ids_at(self.docs[self.docs != PAD]))
        return {
            query: dict(zip(islice(ids, length), scores[:length].tolist(), strict=True))
            for query, length, scores in zip(self.query_ids, self.lengths.tolist(), self.scores, strict=True)
        }


def _ranked(
    query_ids: Sequence[str], corpus: Corpus, docs: NDArray[np.int32], scores: NDArray[np.floating]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Documents and scores of some queries, sorted as `Run.ranked` says."""
    pads = docs == PAD
    # Adding 0.0 turns -0.0 into 0.0: the two are one score and must tie.
    scores = np.where(pads, np.float32(-np.inf), np.asarray(scores, np.float32) + np.float32(0.0))
    if np.isnan(scores).any():
        row, column = np.argwhere(np.isnan(scores))[0]
        raise ValueError(
            f"the score of query '{query_ids[row]}' and document '{corpus.id_of(int(docs[row, column]))}' is NaN"
        )
    # The tie that a pad gets here is another document's, and is not looked at.
    tie = corpus.tie[docs] if len(corpus) else docs
    order = best_first(np.where(pads, LAST, sort_keys(scores, tie)))
    docs = np.take_along_axis(docs, order, axis=1)
    refuse_repeated(query_ids, corpus, docs)
    return docs, np.take_along_axis(scores, order, axis=1)


def refuse_repeated(query_ids: Sequence[str], corpus: Corpus, docs: NDArray[np.int32]) -> None:
    """Raise ValueError where a document stands twice in a row of `docs` [Q, K]."""
    if docs.shape[1] < 2:
        return
    in_order = np.sort(docs, axis=1)
    twice = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] != PAD)
    if twice.any():
        row, column = np.argwhere(twice)[0]
        raise ValueError(
            f"document '{corpus.id_of(int(in_order[row, column]))}' stands twice in the list of query "
            f"'{query_ids[row]}'; every document may stand there once"
        )
