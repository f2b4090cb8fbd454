"""Hybrid retrieval: a weighted sum of its members' raw scores over the union of their pools."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage, hash_of
from mteb_cascade.values.fusion import weighted_sum
from mteb_cascade.values.lookup import looked_up, united
from mteb_cascade.values.run import PAD, Run


@dataclass(frozen=True)
class Member:
    """One member of a hybrid: a stage and the weight of its raw score."""

    stage: Stage
    weight: float = 1.0


class Hybrid(Stage):
    """sum of w_i * score_i over the union of the members' pools.

    A document that a member did not return takes that member's lowest score where its list filled the pool, and 0 where
    the list ended early: BM25 ends early exactly where a document shares no word. `score` asks every member for every
    candidate, so it need not agree with `retrieve`: a hybrid is not pointwise.

    Args:
        *members: Two or more, each a `Member`, a stage, or a model's name.
        pool: Documents asked of each member; fixed, so that a longer list starts with the shorter one.
    """

    kind = "hybrid"
    pointwise: ClassVar[bool] = False

    def __init__(self, *members: Member | Stage | str, pool: int = 1000, **base: Any) -> None:
        from mteb_cascade.stages.load import load

        super().__init__(**base)
        self.members = tuple(m if isinstance(m, Member) else Member(load(m)) for m in members)
        self.pool = pool
        if len(self.members) < 2:
            raise InputError(f"a hybrid needs two or more members, got {len(self.members)}")
        if pool < 1:
            raise InputError(f"pool: expected at least 1, got {pool}")
        if not all(np.isfinite(member.weight) for member in self.members) or not any(m.weight for m in self.members):
            raise InputError(f"weight: expected finite numbers, not all 0, got {[m.weight for m in self.members]}")

    def __repr__(self) -> str:
        if self.spec:
            return super().__repr__()
        inside = ", ".join(f"Member({member.stage!r}, {member.weight:g})" for member in self.members)
        return f"Hybrid({inside}, pool={self.pool})"

    def prepare(self) -> None:
        """Load every member."""
        for member in self.members:
            member.stage.prepare()

    def index(self, corpus: Corpus | Any, **context: Any) -> None:
        """Hand the corpus to every member."""
        super().index(corpus)
        for member in self.members:
            member.stage.index(self.corpus, **context)

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The k best of the union of the members' pools; fewer where the union is smaller."""
        runs = [member.stage.retrieve(queries, self.pool) for member in self.members]
        union = united(runs)
        total = np.zeros(union.docs.shape)
        for member, run in zip(self.members, runs, strict=True):
            total += member.weight * looked_up(run, union, missing_scores(run, self.pool))
        return Run.ranked(queries.ids, union.corpus, union.docs, np.where(union.docs == PAD, 0, total)).cut(k)

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """The weighted sum with every member asked for every candidate; -inf where one cannot score it."""
        scores = [member.stage.score(queries, candidates) for member in self.members]
        total = weighted_sum(scores, [member.weight for member in self.members])
        return np.where(candidates.docs == PAD, np.float32(-np.inf), total)

    @property
    def options(self) -> dict[str, Any]:
        """Pool and members."""
        members = [{"weight": member.weight, "stage": member.stage.identified()} for member in self.members]
        return {"pool": self.pool, "member": members}

    @property
    def fingerprint(self) -> str:
        """SHA-256 over pool, weights and the members' fingerprints."""
        parts = [[member.weight, member.stage.fingerprint] for member in self.members]
        return hash_of({"kind": self.kind, "pool": self.pool, "member": parts})


def missing_scores(run: Run, pool: int) -> NDArray[np.float64]:
    """float64 [Q], what a document outside the list is worth: a full list's lowest score, 0 where it ended early."""
    full = run.lengths >= min(pool, len(run.corpus))
    if run.depth == 0:
        return np.zeros(len(run.query_ids))
    lowest = np.where(run.docs == PAD, np.inf, run.scores).min(axis=1).astype(np.float64)
    return np.where(np.isfinite(lowest), np.where(full, lowest, np.minimum(lowest, 0.0)), 0.0)
