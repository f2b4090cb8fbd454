"""Latency of a stage, and of each stage of a cascade, a query at a time."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.engine.latency import CALLS, Latency, Limit, latency, machine, times
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.token_counts import counted_by, token_counts
from mteb_cascade.values.run import PAD, Run

K = 10
"""Documents asked for unless told otherwise: a page of results."""

POINTS = 5
"""Depths that are timed unless told otherwise; between them latency is interpolated."""

PERCENTILES = ("p50", "p95", "p99")

WARM_UP = 5

BETWEEN = "linear between the depths that were timed, never falling with depth; nothing is said beyond them"


def latencies(stage: Stage, queries: Queries, k: int = K, calls: int = CALLS) -> dict[str, Any]:
    """Time single queries on the indexed corpus, the stage warm: its model loaded, its corpus encoded.

    Args:
        stage: What is timed; a corpus is indexed.
        queries: Q >= 1 queries; they start over where there are fewer than `calls`.
        k: Documents that the whole is asked for.
        calls: Calls timed.

    Returns:
        `k`, `whole` (measured end to end, not a sum) and `stages`, a `Latency` each as JSON: what retrieving and what
        scoring the candidates took, in the same calls.
    """
    if isinstance(stage, Cascade):
        whole, parts = timed(stage, queries, k, calls)
        return {"k": k, "whole": whole.as_json(), "stages": [part.as_json() for part in parts]}
    alone = latency(lambda query: stage.retrieve(query, k), singles_of(queries, calls), calls=calls).as_json()
    return {"k": k, "whole": alone, "stages": [alone]}


def latency_at_depths(
    cascade: Cascade,
    queries: Queries,
    depths: Sequence[int],
    k: int = K,
    calls: int = CALLS,
    *,
    points: int = POINTS,
    limit: Limit | None = None,
) -> dict[str, Any]:
    """Time a cascade at several depths of its last step, the others at their own; a query at a time, all warm.

    Nothing comes from the store. A few log-spaced depths are timed, the shallowest and the deepest among them; the
    others are interpolated.

    Args:
        cascade: Two or more stages; a corpus is indexed. Depth and blend of its last step are not looked at.
        queries: Q >= 1 queries; they start over where there are fewer than `calls`.
        depths: Depths of the last step, each >= 1 and at most the depth of the step before.
        k: Documents that the whole is asked for.
        calls: Calls timed at each depth that is timed.
        points: Depths that are timed at most.
        limit: A depth that certainly breaks it is timed no further: it takes fewer calls, which its figures state.

    Returns:
        `depths` ascending, and aligned with them: `whole` (end to end) and `last` (the last step's scoring), each {p50,
        p95, p99: milliseconds}; `pairs` and `tokens` that the last step reads for a query, on average. `measured`, one
        entry a timed depth, with every stage's figures. `between`, how the rest came about; `tokens_are`, `k`,
        `stages`, `machine`.

    Raises:
        InputError: There is no step, no query or no depth to time.
    """
    depths = sorted({int(depth) for depth in depths})
    if not cascade.steps or not depths or depths[0] < 1 or not len(queries):
        raise InputError(
            f"{cascade.label}: nothing to time; expected a cascade of two or more stages, queries, and depths from 1"
        )
    pairs, tokens = work(cascade, queries.first(calls), depths)
    measured: list[dict[str, Any]] = []
    for depth in spaced(depths, points):
        whole, parts = timed(cascade.at(*cascade.depths[:-1], depth), queries, k, calls, limit)
        measured.append({"depth": depth, "whole": whole.as_json(), "stages": [part.as_json() for part in parts]})
    wholes, lasts = [one["whole"] for one in measured], [one["stages"][-1] for one in measured]
    timed_at = [one["depth"] for one in measured]
    return {
        "k": k,
        "calls": calls,
        "stages": [stage.label for stage in cascade],
        "depths": depths,
        "whole": {name: between(depths, timed_at, [one[name] for one in wholes]) for name in PERCENTILES},
        "last": {name: between(depths, timed_at, [one[name] for one in lasts]) for name in PERCENTILES},
        "pairs": np.round(pairs, 2).tolist(),
        "tokens": np.round(tokens, 1).tolist(),
        "tokens_are": counted_by(cascade.steps[-1].stage),
        "measured": measured,
        "between": BETWEEN,
        "machine": machine(),
    }


def timed(
    cascade: Cascade, queries: Queries, k: int, calls: int, limit: Limit | None = None
) -> tuple[Latency, list[Latency]]:
    """Latency of a cascade end to end, and of each of its stages within the same calls; `retrieve` asks no store."""
    watches = [Stopwatch(stage) for stage in cascade]
    steps = [Step(watch, step.depth, step.blend) for watch, step in zip(watches[1:], cascade.steps, strict=True)]
    watched = Cascade(watches[0], *steps)
    laps: list[list[float]] = []

    def call(query: Queries) -> Run:
        for watch in watches:
            watch.seconds = 0.0
        found = watched.retrieve(query, k)
        laps.append([watch.seconds for watch in watches])
        return found

    singles = singles_of(queries, calls)
    seconds = times(call, singles, calls=calls, warm_up=WARM_UP, limit=limit)
    parts = np.array(laps[-len(seconds) :])
    return Latency.of(seconds, len(singles)), [Latency.of(column, len(singles)) for column in parts.T]


class Stopwatch(Stage):
    """A stage that says how long it was busy.

    Args:
        stage: What works.
    """

    stored: ClassVar[bool] = False

    def __init__(self, stage: Stage) -> None:
        super().__init__(name=stage.name)
        self.stage = stage
        self.seconds = 0.0

    def retrieve(self, queries: Queries, k: int) -> Run:
        """As the stage's."""
        start = perf_counter()
        found = self.stage.retrieve(queries, k)
        self.seconds += perf_counter() - start
        return found

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """As the stage's."""
        start = perf_counter()
        scores = self.stage.score(queries, candidates)
        self.seconds += perf_counter() - start
        return scores


def singles_of(queries: Queries, calls: int) -> list[Queries]:
    """The first queries, one by one, as many as there are calls."""
    return [queries.rows([row]) for row in range(min(len(queries), calls))]


def work(cascade: Cascade, queries: Queries, depths: Sequence[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pairs, and tokens of query and document together, that the last step reads for a query at each depth, on average.

    Returns:
        Two float64 [len(depths)].
    """
    *_, received = cascade.at(*cascade.depths[:-1], 0).trace(queries, max(depths))
    head, stage = received.cut(max(depths)), cascade.steps[-1].stage
    there = head.docs != PAD
    rows = np.unique(head.docs[there])
    of_document = np.zeros(len(head.corpus), np.int64)
    of_document[rows] = token_counts(stage, head.corpus.texts_at(rows))
    of_pair = np.where(there, of_document[head.docs] + token_counts(stage, queries.texts)[:, None], 0)
    # A list that ends early has fewer pairs at every depth beyond.
    columns = np.minimum(depths, head.depth) - 1
    pairs, tokens = (np.cumsum(cells.mean(axis=0))[columns] for cells in (there, of_pair))
    return pairs, tokens


def spaced(depths: Sequence[int], points: int) -> list[int]:
    """Some of these ascending depths, log-spaced, the first and the last among them.

    >>> spaced(range(1, 101), 5)
    [1, 3, 10, 32, 100]
    """
    if len(depths) <= points:
        return list(depths)
    wanted = np.geomspace(depths[0], depths[-1], max(points, 2))
    logs = np.log(np.asarray(depths))
    return sorted({int(depths[int(np.argmin(np.abs(logs - np.log(one))))]) for one in wanted})


def between(depths: Sequence[int], timed_at: Sequence[int], values: Sequence[float]) -> list[float]:
    """Values at all depths from those at some: linear between, and never falling, as a deeper rerank cannot take less.

    >>> between([1, 2, 3], [1, 3], [10.0, 30.0]), between([1, 2, 3], [1, 2, 3], [10.0, 9.0, 12.0])
    ([10.0, 20.0, 30.0], [10.0, 10.0, 12.0])

    Args:
        depths: Within those that were timed.
        timed_at: Ascending.
        values: One a timed depth.
    """
    rising = np.maximum.accumulate(values)
    return [round(float(value), 3) for value in np.interp(depths, timed_at, rising)]
