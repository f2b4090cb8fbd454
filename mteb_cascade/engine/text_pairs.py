"""Pairs of texts by where they stand, so that no text is fetched before it is read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.tokens import BYTES, estimated


@dataclass(frozen=True, eq=False)
class TextPairs:
    """n pairs (query, document).

    Args:
        queries: Texts of the queries.
        rows: int [n], which query.
        docs: int [n], which document.
        texts_at: Texts of documents.
        sizes_at: int64 [len(docs)], bytes of the texts of documents.
    """

    queries: Sequence[str]
    rows: NDArray[np.integer]
    docs: NDArray[np.integer]
    texts_at: Callable[[NDArray[np.integer]], list[str]]
    sizes_at: Callable[[NDArray[np.integer]], NDArray[np.int64]]

    @classmethod
    def of(cls, pairs: Sequence[tuple[str, str]]) -> TextPairs:
        """Pairs that are in memory."""
        queries = list(dict.fromkeys(query for query, _ in pairs))
        place = {query: row for row, query in enumerate(queries)}
        documents = [document for _, document in pairs]
        return cls(
            queries,
            np.array([place[query] for query, _ in pairs], np.int64),
            np.arange(len(pairs)),
            lambda rows: [documents[row] for row in rows],
            lambda rows: np.array([len(documents[row].encode()) for row in rows], np.int64),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def estimates(self, limit: int | None) -> NDArray[np.int64]:
        """int64 [n], about as many tokens as the pairs have, cut at `limit`; for sorting only."""
        sizes: NDArray[np.int64] = estimated(self.queries)[self.rows] + self.sizes_at(self.docs) // BYTES + 2
        return sizes if limit is None else np.minimum(sizes, limit)

    def sides(self, pairs: NDArray[np.integer]) -> tuple[list[str], NDArray[np.intp], list[str], NDArray[np.intp]]:
        """The distinct queries of some pairs, which of them each has, and the same of the documents."""
        asked, query = np.unique(self.rows[pairs], return_inverse=True)
        docs, document = np.unique(self.docs[pairs], return_inverse=True)
        return [self.queries[row] for row in asked.tolist()], query, self.texts_at(docs), document

    def texts(self, pairs: NDArray[np.integer]) -> list[tuple[str, str]]:
        """These pairs as text."""
        documents = self.texts_at(self.docs[pairs])
        return [(self.queries[row], text) for row, text in zip(self.rows[pairs].tolist(), documents, strict=True)]
