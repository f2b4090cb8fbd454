"""Who wins alone: first stages side by side, slice by slice, before anything is reranked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mteb_cascade.experiments.sweep_tasks import Task
from mteb_cascade.values.measures import evaluate
from mteb_cascade.values.run import Run
from mteb_cascade.values.slices import figures as slice_figures
from mteb_cascade.values.winners import alone

MEASURES = ("success@1", "recall@100", "ndcg@10")


def who_wins_alone(task: Task, runs: Mapping[str, Run]) -> list[dict[str, Any]]:
    """Figures of every first stage in every slice, and how many queries it alone gets right at rank 1.

    Args:
        task: Its reported split is looked at.
        runs: {first stage: what it retrieved for that split}.

    Returns:
        One entry a slice, all queries first: `by`, `slice`, `queries`, and `stages`, {first stage: measures, `alone`}.
    """
    split = task.collection.split(task.split)
    if task.collection.ignore_identical_ids:
        runs = {label: run.without_identical_ids() for label, run in runs.items()}
    figures = {label: evaluate(run, split.qrels, MEASURES) for label, run in runs.items()}
    right = alone({label: per_query["success@1"] == 1 for label, per_query in figures.items()})
    lines = {label: {**per_query, "alone": right[label].astype(np.float64)} for label, per_query in figures.items()}
    found = []
    for by, labels in {"all": np.full(len(split.queries), "all"), **task.slices}.items():
        for one in slice_figures(labels, lines):
            stages = {label: {**one[label], "alone": round(one[label]["alone"] * one["queries"])} for label in lines}
            found.append({"by": by, "slice": one["slice"], "queries": one["queries"], "stages": stages})
    return found
