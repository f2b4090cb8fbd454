"""A small collection, and stages in their place in it, without anything being retrieved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.base import Stage
from mteb_cascade.studies.doctor.subject import Subject
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import PAD, Run


class Given(Stage):
    """Scores candidates as it is told to."""

    kind = "given"

    def __init__(self, scores: Sequence[Sequence[float]] = (), **base) -> None:
        super().__init__(**base)
        self.given = np.array(scores, np.float32)

    def score(self, queries, candidates):
        return self.given


def collection_of(
    documents: Sequence[str], queries: Sequence[str], grades: Mapping[str, Mapping[str, int]] | None = None
) -> Collection:
    """Documents d0, d1 ... and test queries q0, q1 ..., query i answered by document i where no grades are given."""
    corpus = Corpus.of([f"d{n}" for n in range(len(documents))], documents)
    asked = Queries(tuple(f"q{n}" for n in range(len(queries))), tuple(queries))
    answers = grades or {query: {f"d{n}": 1} for n, query in enumerate(asked.ids)}
    return Collection("small", corpus, {"test": Split(asked, Qrels(answers))})


def placed(
    stage: Stage, collection: Collection, received: Sequence[Sequence[int]] | None = None, whole: Stage | None = None
) -> Subject:
    """A stage that receives these documents for each query; by default all of them, in their order."""
    part = collection.split("test")
    size = len(collection.corpus)
    docs = np.array([range(size)] * len(part.queries) if received is None else received, np.int32)
    scores = np.where(docs == PAD, -np.inf, -np.arange(docs.shape[1])).astype(np.float32)
    run = Run(part.queries.ids, collection.corpus, docs, scores)
    return Subject(stage, collection, "test", part, run, "before", stage if whole is None else whole)
