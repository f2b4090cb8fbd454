"""A comparison: what several models reach on several tasks, and which differences are more than chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.values.statistics import Comparison as Difference

Source = Literal["evaluated", "file", "published"]
"""Evaluated now; read from the JSON of an evaluation; from a result file of the public leaderboard."""

LEVEL = 0.05
"""Of the corrected p-values that count as more than chance."""


@dataclass(frozen=True, eq=False)
class Standing:
    """One model on one task.

    Args:
        means: {measure: mean}; a measure that is not known is missing.
        per_query: {measure: float64 [Q]}, NaN where a query has no positive; None where means are all there is.
        latency: {"p50", "p95": milliseconds}, where it was measured.
    """

    means: Mapping[str, float]
    per_query: Mapping[str, NDArray[np.float64]] | None = None
    latency: Mapping[str, float] | None = None


@dataclass(frozen=True, eq=False)
class Model:
    """One row.

    Args:
        label: What tables call it.
        source: Where its figures come from.
        revision: Fingerprint, or the revision of a published model.
        untrained: Whether its weights were never trained to score.
        parameters: How many, where it has any and they can be told.
        megabytes: Memory of its weights.
        standings: {task: figures}; a task that it has no result of is missing.
    """

    label: str
    source: Source
    revision: str
    untrained: bool
    parameters: int | None
    megabytes: float | None
    standings: Mapping[str, Standing]

    def score(self, task: str, measure: str) -> float | None:
        """Its figure; None where it has none."""
        return self.standings[task].means.get(measure) if task in self.standings else None


@dataclass(frozen=True)
class Task:
    """One column.

    Args:
        name: What tables call it.
        split: The split.
        subsets: Names of its subsets, of which the mean is told.
        queries: Their number; 0 where all figures are published ones.
        relevance_level: A grade of at least this is relevant.
        highest_recall_at_1: What recall@1 could be at most; None where all figures are published ones.
        clusters: Whether clusters of queries are what is tested.
        published: Its name on the public leaderboard; "" where none is known.
    """

    name: str
    split: str
    subsets: tuple[str, ...]
    queries: int
    relevance_level: int
    highest_recall_at_1: float | None
    clusters: bool
    published: str

    @property
    def title(self) -> str:
        """Name, split, queries and level."""
        subsets = f", mean over {len(self.subsets)} subsets" if len(self.subsets) > 1 else ""
        queries = f", {self.queries:,} queries" if self.queries else ""
        return f"{self.name}: {self.split}{subsets}{queries}, relevant: grade >= {self.relevance_level}"


@dataclass(frozen=True)
class PairedTest:
    """One paired test.

    Args:
        model: Label.
        task: Name.
        difference: Model less the one it is compared with, interval and p-value.
        p_holm: The p-value, corrected over all tests of the comparison.
    """

    model: str
    task: str
    difference: Difference
    p_holm: float

    @property
    def is_shown(self) -> bool:
        """Whether the difference is more than chance."""
        return self.p_holm < LEVEL


@dataclass(frozen=True, eq=False)
class Comparison:
    """All models on all tasks.

    Args:
        tasks: The columns.
        measures: As asked for; the first one is tested.
        models: The rows.
        against: Label of the model that the others are compared with.
        tests: One a model and task where both have figures of each query.
        notes: What a reader must know.
    """

    tasks: tuple[Task, ...]
    measures: tuple[str, ...]
    models: tuple[Model, ...]
    against: str
    tests: tuple[PairedTest, ...]
    notes: tuple[str, ...]

    def mean(self, model: Model, measure: str) -> float | None:
        """Mean over the tasks, each counting the same; None where the model lacks one, as on mteb's leaderboard."""
        found = [model.score(task.name, measure) for task in self.tasks]
        there = [value for value in found if value is not None]
        return sum(there) / len(there) if len(there) == len(found) else None

    def test(self, model: str, task: str) -> PairedTest | None:
        """The test of a model on a task; None where there is none."""
        return next((one for one in self.tests if (one.model, one.task) == (model, task)), None)

    def as_json(self) -> dict[str, Any]:
        """Everything but the figures of each query, as JSON values."""
        models = [
            {
                "model": model.label,
                "source": model.source,
                "revision": model.revision,
                "untrained": model.untrained,
                "parameters": model.parameters,
                "megabytes": model.megabytes,
                "scores": {task: dict(standing.means) for task, standing in model.standings.items()},
                "latency_ms": {task: dict(one.latency) for task, one in model.standings.items() if one.latency},
                "means": {measure: self.mean(model, measure) for measure in self.measures},
            }
            for model in self.models
        ]
        tests = [
            {"model": one.model, "task": one.task, **asdict(one.difference), "p_holm": one.p_holm} for one in self.tests
        ]
        return {
            "kind": "comparison",
            "tasks": [asdict(task) for task in self.tasks],
            "measures": list(self.measures),
            "against": self.against,
            "models": models,
            "tests": tests,
            "notes": list(self.notes),
        }
