"""Latency of a stage, and of each stage of a cascade, a query at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.engine.latency import CALLS, latency
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.values.run import Run

K = 10
"""Documents asked for unless told otherwise: a page of results."""


def latencies(stage: Stage, queries: Queries, k: int = K, calls: int = CALLS) -> dict[str, Any]:
    """Time single queries on the indexed corpus, the stage warm: its model loaded, its corpus encoded.

    Args:
        stage: What is timed; a corpus is indexed.
        queries: Q >= 1 queries; they start over where there are fewer than `calls`.
        k: Documents that the whole is asked for.
        calls: Calls timed of the whole and of every stage.

    Returns:
        `k`, `whole` (measured end to end, not a sum) and `stages`, a `Latency` each as JSON: what retrieving and what
        scoring the candidates took.
    """
    queries = queries.rows(range(min(len(queries), calls)))
    singles = [queries.rows([row]) for row in range(len(queries))]
    whole = latency(lambda query: stage.retrieve(query, k), singles, calls=calls).as_json()
    if not isinstance(stage, Cascade):
        return {"k": k, "whole": whole, "stages": [whole]}
    pool = max([k, *stage.depths])
    first = latency(lambda query: stage.first.retrieve(query, pool), singles, calls=calls)
    found = [first.as_json()]
    for step, received in zip(stage.steps, stage.trace(queries, k), strict=False):
        heads = [received.rows(np.array([row])).cut(step.depth) for row in range(len(queries))]

        def score(asked: tuple[Queries, Run], scorer: Stage = step.stage) -> Any:
            return scorer.score(*asked)

        found.append(latency(score, list(zip(singles, heads, strict=True)), calls=calls).as_json())
    return {"k": k, "whole": whole, "stages": found}
