"""The stages that a query passes on its way through a model."""

from __future__ import annotations

from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.full_corpus import searches_by_itself

DEPTH = 100
"""Candidates that a reranker without a first stage of its own gets."""


def way(stage: Stage, first: Stage | None = None, depth: int | None = None) -> tuple[Stage, tuple[Step, ...]]:
    """The stages that a query passes: a cascade's, those of a cascade that it begins with among them.

    Args:
        stage: What is inspected.
        first: Finds its candidates, of a stage that is no cascade; BM25 where the stage only reranks.
        depth: Candidates that it reranks then.

    Raises:
        InputError: `first` or `depth` is given and the stage reranks nothing, or has its own.
    """
    if isinstance(stage, Cascade):
        if first is not None or depth is not None:
            option = "--first" if first is not None else "--depth"
            raise InputError(f"{option}: {stage.label} is a cascade, whose first stage and depths stand in its spec")
        begin, steps = way(stage.first) if isinstance(stage.first, Cascade) else (stage.first, ())
        return begin, (*steps, *stage.steps)
    if first is None and searches_by_itself(stage):
        if depth is not None:
            raise InputError(f"--depth: {stage.label} reranks nothing by itself; name who finds with --first NAME")
        return stage, ()
    if first is None:
        from mteb_cascade.stages.bm25 import BM25

        first = BM25()
    begin, steps = way(first) if isinstance(first, Cascade) else (first, ())
    return begin, (*steps, Step(stage, DEPTH if depth is None else depth))
