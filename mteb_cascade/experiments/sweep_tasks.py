"""What pipelines are swept on: a collection, the split that is reported, and the one that chooses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.corpora.dev_split import with_dev
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.depth_figures import refuse_without_positives
from mteb_cascade.spec import shown
from mteb_cascade.values.slices import slices


@dataclass(frozen=True, eq=False)
class Task:
    """What pipelines are swept on.

    Args:
        source: What the user typed: a task's name or a folder.
        collection: Its corpus, and the splits.
        split: The one that is reported.
        dev: The one that chooses; None where there is none.
        own_slices: {column: {query id: slice}} of the user's.
    """

    source: str
    collection: Collection
    split: str
    dev: str | None
    own_slices: Mapping[str, Mapping[str, str]]

    @property
    def title(self) -> str:
        """Collection and split."""
        return f"{self.collection.title}, {self.split}"

    def queries(self, split: str) -> Queries:
        """The queries of a split, with what a stage may know of them."""
        return self.collection.split(split).queries.within(**self.collection.context(split))

    @property
    def splits(self) -> list[str]:
        """The split that is reported and, where there is one, the one that chooses."""
        return [self.split, *([self.dev] if self.dev else [])]

    def wanted(self, pool: int) -> int:
        """Candidates to retrieve: one more where the query's own document is taken out of them."""
        return pool + 1 if self.collection.ignore_identical_ids else pool

    @property
    def slices(self) -> dict[str, NDArray[np.str_]]:
        """{what by: label of each query} of the reported split."""
        return slices(self.collection.split(self.split).queries, self.own_slices)


def task_of(
    source: str,
    collection: Collection,
    split: str | None,
    depth: int,
    *,
    dev: bool = True,
    dev_fraction: float | None = None,
    seed: int = 0,
    own: Path | None = None,
) -> Task:
    """A collection as a task of a sweep.

    Raises:
        InputError: The depth is over the corpus, no query has a relevant document, or the collection brings its own
            candidates.
    """
    split = split or collection.default_split
    if collection.split(split).candidates is not None:
        raise InputError(
            f"{collection.title} is a reranking task: it brings its candidates, and there is no depth to sweep"
        )
    if depth > len(collection.corpus):
        raise InputError(
            f"depth {depth:,}: {collection.title} has {len(collection.corpus):,} documents; expected at most that"
        )
    refuse_without_positives(collection.split(split), f"{collection.title}, {split}")
    chosen = None
    if dev:
        collection, split, chosen = with_dev(collection, split, dev_fraction, seed)
    if chosen:
        for part in (split, chosen):
            refuse_without_positives(collection.split(part), f"{collection.title}, {part}")
    labels = own_slices(own) if own else {}
    asked = collection.split(split).queries
    if own and not any(set(asked.ids) & set(column) for column in labels.values()):
        raise InputError(f"{shown(own)}: names none of the {len(asked):,} queries of {collection.title}, {split}")
    slices(asked, labels)
    return Task(source, collection, split, chosen, labels)


def own_slices(path: Path) -> dict[str, dict[str, str]]:
    """{column: {query id: slice}} of a table: a heading, the query id first, then one or more columns, tabs between.

    Raises:
        InputError: It cannot be read, or a line has too few or too many columns.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{shown(path)}: cannot be read ({error}); expected query-id<TAB>slice with a heading"
        ) from None
    heading, *rows = [line.split("\t") for line in lines if line.strip()] or [[]]
    if len(heading) < 2:
        raise InputError(
            f"{shown(path)}: expected a heading of two or more columns with tabs between: query-id<TAB>slice"
        )
    for number, row in enumerate(rows, 2):
        if len(row) != len(heading):
            raise InputError(f"{shown(path)}: line {number} has {len(row)} columns; its heading has {len(heading)}")
    return {name: {row[0]: row[column] for row in rows} for column, name in enumerate(heading) if column}
