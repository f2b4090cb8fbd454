"""What each stage of a cascade reached, from the run after each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mteb_cascade.values.curves import OUTCOMES, outcomes_of, pool_recall
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

MEASURES = (
    *("success@1", "recall@1", "recall@10", "recall@100"),
    *("mrr@10", "ndcg@5", "ndcg@10", "judged@10"),
)
"""What is said of every stage."""


def figures(run: Run, qrels: Qrels, measures: Sequence[str] = MEASURES) -> dict[str, float]:
    """trec_eval-compatible means; a query without positives counts as 0."""
    return {name: float(mean(values)) for name, values in evaluate(run, qrels, measures).items()}


def stage_figures(
    runs: Sequence[Run], depths: Sequence[int], qrels: Qrels, *, ignore_identical_ids: bool = False
) -> list[dict[str, Any]]:
    """The figures of every stage.

    Args:
        runs: The run after each stage, the first stage's first.
        depths: Candidates that each later stage reranked; one fewer than runs.
        qrels: Judgements.
        ignore_identical_ids: Take documents with the query's own id out of every ranking, once it is made.

    Returns:
        One dictionary a stage: `MEASURES`; `pool_recall`, the share of a query's relevant documents among those that
        the stage retrieved (the first) or received (the others); for the others `depth` and `rank_1`, the number of
        queries in each class of `OUTCOMES`.
    """
    shown = [run.without_identical_ids() if ignore_identical_ids else run for run in runs]
    found: list[dict[str, Any]] = [
        {**figures(run, qrels), "pool_recall": recall_of_pool(run, qrels)} for run in shown[:1]
    ]
    for before, after, depth in zip(runs[:-1], shown[1:], depths, strict=True):
        pool = before.cut(max(depth, 1))  # depth 0 leaves the ranking as it is, and so does depth 1
        pool = pool.without_identical_ids() if ignore_identical_ids else pool
        counts = np.bincount(outcomes_of(pool, after, pool.depth, qrels), minlength=len(OUTCOMES))
        found.append(
            {
                "depth": depth,
                **figures(after, qrels),
                "pool_recall": recall_of_pool(pool, qrels),
                "rank_1": dict(zip(OUTCOMES, counts.tolist(), strict=True)),
            }
        )
    return found


def recall_of_pool(pool: Run, qrels: Qrels) -> float:
    """Mean share of a query's relevant documents that are in the pool at all."""
    return float(mean(pool_recall(pool, qrels)[:, -1])) if pool.depth else 0.0
