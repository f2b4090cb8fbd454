"""Pairs of a text that asks and a text that answers, as training lists."""

from __future__ import annotations

from collections import Counter

import numpy as np

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.training.data.listed import listed
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.recipes.pairs import training_pairs


def pair_lists(collection: Collection) -> Lists:
    """The training pairs of a collection: queries, names and sentences, each with the document it belongs to.

    Texts that ask are one query where they are equal. A document has several texts, one without each sentence that is
    asked: they are a group, of which none is a negative for what another one answers.
    """
    pairs = training_pairs(collection)
    asked: dict[str, int] = {}
    kinds: list[str] = []
    documents: dict[tuple[int, str], int] = {}
    rows = np.empty((2, len(pairs)), np.int64)
    for number, pair in enumerate(pairs):
        if pair.query not in asked:
            kinds.append(pair.kind)
        rows[0, number] = asked.setdefault(pair.query, len(asked))
        rows[1, number] = documents.setdefault((pair.row, pair.document), len(documents))
    order: Counter[str] = Counter()
    ids = tuple(numbered(kind, order) for kind in kinds)
    return listed(
        Queries(ids, tuple(asked)),
        corpus_of(collection, list(documents)),
        rows[0],
        rows[1],
        np.ones(len(pairs), np.float32),
        np.ones(len(pairs), bool),
        groups=np.array([row for row, _ in documents], np.int32),
    )


def corpus_of(collection: Collection, documents: list[tuple[int, str]]) -> Corpus:
    """The texts that were made of the collection's documents; the first of each keeps its id."""
    names: list[str] = collection.corpus.ids.to_pylist()
    order: Counter[str] = Counter()
    return Corpus.of([numbered(names[row], order) for row, _ in documents], [text for _, text in documents])


def numbered(name: str, order: Counter[str]) -> str:
    """The name at its first use, then the name and how often it was used before."""
    order[name] += 1
    return name if order[name] == 1 else f"{name}#{order[name] - 1}"
