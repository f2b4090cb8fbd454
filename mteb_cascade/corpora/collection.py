"""A test collection: corpus, queries and judgements under one name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.values.qrels import Qrels


@dataclass(frozen=True)
class Split:
    """Queries and their judgements.

    Args:
        queries: Q queries.
        qrels: Judgements, with the relevance level that belongs to this split.
        clusters: One name a query where queries are not independent (PythonDocs: the module), for statistics to
            resample.
    """

    queries: Queries
    qrels: Qrels
    clusters: tuple[str, ...] | None = None

    def judged(self) -> Split:
        """Only the queries with a relevant document, which is what mteb evaluates."""
        rows = np.flatnonzero(self.qrels.relevant_counts(self.queries.ids) > 0)
        return self.take(rows)

    def take(self, rows: NDArray[np.integer]) -> Split:
        """The queries at these rows."""
        queries = self.queries.rows(rows.tolist())
        clusters = tuple(self.clusters[i] for i in rows) if self.clusters else None
        return Split(queries, self.qrels.only(queries.ids), clusters)


@dataclass(frozen=True, repr=False)
class Collection:
    """A corpus with one or more splits.

    Args:
        name: What results call it.
        corpus: The documents.
        splits: {split name: queries and judgements}.
        revision: Digest or hub commit of the text.
        ignore_identical_ids: A document with the query's own id is taken out after ranking, as mteb does.
        note: One line for tables, such as the Python version behind PythonDocs.
    """

    name: str
    corpus: Corpus
    splits: Mapping[str, Split]
    revision: str = ""
    ignore_identical_ids: bool = False
    note: str = ""

    def split(self, name: str) -> Split:
        """One split by name.

        Raises:
            InputError: There is none of that name; lists those that exist.
        """
        if name not in self.splits:
            raise InputError(f"{self.name} has no split '{name}'. {suggestion(name, self.splits)}")
        return self.splits[name]

    def at_level(self, relevance_level: int) -> Collection:
        """The same collection, counting grades of at least this as relevant."""
        splits = {
            name: replace(split, qrels=Qrels(split.qrels.grades, relevance_level))
            for name, split in self.splits.items()
        }
        return replace(self, splits=splits)

    def __repr__(self) -> str:
        splits = ", ".join(f"{name}: {len(split.queries):,} queries" for name, split in self.splits.items())
        return f"Collection({self.name}: {len(self.corpus):,} documents; {splits})"
