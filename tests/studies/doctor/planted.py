"""A collection in which a sound reranker finds every answer, such a reranker, and faults to plant in it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from doctored import collection_of, placed

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.stages.base import Stage, cells, scattered
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.subject import Subject
from mteb_cascade.values.run import Run

COUNT = 24
COLOURS = ("red", "blue", "green", "old", "tall", "dark")


def documents() -> list[str]:
    """COUNT long answers, then two short texts a query that share one of its words each."""
    long = [f"fox{n} {COLOURS[n % 6]} one two three four five six{n}" for n in range(COUNT)]
    return [*long, *(text for n in range(COUNT) for text in (f"fox{n} a{n}", f"{COLOURS[n % 6]} b{n}"))]


def queries() -> list[str]:
    """Two words that stand together in the answer alone."""
    return [f"fox{n} {COLOURS[n % 6]}" for n in range(COUNT)]


COLLECTION = collection_of(documents(), queries())


def received() -> list[list[int]]:
    """For each query its two near misses, its answer, and three answers to others."""
    short = [[COUNT + 2 * n, COUNT + 2 * n + 1] for n in range(COUNT)]
    return [[*short[n], n, *((n + step) % COUNT for step in (1, 2, 3))] for n in range(COUNT)]


def in_place(stage: Stage) -> Subject:
    return placed(stage, COLLECTION, received())


@dataclass(kw_only=True, eq=False)
class Coverage(Stage):
    """The share of the query's words that the document has, less a little for its length: sound, and not symmetric."""

    kind: ClassVar[str] = "coverage"
    pair_calls: list[int] = field(default_factory=list, metadata={"serving": True})

    def of(self, query: str, document: str) -> float:
        asked, known = query.split(), set(document.split())
        return sum(word in known for word in asked) / len(asked) - len(document) / 10_000

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        rows, columns = cells(candidates)
        texts = candidates.corpus.texts_at(candidates.docs[rows, columns])
        found = [self.of(queries.texts[row], text) for row, text in zip(rows, texts, strict=True)]
        self.pair_calls.append(len(found))
        return scattered(candidates, self.given(np.array(found, np.float32), texts))

    def given(self, scores: np.ndarray, texts: list[str]) -> np.ndarray:
        """What becomes of the scores: the place for a fault."""
        return scores


class Negated(Coverage):
    def given(self, scores: np.ndarray, texts: list[str]) -> np.ndarray:
        return -scores


class Swapped(Coverage):
    def of(self, query: str, document: str) -> float:
        return super().of(document, query)


class Chance(Coverage):
    """Like a random head: a score that follows from the texts, and has nothing to do with relevance."""

    def of(self, query: str, document: str) -> float:
        return float(np.sin(sum(map(ord, query)) * 12.9898 + sum(map(ord, document)) * 78.233))


class Deaf(Coverage):
    def of(self, query: str, document: str) -> float:
        return float(len(document))


class Constant(Coverage):
    def given(self, scores: np.ndarray, texts: list[str]) -> np.ndarray:
        return np.ones_like(scores)


class Sigmoid(Coverage):
    """Logits of a trained cross-encoder's size, after the activation that `predict` applies by default."""

    def given(self, scores: np.ndarray, texts: list[str]) -> np.ndarray:
        return 1 / (1 + np.exp(-60 * (scores - 0.2)))


FAULTY: dict[type[Coverage], str] = {
    Negated: "score sign",
    Swapped: "query and document swapped",
    Chance: "random head",
    Deaf: "constant scores",
    Constant: "constant scores",
}
"""What each is found to be."""


def one(findings: Any) -> Finding:
    """The only finding of a check."""
    (finding,) = findings
    return finding
