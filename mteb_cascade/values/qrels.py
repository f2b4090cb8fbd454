"""Relevance judgements, and what they say of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from mteb_cascade.values.run import Run

UNJUDGED = np.iinfo(np.int32).min
"""Grade of a document that nobody judged; pads have it too."""


@dataclass(frozen=True, eq=False)
class Qrels:
    """Grades of judged documents.

    Args:
        grades: {query id: {document id: grade}}. Documents outside the corpus belong here: they stay in
            denominators and ideal gains.
        relevance_level: A grade of at least this is relevant for recall, success and MRR (nDCG uses the grades).
    """

    grades: Mapping[str, Mapping[str, int]]
    relevance_level: int = 1
    _empty: Mapping[str, int] = field(default_factory=dict, repr=False)

    def of(self, query: str) -> Mapping[str, int]:
        """{document id: grade} of one query; empty when it has no judgement."""
        return self.grades.get(query, self._empty)

    def only(self, query_ids: Sequence[str]) -> Qrels:
        """The judgements of these queries."""
        return Qrels({query: self.grades[query] for query in query_ids if query in self.grades}, self.relevance_level)

    def relevant_counts(self, query_ids: Sequence[str]) -> NDArray[np.int64]:
        """int64 [Q], relevant documents of each query, in the corpus or not."""
        level = self.relevance_level
        return np.array([sum(grade >= level for grade in self.of(query).values()) for query in query_ids], np.int64)

    def of_run(self, run: Run) -> NDArray[np.int32]:
        """Grade of every cell of a run.

        Returns:
            int32 [Q, K], `UNJUDGED` where there is no judgement or no document.
        """
        judged = [(row, doc, grade) for row, query in enumerate(run.query_ids) for doc, grade in self.of(query).items()]
        found = np.full(run.docs.shape, UNJUDGED, np.int32)
        if not judged or not run.docs.size:
            return found
        docs = run.corpus.rows([doc for _, doc, _ in judged])
        inside = docs >= 0
        rows = np.array([row for row, _, _ in judged])[inside]
        grades = np.array([grade for _, _, grade in judged], np.int32)[inside]
        size = len(run.corpus)
        keys = rows.astype(np.int64) * size + docs[inside]
        order = np.argsort(keys)
        keys, grades = keys[order], grades[order]
        if not len(keys):
            return found
        cells = np.arange(len(run.docs), dtype=np.int64)[:, None] * size + run.docs
        at = np.minimum(np.searchsorted(keys, cells), len(keys) - 1)
        hit = (keys[at] == cells) & (run.docs >= 0)
        found[hit] = grades[at[hit]]
        return found
