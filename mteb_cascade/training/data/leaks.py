"""The leak guard: training queries that repeat a held-out or a test query are found, listed and refused."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import numpy as np

from mteb_cascade.atomic import replaced
from mteb_cascade.corpora.collection import Split
from mteb_cascade.corpora.twins import twins
from mteb_cascade.training.lists import Lists


@dataclass(frozen=True)
class Leak:
    """A training query that is a test query's near-twin.

    Args:
        query_id: Of the training query.
        query: Its text.
        other_id: Of the test or held-out query.
        other: Its text.
        split: Where that one stands, such as "test".
        similarity: Jaccard similarity of their sets of words, in [0, 1].
        shared: Relevant documents that both have.
    """

    query_id: str
    query: str
    other_id: str
    other: str
    split: str
    similarity: float
    shared: tuple[str, ...]


def guarded(lists: Lists, splits: Mapping[str, Split]) -> tuple[Lists, tuple[Leak, ...]]:
    """The training queries that repeat no query of these splits, and a line on each pair that does.

    Args:
        lists: Documents are compared by their ids.
        splits: {name: what must not be learned}.
    """
    cells = lists.real & lists.relevant
    ids = iter(lists.corpus.ids_at(lists.docs[cells]))
    answers = [frozenset(next(ids) for _ in range(count)) for count in cells.sum(1).tolist()]
    queries, leaks, kept = lists.queries, [], np.ones(len(lists), bool)
    for name, split in splits.items():
        for twin in twins(queries.texts, answers, split):
            kept[twin.row] = False
            leaks.append(
                Leak(
                    queries.ids[twin.row],
                    queries.texts[twin.row],
                    split.queries.ids[twin.other],
                    split.queries.texts[twin.other],
                    name,
                    twin.similarity,
                    twin.shared,
                )
            )
    return lists if kept.all() else lists.rows(np.flatnonzero(kept)), tuple(leaks)


def write(path: Path, leaks: Sequence[Leak]) -> None:
    """Write a tab-separated line for each pair, under a header; shared documents are separated by spaces."""
    with replaced(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        rows.writerow(field.name for field in fields(Leak))
        for leak in leaks:
            *texts, similarity, shared = astuple(leak)
            rows.writerow([*texts, f"{similarity:.3f}", " ".join(shared)])
