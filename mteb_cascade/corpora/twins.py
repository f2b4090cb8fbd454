"""Queries that repeat another split's: a model trained on one knows the answer of the other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

import numpy as np

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.dev_split import TRAIN
from mteb_cascade.corpora.near_duplicates import near_duplicates, word_set
from mteb_cascade.errors import InputError

SAME_ANSWER = 0.7
"""Jaccard similarity of their sets of words from which on two queries that share a relevant document are twins.

SciFact's test claims by their best such training claim: 104 have none, 106 lie below .7, 90 from .7 on, those being
mostly negations. From .5 to .7 they are other claims about the same finding ("... in the roots" / "... in the embryo").
"""

SAME_QUESTION = 0.9
"""As above, of queries that share no relevant document: there one other word makes another question."""

UNTWINNED = re.compile(r"(?P<split>.+)\[untwinned\]")


@dataclass(frozen=True)
class Twin:
    """Two queries that ask the same.

    Args:
        row: Of the one, among the training queries.
        other: Row of the other.
        similarity: Jaccard similarity of their sets of words.
        shared: Documents that are relevant to both, by id.
    """

    row: int
    other: int
    similarity: float
    shared: tuple[str, ...]


def twins(texts: Iterable[str], answers: Sequence[AbstractSet[str]], split: Split) -> Iterator[Twin]:
    """Pairs of a training query and a query of a split that are twins.

    Args:
        texts: Training queries.
        answers: Ids of the documents relevant to each of them.
        split: What they are compared with.
    """
    own = dict(enumerate(map(word_set, split.queries.texts)))
    their = answers_of(split)
    for row, other, similarity in near_duplicates(enumerate(map(word_set, texts)), own, SAME_ANSWER):
        shared = answers[row] & their[other]
        if shared or similarity >= SAME_QUESTION:
            yield Twin(row, other, similarity, tuple(sorted(shared)))


def answers_of(split: Split) -> list[frozenset[str]]:
    """Ids of the documents relevant to each query of a split."""
    level = split.qrels.relevance_level
    return [
        frozenset(document for document, grade in split.qrels.of(query).items() if grade >= level)
        for query in split.queries.ids
    ]


def whole_of(name: str) -> str | None:
    """The split whose queries without a twin are meant; None for any other name.

    >>> whole_of("test[untwinned]"), whole_of("test")
    ('test', None)
    """
    found = UNTWINNED.fullmatch(name)
    return found["split"] if found else None


def untwinned(collection: Collection, split: str, train: Split) -> Collection:
    """The collection with `split[untwinned]`: the queries of a split that have no twin among training queries.

    Raises:
        InputError: It is the training split itself, or no query is left.
    """
    if split == TRAIN:
        raise InputError(f"{collection.title}: '{split}[untwinned]' would be compared with itself; name another split")
    whole = collection.split(split)
    twinned = {twin.other for twin in twins(train.queries.texts, answers_of(train), whole)}
    rows = np.array([row for row in range(len(whole.queries)) if row not in twinned], np.int64)
    if not len(rows):
        raise InputError(f"{collection.title}: every query of split '{split}' has a near-twin in '{TRAIN}'")
    part = replace(whole.take(rows), part_of=whole.part_of or split)
    return replace(collection, splits={**collection.splits, f"{split}[untwinned]": part})
