"""Training data as a collection or file gave them, before anything is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mteb_cascade.corpora.collection import Split
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.training.lists import Lists


@dataclass(frozen=True, eq=False)
class Source:
    """What is learned from, and what must not be.

    Args:
        lists: Training queries with their documents; some may have none, or no text.
        corpus: What held-out queries search.
        held_out: Queries that choose the checkpoint.
        held_out_name: Their split.
        others: {split name: queries that must not be repeated}, the held-out ones among them.
        name: What messages call it.
        notes: One line each on what could not be had.
    """

    lists: Lists
    corpus: Corpus
    held_out: Split | None
    held_out_name: str
    others: Mapping[str, Split]
    name: str
    notes: Sequence[str] = field(default_factory=list)
