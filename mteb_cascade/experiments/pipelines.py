"""What a sweep is made of: cascades by name, and every pair of a first stage and a reranker."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Split
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.swept import Swept
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.load import load
from mteb_cascade.values.curves import curves
from mteb_cascade.values.list_fusion import moments
from mteb_cascade.values.measures import mean
from mteb_cascade.values.run import Run

SHARES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Blends that are tried, in units of the spread of the step's scores over that of the scores before."""


@dataclass(frozen=True)
class Pipeline:
    """A cascade whose last step is swept.

    Args:
        cascade: Its last step's depth is not looked at.
        blend: Blend of the last step; None: to be chosen on development queries.
        blend_from: Who chose it: "spec", "given", "dev", or None.
    """

    cascade: Cascade
    blend: float | None
    blend_from: str | None

    @property
    def label(self) -> str:
        """Name of its files: the cascade's, or those of its stages."""
        if self.cascade.spec:
            return self.cascade.label
        return "+".join(stage.label for stage in self.cascade)

    @property
    def title(self) -> str:
        """The stages in their order; an untrained baseline is marked."""
        return " > ".join(f"{stage.label} (untrained)" if stage.untrained else stage.label for stage in self.cascade)

    @property
    def last(self) -> Stage:
        """The stage that is swept."""
        return self.cascade.steps[-1].stage

    @property
    def fingerprint(self) -> str:
        """The cascade's, but for depth and blend of the last step."""
        depths, blends = self.cascade.depths[:-1], self.cascade.blends[:-1]
        return self.cascade.at(*depths, 0, blends=[*blends, 0.0]).fingerprint

    def with_chosen_blend(self, dev: Swept, split: Split, measure: str) -> Pipeline:
        """The pipeline with the blend that is best on development queries, at its own best depth; 0 is tried too."""

        def best(blend: float) -> float:
            def figure(run: Run, scores: NDArray[np.float32]) -> NDArray[np.float32]:
                return curves(run, scores, split.qrels, [measure], blend)[measure]

            return float(np.max(mean(dev.at_depths(figure))))

        tried = {blend: best(blend) for blend in (0.0, *blends_of(dev))}
        return replace(self, blend=max(tried, key=lambda blend: (tried[blend], -blend)), blend_from="dev")


def pipelines(
    cascades: Sequence[str | Stage],
    first: Sequence[str | Stage | Path],
    rerank: Sequence[str | Stage | Path],
    depth: int,
    blend: float | None,
) -> list[Pipeline]:
    """The cascades, then every first stage with every reranker.

    Raises:
        InputError: A name is unknown, one is no cascade, or one of `first` and `rerank` is empty.
    """
    if blend is not None and not np.isfinite(blend):
        raise InputError(f"blend: expected a finite number, got {blend}")
    found = []
    for name in cascades:
        cascade = load(name)
        if not isinstance(cascade, Cascade) or not cascade.steps:
            raise InputError(
                f"{cascade.label} is no cascade (kind {cascade.kind}): there is no reranker to sweep. Name a cascade, "
                f"or give first stages and rerankers: --first {cascade.label} --rerank NAME"
            )
        given = cascade.blends[-1] if blend is None else blend
        found.append(Pipeline(cascade, given, "spec" if blend is None else "given"))
    if bool(first) != bool(rerank):
        missing = "rerank" if first else "first"
        raise InputError(f"--{missing} is missing: a matrix needs first stages and rerankers, --first A B --rerank C D")
    heads, scorers = [load(name) for name in first], [load(name) for name in rerank]
    found += [
        Pipeline(Cascade(head, Step(scorer, depth)), blend, None if blend is None else "given")
        for head in heads
        for scorer in scorers
    ]
    if not found:
        raise InputError("nothing to sweep: name a cascade, before all options, or give --first A B --rerank C D")
    labels = [pipeline.label for pipeline in found]
    twice = next((label for label in labels if labels.count(label) > 1), None)
    if twice:
        same = len({pipeline.fingerprint for pipeline in found if pipeline.label == twice}) == 1
        raise InputError(
            f"{twice} is named twice; name every model once"
            if same
            else f"two different pipelines are called {twice}; give their stages names of their own"
        )
    return found


def blends_of(swept: Swept) -> list[float]:
    """Blends worth a try: in units of how far the step's scores spread over how far the scores before do."""
    run = swept.received.cut(swept.depth)
    spread = [
        moments(np.where(one > -np.inf, one, 0).astype(np.float64), one > -np.inf)[1]
        for one in (swept.deepest, run.scores)
    ]
    after, before = (float(mean(one[:, 0])) for one in spread)
    if not after or not before:
        return []
    return [float(f"{share * after / before:.2g}") for share in SHARES]
