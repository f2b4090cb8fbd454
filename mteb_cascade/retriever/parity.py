"""How many answers change between float32 and what is served: models in fewer bits, an index in fewer bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.funnel import Funnel
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.store.switch import off
from mteb_cascade.values.run import PAD, Run

ENCODED = 20_000
"""Documents that are encoded in float32 for a comparison; of more, only those that were served are."""

SERVED = 100
"""Documents of each answer that are compared where the corpus is larger."""


@dataclass(frozen=True)
class Flips:
    """Queries whose best document is another one in float32.

    Args:
        queries: Queries that were asked.
        flips: Those of them.
        among: Documents of the index.
        restricted_to: How many of the served documents of each query float32 chose from; None where it searched all.
    """

    queries: int
    flips: int
    among: int
    restricted_to: int | None = None

    @property
    def share(self) -> float:
        """Of the queries, in [0, 1]."""
        return self.flips / self.queries if self.queries else 0.0

    def __str__(self) -> str:
        """In a line.

        >>> print(Flips(1_000, 3, 2_000_000, 100))
        Best document other than by exact search in float32: 3 of 1,000 queries (0.3 %), among the served top 100.
        """
        where = "" if self.restricted_to is None else f", among the served top {self.restricted_to}"
        return (
            f"Best document other than by exact search in float32: {self.flips:,} of {self.queries:,} queries "
            f"({100 * self.share:.1f} %){where}."
        )

    def as_json(self) -> dict[str, Any]:
        """The fields, the share, and the line."""
        return {**asdict(self), "share": self.share, "line": str(self)}


def flips(served: Stage, queries: Queries, depths: Sequence[int] = (), k: int = 10, encoded: int = ENCODED) -> Flips:
    """Ask a stage over an index, and the same in float32, for the best document of each query.

    Its models are loaded a second time, in float32, and so is the document side made.

    Args:
        served: What is served; its corpus is the index's.
        queries: Q queries, asked one at a time, as they are served.
        depths: Of a cascade's steps, the last one perhaps capped; its own where there are none.
        k: Documents asked for: what it is used with.
        encoded: Documents that are encoded in float32 at most.
    """
    corpus = served.corpus
    restricted = len(corpus) > encoded
    with off():
        wanted = max(k, SERVED) if restricted else k
        lists = [answer(served, queries.rows([row]), depths, wanted) for row in range(len(queries))]
        exact = in_float32(served, corpus)
        found = []
        for row, run in enumerate(lists):
            query = queries.rows([row])
            fine = (
                among(served, exact, query, run.cut(SERVED), depths) if restricted else answer(exact, query, depths, k)
            )
            found.append(fine)
    best, other = first(lists), first(found)
    return Flips(len(queries), int((best != other).sum()), len(corpus), SERVED if restricted else None)


def answer(stage: Stage, query: Queries, depths: Sequence[int], k: int) -> Run:
    """The k best documents of one query."""
    if isinstance(stage, Cascade):
        return stage.trace(query, k, depths or None)[-1].cut(k)
    return stage.retrieved(query, k).cut(k)


def among(served: Stage, exact: Stage, query: Queries, candidates: Run, depths: Sequence[int] = ()) -> Run:
    """Candidates of one query as float32 ranks them.

    The points of a hybrid hang on whole lists: its members' lists are those that are served, with what float32 says of
    the candidates in them.

    Args:
        served: What is served.
        exact: The same in float32.
        query: One.
        candidates: Documents that are served.
        depths: Of a cascade's steps; its own where there are none.
    """
    if isinstance(served, Cascade) and isinstance(exact, Cascade):
        head = among(served.first, exact.first, query, candidates)
        *_, last = exact.passes(query, head, list(depths) or exact.depths)
        return last
    if not (isinstance(served, Hybrid) and isinstance(exact, Hybrid)):
        return exact.rank(query, candidates)
    lists = []
    for member, fine in zip(served.members, exact.members, strict=True):
        run = member.stage.retrieved(query, served.pool)
        inside = np.isin(run.docs, candidates.docs)
        known, rest = among(member.stage, fine.stage, query, run.without(~inside)), run.without(inside)
        docs, scores = np.hstack([known.docs, rest.docs]), np.hstack([known.scores, rest.scores])
        lists.append(Run.ranked(run.query_ids, run.corpus, docs, scores).cut(run.depth))
    found = exact.points(lists).ranked(exact.weights)
    return found.without(~np.isin(found.docs, candidates.docs))


def first(runs: Sequence[Run]) -> NDArray[np.int64]:
    """int64 [Q], the row of the best document of each run of one query; -1 where nothing was found."""
    return np.array([run.docs[0, 0] if run.depth else PAD for run in runs], np.int64)


def is_reduced(stage: Stage, precision: str) -> bool:
    """Whether anything is served in fewer bits than float32: vectors of the index, codes of a funnel, or a model.

    Args:
        stage: The model of an index.
        precision: What the index keeps vectors in.
    """
    if precision != "float32" and any(one.keeps for one in stage.keepers()):
        return True
    return any(
        isinstance(one, Funnel) or (isinstance(one, ModelStage) and one.computes_in != "float32")
        for one in stage.walk()
    )


def in_float32(stage: Stage, corpus: Corpus) -> Stage:
    """The same stage with every model in float32, and the document side of each made anew in float32.

    A stage without a model, such as BM25, is the very one that is served. In place of a funnel its bi-encoder searches
    exactly.
    """
    if isinstance(stage, Funnel):
        return in_float32(stage.model, corpus)
    if stage.parts:
        return stage.with_parts(lambda part: in_float32(part, corpus))
    if isinstance(stage, ModelStage) and (stage.keeps or stage.computes_in != "float32"):
        exact = replace(stage, dtype="float32")
        exact.index(corpus)
        return exact
    return stage
