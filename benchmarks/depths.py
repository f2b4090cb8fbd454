"""The loop that one writes without curves: at ten depths, rerank, make a run of the first ranks, evaluate it.

numpy alone, so that peers' environments can use it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

COUNT = 10
MEASURES = ("recall@1", "mrr@10", "ndcg@10")

Lists = dict[str, dict[str, float]]


def evenly(depth: int) -> list[int]:
    """Depths spread evenly from 1 to the deepest."""
    return [int(one) for one in np.linspace(1, depth, COUNT)]


def reranked(names: NDArray[Any], scores: NDArray[np.float32], ranks: int) -> Iterator[Lists]:
    """For each of the depths, {query: {document: score}} of the first ranks; scores are made of ranks.

    Args:
        names: Ids [Q, K] in the first stage's order.
        scores: The reranker's, [Q, K].
        ranks: Documents that are kept of each query.
    """
    given = range(names.shape[1], names.shape[1] - ranks, -1)
    for depth in evenly(names.shape[1]):
        order = np.argsort(-scores[:, :depth], axis=1, kind="stable")
        kept = np.take_along_axis(names, order[:, :ranks], axis=1)
        if depth < ranks:
            kept = np.concatenate([kept, names[:, depth:ranks]], axis=1)
        yield {f"q{row}": dict(zip(docs, given, strict=True)) for row, docs in enumerate(kept.tolist())}


def means(evaluate: Callable[[Lists], Mapping[str, float]], lists: Iterator[Lists]) -> list[list[float]]:
    """The measures' means over the queries at each of the depths."""
    return [[float(found[name]) for name in MEASURES] for found in map(evaluate, lists)]
