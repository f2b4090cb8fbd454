"""A cascade: a first stage retrieves, each further stage reorders the head of what it received."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.base import Stage, cells, hash_of, key_of_parts
from mteb_cascade.stages.download import Download
from mteb_cascade.store.switch import bypassed
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.lookup import looked_up
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    from mteb_cascade.store.index.index import Index

Depth = int | NDArray[np.integer]


@dataclass(frozen=True)
class Step:
    """One reranking step.

    Args:
        stage: What scores; a stage or a model's name.
        depth: Candidates it scores, from the top; 0 leaves the ranking untouched.
        blend: b in score + b * score before, both raw; chosen on development queries.
    """

    stage: Stage
    depth: int
    blend: float = 0.0

    def __init__(self, stage: Stage | str, depth: int, blend: float = 0.0) -> None:
        from mteb_cascade.stages.load import load

        object.__setattr__(self, "stage", load(stage))
        object.__setattr__(self, "depth", operator.index(depth))
        object.__setattr__(self, "blend", float(blend))
        if depth < 0:
            raise InputError(f"depth: expected 0 or more, got {depth}")
        if not np.isfinite(blend):
            raise InputError(f"blend: expected a finite number, got {blend}")


def unheard(scores: NDArray[np.float32]) -> None:
    """Nobody wants to know what a step says."""


class Cascade(Stage):
    """A first stage and the steps that rerank it; itself a stage.

    >>> from mteb_cascade.stages.bm25 import BM25
    >>> Cascade(BM25(), Step(BM25(k1=0.9), depth=20))
    Cascade(BM25(), Step(BM25(k1=0.9), depth=20))

    Args:
        first: The stage that retrieves; a stage or a model's name.
        *steps: Reranking steps; depths do not grow.
        budget_ms: Milliseconds that a search may take when an index is served: the last step then scores as many
            candidates as fit. Evaluation does not look at it.
    """

    kind: ClassVar[str] = "cascade"
    pointwise: ClassVar[bool] = False
    stored: ClassVar[bool] = False

    def __init__(self, first: Stage | str, *steps: Step, budget_ms: float | None = None, **base: Any) -> None:
        from mteb_cascade.stages.load import load

        super().__init__(**base)
        self.first = load(first)
        self.steps = steps
        self.budget_ms = budget_ms
        self.overridden = False
        check_depths([step.depth for step in steps])
        if budget_ms is not None and not 0 < budget_ms < np.inf:
            raise InputError(f"budget_ms: expected milliseconds above 0, got {budget_ms}")

    def __repr__(self) -> str:
        if self.spec:
            overridden = f".at({', '.join(map(str, self.depths))}, blends={self.blends})" if self.overridden else ""
            return f"{super().__repr__()}{overridden}"
        steps = [
            f"Step({step.stage!r}, depth={step.depth}{f', blend={step.blend:g}' if step.blend else ''})"
            for step in self.steps
        ]
        return f"Cascade({', '.join([repr(self.first), *steps])})"

    def __iter__(self) -> Iterator[Stage]:
        yield self.first
        for step in self.steps:
            yield step.stage

    def __len__(self) -> int:
        return 1 + len(self.steps)

    def __getitem__(self, position: int) -> Stage:
        return list(self)[position]

    @property
    def parts(self) -> Sequence[Stage]:
        """The first stage and those of the steps."""
        return list(self)

    @property
    def depths(self) -> list[int]:
        """Depth of each step."""
        return [step.depth for step in self.steps]

    @property
    def blends(self) -> list[float]:
        """Blend of each step."""
        return [step.blend for step in self.steps]

    def at(self, *depths: int, blends: Sequence[float] | None = None) -> Cascade:
        """The same stages at other depths, and other blends where given: another cascade with another fingerprint.

        Raises:
            InputError: Their number is not that of the steps.
        """
        blends = self.blends if blends is None else list(blends)
        if not len(depths) == len(blends) == len(self.steps):
            raise InputError(
                f"{self.label} has {len(self.steps)} steps; got {len(depths)} depths and {len(blends)} blends"
            )
        steps = [Step(step.stage, d, b) for step, d, b in zip(self.steps, depths, blends, strict=True)]
        other = Cascade(
            self.first, *steps, budget_ms=self.budget_ms, name=self.name, device=self.device, spec=self.spec
        )
        other._corpus, other.overridden = self._corpus, True
        return other

    def prepare(self) -> None:
        """Load every stage."""
        for stage in self:
            stage.prepare()

    def downloads(self) -> Sequence[Download]:
        """What every stage needs."""
        return [download for stage in self for download in stage.downloads()]

    def index(self, corpus: Corpus | Any, **context: Any) -> None:
        """Hand the corpus to the first stage; the others read it from their candidates."""
        super().index(corpus)
        self.first.index(self.corpus, **context)

    def with_parts(self, change: Callable[[Stage], Stage]) -> Self:
        """The same depths and blends."""
        other = copy(self)
        other.first = change(self.first)
        other.steps = tuple(Step(change(step.stage), step.depth, step.blend) for step in self.steps)
        return other

    def hold(self, index: Index) -> None:
        """Take the corpus; the stages take what is known of documents."""
        self._corpus = index.corpus

    def trace(
        self, queries: Queries, k: int, depths: Sequence[Depth] | None = None, *, candidates: Run | None = None
    ) -> list[Run]:
        """As `traced`, the runs of all stages."""
        return list(self.traced(queries, k, depths, candidates=candidates))

    def traced(
        self,
        queries: Queries,
        k: int,
        depths: Sequence[Depth] | None = None,
        *,
        candidates: Run | None = None,
        heard: Callable[[NDArray[np.float32]], object] = unheard,
    ) -> Iterator[Run]:
        """The run after each stage, a stage's work being done when its run is asked for.

        Args:
            queries: Q queries.
            k: Columns wanted at the end.
            depths: One depth a step, an int or int [Q] (a depth of each query's own); the steps' own by default.
            candidates: What the first stage ranks, instead of retrieving: those of a Reranking task.
            heard: Called with what each step itself says, float32 [Q, K] aligned with the run before; -inf where it
                says nothing.

        Yields:
            One run a stage, each of max(k, every depth) columns or fewer; real scores in the head, placeholders in
            the tail.
        """
        depths = self.depths if depths is None else list(depths)
        check_depths(depths, len(self.steps))
        pool = max([k, *(int(np.max(depth, initial=0)) for depth in depths)])
        first = self.first.retrieved(queries, pool) if candidates is None else self.first.rank(queries, candidates)
        yield from self.passes(queries, first, depths, heard=heard)

    def reranked(self, queries: Queries, run: Run, depths: Sequence[Depth], progress: Progress = silent) -> list[Run]:
        """As `trace`, from the first stage's run [Q, K], K at least every depth."""
        return list(self.passes(queries, run, depths, progress))

    def passes(
        self,
        queries: Queries,
        run: Run,
        depths: Sequence[Depth],
        progress: Progress = silent,
        heard: Callable[[NDArray[np.float32]], object] = unheard,
    ) -> Iterator[Run]:
        """As `traced`, from the first stage's run [Q, K], K at least every depth."""
        yield run
        for step, depth in zip(self.steps, depths, strict=True):
            head = run.cut(int(np.max(depth, initial=0)))
            beyond = np.arange(head.depth)[None, :] >= np.broadcast_to(depth, len(queries))[:, None]
            wanted = head.without(beyond)
            scores = np.full(run.docs.shape, -np.inf, np.float32)
            if len(cells(wanted)[0]):
                scores[:, : head.depth] = step.stage.scored(queries, wanted, progress)
            heard(scores)
            run = rerank(run, scores, depth, step.blend)
            yield run

    def retrieve(self, queries: Queries, k: int) -> Run:
        """As `retrieved`, every score computed anew."""
        with bypassed():
            return self.retrieved(queries, k)

    def retrieved(self, queries: Queries, k: int) -> Run:
        """The last run of the trace, cut to k; the store keeps what each stage says, not what follows from it."""
        return self.trace(queries, k)[-1].cut(k)

    def rank(self, queries: Queries, candidates: Run) -> Run:
        """The candidates ranked by the first stage, then by each step."""
        return self.trace(queries, candidates.depth, candidates=candidates)[-1]

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """As `scored`, every score computed anew."""
        with bypassed():
            return self.scored(queries, candidates)

    def scored(self, queries: Queries, candidates: Run, progress: Progress = silent) -> NDArray[np.float32]:
        """The scores that `rank` gives, put back into the candidates' order."""
        ranked = self.rank(queries, candidates)
        found = looked_up(ranked, candidates, np.full(len(queries), -np.inf))
        return np.where(candidates.docs == PAD, -np.inf, found).astype(np.float32)

    def store_key(self, queries: Queries) -> str | None:
        """The fingerprint, and what the stages' own keys add to theirs."""
        return key_of_parts(self, list(self), queries)

    @property
    def options(self) -> dict[str, Any]:
        """The first stage and the steps."""
        steps = [{"stage": step.stage.identified(), "depth": step.depth, "blend": step.blend} for step in self.steps]
        return {"stage": [{"stage": self.first.identified()}, *steps]}

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the stages' fingerprints, depths and blends."""
        steps = [[step.stage.fingerprint, step.depth, step.blend] for step in self.steps]
        return hash_of({"kind": self.kind, "first": self.first.fingerprint, "steps": steps})


def check_depths(depths: Sequence[Depth], steps: int | None = None) -> None:
    """Raise InputError where the depths are not one a step, are negative, or grow from step to step."""
    if steps is not None and len(depths) != steps:
        raise InputError(f"expected one depth a step, {steps} of them, got {len(depths)}")
    for number, depth in enumerate(depths):
        if np.min(depth, initial=0) < 0:
            raise InputError(f"depth of step {number + 1}: expected 0 or more, got {np.min(depth)}")
        if number and np.any(np.asarray(depth) > np.asarray(depths[number - 1])):
            raise InputError(
                f"depths do not grow from step to step, but step {number + 1} wants more than the {depths[number - 1]} "
                f"of the step before: {depth}"
            )
