"""From a generation of an index and some queries to results: the stages' runs, and each document's way through them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.retriever.opening import Snapshot
from mteb_cascade.retriever.result import WHOLE, Result, Results, StageScore
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.store.switch import bypassed
from mteb_cascade.values.run import PAD, Run


def searched(snapshot: Snapshot, texts: Sequence[str], k: int) -> list[Results]:
    """What a generation of an index finds for Q >= 1 queries, every score computed anew.

    Args:
        snapshot: Shared by threads: nothing of it changes.
        texts: Q texts, searched together.
        k: Documents wanted of each, >= 1.
    """
    begun = perf_counter()
    queries = Queries(tuple(map(str, range(len(texts)))), tuple(texts))
    k = min(k, max(len(snapshot.index.corpus), 1))
    names = distinct(stage.label for stage in snapshot.stages)
    own: list[NDArray[np.float32]] = []
    runs: list[Run] = []
    milliseconds: dict[str, float] = {}
    with bypassed():
        last = perf_counter()
        for name, run in zip(names, runs_of(snapshot, queries, k, own.append), strict=True):
            runs.append(run)
            now = perf_counter()
            milliseconds[name], last = 1_000 * (now - last) / len(texts), now
    found = [results_of(runs, own, names, row, k) for row in range(len(texts))]
    milliseconds[WHOLE] = 1_000 * (perf_counter() - begun) / len(texts)
    return [Results(one, milliseconds=milliseconds, depths=snapshot.depths, capped=snapshot.capped) for one in found]


def runs_of(
    snapshot: Snapshot, queries: Queries, k: int, heard: Callable[[NDArray[np.float32]], object]
) -> Iterator[Run]:
    """The run after each stage; `heard` is called with what each step of a cascade itself says."""
    if isinstance(snapshot.stage, Cascade):
        yield from snapshot.stage.traced(queries, k, snapshot.depths, heard=heard)
    else:
        yield snapshot.stage.retrieved(queries, k)


def results_of(
    runs: Sequence[Run], own: Sequence[NDArray[np.float32]], names: Sequence[str], row: int, k: int
) -> list[Result]:
    """The first k documents of one query's last ranking.

    Args:
        runs: The ranking after each stage.
        own: What each but the first stage said of the ranking before it, -inf where nothing.
        names: Of the stages.
        row: Which query.
        k: Documents wanted.
    """
    last = runs[-1]
    docs = last.docs[row, :k]
    docs = docs[docs != PAD]
    columns = [places(run.docs[row], docs) for run in runs]
    # A step speaks of the ranking before it.
    spoken = [(at >= 0) & (scores[row, at] > -np.inf) for scores, at in zip(own, columns, strict=False)]
    ways = [
        [stage_score(name, run, row, at, is_scored) for at, is_scored in zip(column.tolist(), scored, strict=True)]
        for name, run, column, scored in zip(names, runs, columns, [np.ones(len(docs), bool), *spoken], strict=True)
    ]
    columns_of = (
        last.corpus.ids_at(docs),
        last.corpus.texts_at(docs),
        last.scores[row].tolist(),
        zip(*ways, strict=True),
    )
    return [Result(one, text, score, stages) for one, text, score, stages in zip(*columns_of, strict=False)]


def stage_score(name: str, run: Run, row: int, at: int, is_scored: bool) -> StageScore:
    """What a stage made of the document in a column of its ranking; -1 where that does not have it."""
    if at < 0:
        return StageScore(name, None, None)
    return StageScore(name, at + 1, float(run.scores[row, at]) if is_scored else None)


def places(docs: NDArray[np.int32], wanted: NDArray[np.int32]) -> NDArray[np.intp]:
    """Where documents stand in a list, -1 where they do not.

    >>> places(np.int32([7, 3, 9, -1]), np.int32([9, 7, 4])).tolist()
    [2, 0, -1]
    """
    if not len(docs):
        return np.full(len(wanted), -1, np.intp)
    order = np.argsort(docs)
    at = order[np.minimum(np.searchsorted(docs, wanted, sorter=order), len(docs) - 1)]
    return np.where(docs[at] == wanted, at, -1)


def distinct(labels: Iterable[str]) -> list[str]:
    """Names of stages, each once, and none that stands for the whole search.

    >>> distinct(["bm25", "ranker", "ranker", "whole"])
    ['bm25', 'ranker', 'ranker (2)', 'whole (2)']
    """
    counts = {WHOLE: 1}
    names = []
    for label in labels:
        counts[label] = counts.get(label, 0) + 1
        names.append(label if counts[label] == 1 else f"{label} ({counts[label]})")
    return names
