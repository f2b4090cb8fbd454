"""What one model reaches on one task, wherever its figures come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.experiments.evaluate import evaluate_stage
from mteb_cascade.publish.leaderboard import Published, Scores
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.latency import K, latencies
from mteb_cascade.studies.comparing.comparison import Standing, Task
from mteb_cascade.studies.comparing.earlier import Earlier
from mteb_cascade.studies.comparing.tasks import Compared
from mteb_cascade.values.measures import Measure

PerQuery = dict[str, NDArray[np.float64]]

LEVELLED = ("success", "recall", "mrr")
"""Measures that count documents of at least the relevance level; nDCG goes by the grades."""


def of_stage(
    stage: Stage, compared: Compared, measures: Sequence[str], k: int, calls: int, earlier: Sequence[Earlier]
) -> Standing:
    """A local model: read where an earlier evaluation of this very model and text is there, else evaluated now."""
    split = compared.task.split
    parts = [
        read(stage, part, split, measures, earlier) or dict(evaluate_stage(stage, part, split, measures, k).per_query)
        for part in compared.parts
    ]
    timed = [times(stage, part, split, calls) for part in compared.parts if calls]
    return Standing(*summary(parts, compared, measures), latency=mean_of([one for one in timed if one]))


def read(
    stage: Stage, collection: Collection, split: str, measures: Sequence[str], earlier: Sequence[Earlier]
) -> PerQuery | None:
    """What an earlier evaluation has of every measure; None where none has."""
    for one in earlier:
        if one.fingerprint == stage.fingerprint and one.is_on(collection, split):
            found = one.per_query(collection, split)
            if found is not None and set(measures) <= set(found):
                return found
    return None


def times(stage: Stage, collection: Collection, split: str, calls: int) -> Mapping[str, float] | None:
    """Milliseconds of a query, end to end; None of a reranking task, which brings its candidates."""
    part = collection.split(split)
    if part.candidates is not None:
        return None
    context = collection.context(split)
    stage.index(collection.corpus, **context)
    whole: dict[str, float] = latencies(stage, part.queries.within(**context), K, calls)["whole"]
    return {name: whole[name] for name in ("p50", "p95")}


def of_files(evaluations: Sequence[Earlier], compared: Compared, measures: Sequence[str]) -> Standing | None:
    """Evaluations that were read from files; None where a subset of the task is not among them."""
    split = compared.task.split
    found = [next((one for one in evaluations if one.is_on(part, split)), None) for part in compared.parts]
    there = [one for one in found if one is not None]
    if len(there) < len(found):
        return None
    timed = [latency for one in there if (latency := percentiles(one.latency))]
    latency = mean_of(timed) if len(timed) == len(there) else None
    tables = [one.per_query(part, split) for one, part in zip(there, compared.parts, strict=True)]
    parts = [table for table in tables if table is not None]
    if len(parts) == len(tables):
        return Standing(*summary(parts, compared, measures), latency=latency)
    means = {
        name: float(np.mean([one.means[name] for one in there]))
        for name in measures
        if all(name in one.means for one in there)
    }
    return Standing(means, latency=latency)


def summary(
    parts: Sequence[PerQuery], compared: Compared, measures: Sequence[str]
) -> tuple[dict[str, float], PerQuery]:
    """Means over queries, each subset counting the same, and the figures of each query, of what all subsets have."""
    weights = compared.weights
    values = {
        name: np.concatenate([part[name] for part in parts]) for name in measures if all(name in p for p in parts)
    }
    return {name: float((np.nan_to_num(one) * weights).mean()) for name, one in values.items()}, values


def of_published(model: Published, task: Task, measures: Sequence[str]) -> Standing | None:
    """A published model; a measure at another relevance level than the task's is left out. None without a result."""
    scores = published_scores(model, task)
    if scores is None:
        return None
    same_level = scores.level(task.split) == task.relevance_level
    found = {
        name: scores.mean(task.split, name, task.subsets)
        for name in measures
        if same_level or Measure.parse(name).kind not in LEVELLED
    }
    timed = [percentiles(one.get("latency_ms")) for one in scores.subsets(task.split, task.subsets)]
    latency = mean_of([one for one in timed if one]) if all(timed) else None
    return Standing({name: value for name, value in found.items() if value is not None}, latency=latency)


def published_scores(model: Published, task: Task) -> Scores | None:
    """A published model's result of a task on its split; None where there is none."""
    scores = model.scores(task.published) if task.published else None
    return scores if scores is not None and scores.subsets(task.split, task.subsets) else None


def percentiles(timed: object) -> dict[str, float] | None:
    """p50 and p95 of what a result keeps of its latency, end to end."""
    whole = timed.get("whole", timed) if isinstance(timed, dict) else None
    if not isinstance(whole, dict) or not all(isinstance(whole.get(name), int | float) for name in ("p50", "p95")):
        return None
    return {name: float(whole[name]) for name in ("p50", "p95")}


def mean_of(timed: Sequence[Mapping[str, float]]) -> dict[str, float] | None:
    """Mean over subsets of each percentile; None where none was timed."""
    return {name: sum(one.get(name, nan) for one in timed) / len(timed) for name in timed[0]} if timed else None
