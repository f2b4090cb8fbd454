"""A test collection: corpus, queries and judgements under one name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

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
        candidates: {query: document ids} of a Reranking task, whose queries rank these alone; None where the whole
            corpus is searched.
        part_of: Of a part of a split, the name of the whole, which run files and models know.
    """

    queries: Queries
    qrels: Qrels
    clusters: tuple[str, ...] | None = None
    candidates: Mapping[str, Sequence[str]] | None = None
    part_of: str = ""

    def judged(self) -> Split:
        """Only the queries with a relevant document, which is what mteb evaluates."""
        rows = np.flatnonzero(self.qrels.relevant_counts(self.queries.ids) > 0)
        return self.take(rows)

    def take(self, rows: NDArray[np.integer]) -> Split:
        """The queries at these rows."""
        queries = self.queries.rows(rows.tolist())
        clusters = tuple(self.clusters[i] for i in rows) if self.clusters else None
        return Split(queries, self.qrels.only(queries.ids), clusters, self.candidates, self.part_of)


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
        subset: mteb's hf_subset: a multilingual task is one collection a language.
        task: Name of its task, where that is not the collection's own.
        task_metadata: mteb's, of a task of mteb: models choose prompts by it.
        main_split: The split that is meant where none is named.
    """

    name: str
    corpus: Corpus
    splits: Mapping[str, Split]
    revision: str = ""
    ignore_identical_ids: bool = False
    note: str = ""
    subset: str = "default"
    task: str = ""
    task_metadata: Any = None
    main_split: str = ""

    @property
    def title(self) -> str:
        """Its name, with the subset where it has one."""
        return self.name if self.subset == "default" else f"{self.name} ({self.subset})"

    @property
    def default_split(self) -> str:
        """The main split; else `test` where there is one; else the first besides train and dev; else the first."""
        if self.main_split:
            return self.main_split
        return main_of([name for name in self.splits if name not in ("train", "dev")] or list(self.splits))

    def context(self, split: str) -> dict[str, Any]:
        """What a stage may know of the queries of a split beside their text, in mteb's words."""
        metadata = {} if self.task_metadata is None else {"task_metadata": self.task_metadata}
        whole = (self.splits[split].part_of if split in self.splits else "") or split
        return {"task": self.task or self.name, "hf_split": whole, "hf_subset": self.subset, **metadata}

    def split(self, name: str) -> Split:
        """One split by name.

        Raises:
            InputError: There is none of that name; lists those that exist.
        """
        if name not in self.splits:
            raise InputError(f"{self.title} has no split '{name}'. {suggestion(name, self.splits)}")
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
        return f"Collection({self.title}: {len(self.corpus):,} documents; {splits})"


def main_of(splits: Sequence[str]) -> str:
    """`test` where it is among the splits, else the first of them."""
    return "test" if "test" in splits else splits[0]
