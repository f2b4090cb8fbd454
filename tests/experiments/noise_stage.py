"""Stages of one's own whose scores are drawn from the texts, coarse enough to tie, and small collections for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import xxhash

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.base import Stage, cells, scattered
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import PAD, Run


@dataclass(kw_only=True, eq=False)
class Noise(Stage):
    """One of a few levels by the hash of both texts; an answer, whose text names its query, is lifted."""

    kind: ClassVar[str] = "noise"

    seed: int
    levels: int = 4
    lift: float = 1.0

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        rows, columns = cells(candidates)
        texts = candidates.corpus.texts_at(candidates.docs[rows, columns])
        found = []
        for row, text in zip(rows, texts, strict=True):
            query = queries.texts[row]
            level = xxhash.xxh3_64_intdigest(f"{query}|{text}".encode(), self.seed) % self.levels
            found.append(level + self.lift * (query in text))
        return scattered(candidates, found)


@dataclass(kw_only=True, eq=False)
class Listwise(Noise):
    """Also looks at how long the list is."""

    kind: ClassVar[str] = "listwise"
    pointwise: ClassVar[bool] = False

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        odd = np.arange(candidates.depth) % 2 * candidates.depth
        return np.where(candidates.docs == PAD, -np.inf, super().score(queries, candidates) + odd).astype(np.float32)


def collection(queries: int = 12, documents: int = 40, *, own_ids: bool = False, dev: bool = False) -> Collection:
    """Each query has one to three graded answers, one of them outside the corpus, and the last query has none."""
    rng = np.random.default_rng(0)
    answers = [rng.choice(documents, 3, replace=False) for _ in range(queries)]
    texts = [
        f"document {row} " + " ".join(f"query {number} of many" for number in range(queries) if row in answers[number])
        for row in range(documents)
    ]
    corpus = Corpus.of([f"d{row}" for row in range(documents)], texts)
    ids = [f"d{answers[number][0]}" if own_ids else f"q{number}" for number in range(queries)]
    if own_ids:
        ids = [one if one not in ids[:number] else f"q{number}" for number, one in enumerate(ids)]
    grades = {
        query: {f"d{doc}": grade for grade, doc in enumerate(answers[number].tolist())} | {"outside": 1}
        for number, query in enumerate(ids[:-1])
    }
    asked = Queries(tuple(ids), tuple(f"query {number} of many" for number in range(queries)))
    whole = Split(asked, Qrels(grades))
    half = np.arange(queries) % 2 == 0
    halves = {"test": whole.take(np.flatnonzero(half)), "dev": whole.take(np.flatnonzero(~half))}
    splits = halves if dev else {"test": whole}
    return Collection("Noise", corpus, splits, ignore_identical_ids=own_ids)
