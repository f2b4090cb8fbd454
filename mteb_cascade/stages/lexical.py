"""What BM25 and TF-IDF share: an index of the words of one corpus, and no result without a shared word."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.exact import best, stacked
from mteb_cascade.values.run import PAD, Run

CELLS = 2**20
"""Query-document scores held at once."""


@dataclass(kw_only=True, eq=False, repr=False)
class LexicalStage(Stage):
    """A stage whose scores come from word statistics of the corpus, positive where a word is shared, else 0.

    A document that shares no word with the query is not returned: there is no evidence for it.
    """

    stored: ClassVar[bool] = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._built: tuple[str, Any] | None = None

    @abstractmethod
    def build(self, corpus: Corpus) -> Any:
        """The index of a corpus; None where it holds no word."""

    @abstractmethod
    def matched(self, texts: list[str], index: Any) -> NDArray[np.float32]:
        """float32 [len(texts), N], the score of every document of an index with N; at least one text."""

    def _index_of(self, corpus: Corpus) -> Any:
        """The index, built on first use."""
        with self._lock:
            if self._built is None or self._built[0] != corpus.digest:
                self._built = (corpus.digest, self.build(corpus))
            return self._built[1]

    def _scores(self, texts: tuple[str, ...], corpus: Corpus) -> NDArray[np.float32]:
        """float32 [len(texts), N], the score of every document."""
        index = self._index_of(corpus)
        if index is None or not texts:
            return np.zeros((len(texts), len(corpus)), np.float32)
        return self.matched(list(texts), index)

    def _blocks(self, queries: Queries, corpus: Corpus) -> list[range]:
        size = max(1, CELLS // max(len(corpus), 1))
        return [range(start, min(start + size, len(queries))) for start in range(0, len(queries), size)]

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The k best documents that share a word with the query."""
        runs = []
        for rows in self._blocks(queries, self.corpus):
            part = queries.rows(rows)
            scores = self._scores(part.texts, self.corpus)
            scores[scores <= 0] = -np.inf
            runs.append(best(part.ids, self.corpus, [(0, scores)], k))
        return stacked(runs, queries, self.corpus)

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """The score of every candidate, 0 where no word is shared."""
        found = np.full(candidates.docs.shape, -np.inf, np.float32)
        if not len(candidates.corpus):
            return found
        for rows in self._blocks(queries, candidates.corpus):
            scores = self._scores(queries.texts[rows.start : rows.stop], candidates.corpus)
            docs = candidates.docs[rows.start : rows.stop]
            values = np.take_along_axis(scores, np.maximum(docs, 0), axis=1)
            found[rows.start : rows.stop] = np.where(docs == PAD, -np.inf, values)
        return found
