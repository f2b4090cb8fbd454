"""What a sweep will cost, said before it begins: pairs, how many are stored already, and the time of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.experiments.depth_grid import grid_of
from mteb_cascade.experiments.pipelines import Pipeline
from mteb_cascade.experiments.sweep_tasks import Task
from mteb_cascade.experiments.swept import POINTS
from mteb_cascade.stages.base import Stage, cells
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.stages.stored import missing
from mteb_cascade.store.switch import bypassed
from mteb_cascade.values.run import Run

SAMPLE = (4, 16, 64)
"""Documents whose pairs with as many queries are timed to tell the time of all: more where fewer took no time."""

ENOUGH = 0.5
"""Seconds from which on a sample tells."""


@dataclass(frozen=True)
class Work:
    """Pairs of one reranker on the queries of one task.

    Args:
        pipeline: The stages in their order.
        task: Collection and split.
        pairs: Pairs that are needed.
        stored: Those of them that are in the store; None where none of the stages is worth storing.
        exact: Whether both are known; else `pairs` is what they can be at most, stored ones among them.
        seconds: What the others will take; None where it is not known.
    """

    pipeline: str
    task: str
    pairs: int
    stored: int | None
    exact: bool
    seconds: float | None

    def __str__(self) -> str:
        bound = "" if self.exact else "at most "
        time = "" if self.seconds is None else f", about {in_words(self.seconds)}"
        stored = f", {self.stored:,} stored" if self.exact and self.stored is not None else ""
        return f"{self.pipeline} on {self.task}: {bound}{self.pairs:,} pairs{stored}{time}"


def planned(
    pipeline: Pipeline,
    task: Task,
    depth: int,
    received: Mapping[str, Run],
    *,
    full_corpus: bool,
    rates: dict[str, float],
) -> Work:
    """The work of one pipeline on one task.

    Args:
        pipeline: What is swept.
        task: What it is swept on.
        depth: The deepest.
        received: {split: the first stage's run}; without it, as much as there can be.
        full_corpus: Whether the reranker scores the whole corpus, too.
        rates: {stage and corpus: pairs a second}, measured here where it is not known yet; not where all that is known
            of the work is stored, for that loads the model.
    """
    steps, corpus = pipeline.cascade.steps, task.collection.corpus
    pairs = stored = 0
    warm = False
    seconds, exact = 0.0, len(steps) == 1 and bool(received)
    for number, step in enumerate(steps):
        deepest = depth if number == len(steps) - 1 else step.depth
        here = there = 0
        for split in task.splits:
            queries = task.queries(split)
            if number == 0 and split in received:
                candidates = received[split].cut(deepest)
                wanted = len(cells(candidates)[0])
                absent = missing(step.stage, queries, candidates)
            else:
                wanted = absent = len(queries) * min(deepest, len(corpus))
            if not step.stage.pointwise and not isinstance(step.stage, RunFile):
                wanted = absent = wanted * POINTS // 2
            here, there = here + wanted, there + wanted - absent
        warm = warm or (number == 0 and bool(received) and here == there > 0)
        if len(steps) > 1 and step.stage.pointwise:
            here += len(task.queries(task.split)) * min(sum(grid_of(depth)), len(corpus))
        if number == len(steps) - 1 and full_corpus:
            here, exact = here + len(task.queries(task.split)) * len(corpus), False
        pairs, stored = pairs + here, stored + there
        if here > there and step.stage.stored and not warm:
            seconds += (here - there) / rate(step.stage, task.queries(task.split), corpus, rates)
    kept = stored if any(step.stage.stored for step in steps) else None
    return Work(pipeline.title, " and ".join([task.title, *task.splits[1:]]), pairs, kept, exact, seconds or None)


def rate(stage: Stage, queries: Queries, corpus: Corpus, known: dict[str, float]) -> float:
    """Pairs a second, from a few pairs of this task; loads the model. Remembered in `known`."""
    key = f"{stage.label} {corpus.digest}"
    if key in known:
        return known[key]
    stage.prepare()
    drawn = np.random.default_rng(0).permutation(len(corpus)).astype(np.int32)
    with bypassed():
        for size in SAMPLE:
            some = queries.first(size)
            docs = np.repeat(drawn[None, :size], len(some), axis=0)
            sample = Run(some.ids, corpus, docs, np.zeros(docs.shape, np.float32))
            begun = perf_counter()
            stage.score(some, sample)
            known[key] = docs.size / max(perf_counter() - begun, 1e-9)
            if perf_counter() - begun > ENOUGH:
                break
    return known[key]


def in_words(seconds: float) -> str:
    """A duration as a person says it.

    >>> in_words(0.4), in_words(75), in_words(5400), in_words(200_000)
    ('1 s', '75 s', '90 min', '56 h')
    """
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 7200 else f"{round(seconds / 3600)} h"
