"""Hybrid retrieval: a weighted fusion of its members' lists over the union of their pools."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.base import Stage, hash_of, key_of_parts
from mteb_cascade.stages.download import Download
from mteb_cascade.stages.stored import retrieved
from mteb_cascade.store.switch import bypassed
from mteb_cascade.values.fusion import weighted_sum
from mteb_cascade.values.list_fusion import FUSIONS, RRF_K, Points, points_of, reciprocal_rank
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    from mteb_cascade.store.index.index import Index


@dataclass(frozen=True)
class Member:
    """One member of a hybrid: a stage and the weight of what it says."""

    stage: Stage
    weight: float = 1.0


class Hybrid(Stage):
    """The sum over members of weight * points, over the union of the members' pools.

    | fusion | points of a listed document | of one outside the list |
    |---|---|---|
    | linear | its raw score | the list's lowest score; 0 where the list ended early |
    | min-max | lowest to highest score of the list as 0 to 1 | 0 |
    | z-score | deviations from the list's mean | the list's lowest; at most -3 where it ended early |
    | dbsf | mean - 3 to mean + 3 deviations as 0 to 1, clipped | 0 |
    | rrf | 1 / (rrf_k + rank) | 0 |

    Where all scores of a list are equal, its documents get .5 (min-max, dbsf) or 0 (z-score, and -3 outside it). dbsf
    is made for pools of a hundred: the best of a longer list lie beyond 3 deviations, where clipping makes them tie.
    Weights may be negative, not all 0. `score` asks every member for every candidate and takes the candidates as its
    list: it need not agree with `retrieve`, and only a linear hybrid of pointwise members is pointwise.

    Args:
        *members: Two or more, each a `Member`, a stage, or a model's name.
        pool: Documents asked of each member; fixed, so that a longer list starts with the shorter one.
        fusion: linear, min-max, z-score, dbsf or rrf; `values/list_fusion.py` names their sources.
        rrf_k: The constant of rrf, 60 by default; no other fusion has one.
    """

    kind = "hybrid"
    stored = False

    def __init__(
        self,
        *members: Member | Stage | str,
        pool: int = 1000,
        fusion: str = "linear",
        rrf_k: int | None = None,
        **base: Any,
    ) -> None:
        from mteb_cascade.stages.load import load

        super().__init__(**base)
        self.members = tuple(m if isinstance(m, Member) else Member(load(m)) for m in members)
        self.pool = pool
        self.fusion = fusion
        self.rrf_k = RRF_K if fusion == "rrf" and rrf_k is None else rrf_k
        if len(self.members) < 2:
            raise InputError(f"a hybrid needs two or more members, got {len(self.members)}")
        if pool < 1:
            raise InputError(f"pool: expected at least 1, got {pool}")
        if fusion not in FUSIONS:
            raise InputError(f"fusion: unknown fusion '{fusion}'. {suggestion(str(fusion), FUSIONS)}")
        if fusion != "rrf" and rrf_k is not None:
            raise InputError(f"rrf_k: fusion '{fusion}' has none; leave it out, or set fusion = \"rrf\"")
        if self.rrf_k is not None and not 0 <= self.rrf_k < np.inf:
            raise InputError(f"rrf_k: expected 0 or more, got {self.rrf_k}")
        if not np.isfinite(self.weights).all():
            raise InputError(f"weight: expected finite numbers, got {self.weights}")
        if not any(self.weights):
            raise InputError(
                f"weight: expected numbers that are not all 0, got {self.weights}: every document would score 0"
            )
        self._fusion = FUSIONS[fusion] if self.rrf_k is None else reciprocal_rank(self.rrf_k)

    def __repr__(self) -> str:
        if self.spec:
            return super().__repr__()
        inside = ", ".join(f"Member({member.stage!r}, {member.weight:g})" for member in self.members)
        fusion = "" if self.fusion == "linear" else f", fusion={self.fusion!r}"
        constant = f", rrf_k={self.rrf_k}" if self.rrf_k not in (None, RRF_K) else ""
        return f"Hybrid({inside}, pool={self.pool}{fusion}{constant})"

    @property
    def parts(self) -> Sequence[Stage]:
        """The members' stages."""
        return [member.stage for member in self.members]

    @property
    def weights(self) -> list[float]:
        """Weight of each member."""
        return [member.weight for member in self.members]

    @property
    def pointwise(self) -> bool:  # type: ignore[override]
        """Whether `score` depends on each (query, document) alone: a raw sum of members of which each does."""
        return self._fusion.pointwise and all(member.stage.pointwise for member in self.members)

    def prepare(self) -> None:
        """Load every member."""
        for member in self.members:
            member.stage.prepare()

    def downloads(self) -> Sequence[Download]:
        """What every member needs."""
        return [download for member in self.members for download in member.stage.downloads()]

    def index(self, corpus: Corpus | Any, **context: Any) -> None:
        """Hand the corpus to every member."""
        super().index(corpus)
        for member in self.members:
            member.stage.index(self.corpus, **context)

    def with_parts(self, change: Callable[[Stage], Stage]) -> Self:
        """The same weights."""
        other = copy(self)
        other.members = tuple(Member(change(member.stage), member.weight) for member in self.members)
        return other

    def hold(self, index: Index) -> None:
        """Take the corpus; the members take what is known of documents."""
        self._corpus = index.corpus

    def lists(self, queries: Queries) -> list[Run]:
        """The pool of each member."""
        return [member.stage.retrieved(queries, self.pool) for member in self.members]

    def points(self, lists: Sequence[Run]) -> Points:
        """What each member gives to each document of any of their lists, before weights."""
        return points_of(lists, self._fusion, self.pool)

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The k best of the union of the members' pools; fewer where the union is smaller."""
        with bypassed():
            return self._fused(queries, k)

    def retrieved(self, queries: Queries, k: int) -> Run:
        """As `retrieve`, through the store, where the members' pools are too."""
        return retrieved(self, queries, k, self._fused)

    def _fused(self, queries: Queries, k: int) -> Run:
        return self.points(self.lists(queries)).ranked(self.weights).cut(k)

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """As `scored`, every score computed anew."""
        with bypassed():
            return self.scored(queries, candidates)

    def scored(self, queries: Queries, candidates: Run, progress: Progress = silent) -> NDArray[np.float32]:
        """The fusion with every member asked for every candidate.

        Returns:
            float32 [Q, K]; -inf where one member (linear), or every member (the others), of a weight other than 0
            cannot score the candidate.
        """
        scores = [member.stage.scored(queries, candidates, progress) for member in self.members]
        if self._fusion.pointwise:
            total = weighted_sum(scores, self.weights)
        else:
            lists = [Run.ranked(candidates.query_ids, candidates.corpus, candidates.docs, one) for one in scores]
            scored = np.any([one > -np.inf for one, weight in zip(scores, self.weights, strict=True) if weight], axis=0)
            fused = points_of(lists, self._fusion, len(candidates.corpus), candidates).total(self.weights)
            total = np.where(scored, fused, -np.inf).astype(np.float32)
        return np.where(candidates.docs == PAD, np.float32(-np.inf), total)

    def store_key(self, queries: Queries) -> str | None:
        """The fingerprint, and what the members' own keys add to theirs."""
        return key_of_parts(self, [member.stage for member in self.members], queries)

    @property
    def options(self) -> dict[str, Any]:
        """Pool, fusion and members."""
        members = [{"weight": member.weight, "stage": member.stage.identified()} for member in self.members]
        return {**self._own_options(), "member": members}

    def _own_options(self) -> dict[str, Any]:
        constant = {} if self.rrf_k is None else {"rrf_k": self.rrf_k}
        return {"pool": self.pool, "fusion": self.fusion, **constant}

    @property
    def fingerprint(self) -> str:
        """SHA-256 over pool, fusion, weights and the members' fingerprints."""
        parts = [[member.weight, member.stage.fingerprint] for member in self.members]
        return hash_of({"kind": self.kind, **self._own_options(), "member": parts})
