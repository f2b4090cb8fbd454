"""The best documents of a whole corpus by cheap scores, block by block, in threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Scored = Callable[[Any], Iterator[tuple[int, NDArray[Any]]]]
"""From a block to (first row of the corpus, scores [n]) of each query in turn."""


class Best:
    """The best documents of one query among those it was shown: by score, equal ones by `tie`, both falling.

    What it keeps does not depend on the order in which it was shown them.

    Args:
        keep: How many, >= 1.
        tie: int32 [N], of all documents.
        slack: Scores may be wrong by half of it: all that may be among the best are kept. It may grow on the way.
    """

    def __init__(self, keep: int, tie: NDArray[np.int32], slack: float = 0.0) -> None:
        self.keep, self.tie, self.slack = keep, tie, slack
        self._docs: list[NDArray[np.int32]] = []
        self._scores: list[NDArray[Any]] = []
        self._count, self._limit = 0, 2 * keep
        self._least: Any = None

    def show(self, first: int, scores: NDArray[Any]) -> None:
        """Scores [n] of n consecutive documents; the array may be used again afterwards."""
        if self._least is None:
            self._take(np.arange(first, first + len(scores), dtype=np.int32), scores.copy())
        else:
            inside = np.flatnonzero(scores >= (self._least - self.slack if self.slack else self._least))
            if len(inside):
                self._take((inside + first).astype(np.int32), scores[inside])

    def join(self, other: Best) -> None:
        """All that another one, of the same query, kept."""
        self._docs += other._docs
        self._scores += other._scores

    def _take(self, docs: NDArray[np.int32], scores: NDArray[Any]) -> None:
        self._docs.append(docs)
        self._scores.append(scores)
        self._count += len(docs)
        if self._count > self._limit:
            docs, scores = self.settled()
            self._docs, self._scores, self._count = [docs], [scores], len(docs)
            self._limit = max(2 * self.keep, 2 * len(docs))
            self._least = np.partition(scores, -self.keep)[-self.keep] if self.slack else scores.min()

    def settled(self) -> tuple[NDArray[np.int32], NDArray[Any]]:
        """Documents [n] in no order, and their scores: n is `keep` or what there is; more where there is slack."""
        if not self._docs:
            return np.empty(0, np.int32), np.empty(0, np.float32)
        docs, scores = np.concatenate(self._docs), np.concatenate(self._scores)
        which = best_of(scores, docs, self.keep, self.tie, self.slack)
        return docs[which], scores[which]


def best_of(
    scores: NDArray[Any], docs: NDArray[np.int32], keep: int, tie: NDArray[np.int32], slack: float = 0.0
) -> NDArray[np.intp]:
    """Positions of the `keep` best of a list, in no order: by score, equal ones by `tie`, both falling.

    Args:
        scores: [n].
        docs: [n], rows of the corpus.
        keep: >= 1.
        tie: int32 [N].
        slack: Above 0 all that score at least the `keep`-th best less this.

    >>> best_of(np.array([5, 1, 3, 3]), np.array([0, 1, 2, 3]), 2, np.array([0, 1, 2, 3])).tolist()
    [0, 3]
    """
    if len(scores) <= keep:
        return np.arange(len(scores))
    least = np.partition(scores, len(scores) - keep)[-keep]
    if slack:
        return np.flatnonzero(scores >= least - slack)
    above = np.flatnonzero(scores > least)
    equal = np.flatnonzero(scores == least)
    room = keep - len(above)
    if room < len(equal):
        equal = equal[np.argpartition(tie[docs[equal]], len(equal) - room)[-room:]]
    return np.concatenate([above, equal])


def shortlisted(
    blocks: Iterable[Any],
    scorer: Callable[[], Scored],
    queries: int,
    keep: int,
    tie: NDArray[np.int32],
    *,
    slack: Sequence[float] | None = None,
    threads: int = 1,
) -> list[NDArray[np.int32]]:
    """The best documents of each query.

    Args:
        blocks: Of documents.
        scorer: Makes what scores a block for all queries; called once a thread.
        queries: Q, how many.
        keep: Documents wanted of each query.
        tie: int32 [N].
        slack: One number a query, see `Best`; none by default.
        threads: That score blocks at the same time.

    Returns:
        Q arrays int32 [n] in no order; n is `keep`, or what there is; more where there is slack.
    """
    source = Shared(blocks)

    def work(_: int) -> list[Best]:
        score = scorer()
        found = [Best(keep, tie, slack[query] if slack is not None else 0.0) for query in range(queries)]
        for block in source:
            for query, (first, scores) in enumerate(score(block)):
                found[query].show(first, scores)
        return found

    if threads == 1:
        found = [work(0)]
    else:
        with ThreadPoolExecutor(threads) as pool:
            found = list(pool.map(work, range(threads)))
    for others in found[1:]:
        for one, other in zip(found[0], others, strict=True):
            one.join(other)
    return [one.settled()[0] for one in found[0]]


class Shared(Iterator[Item]):
    """An iterator that several threads read from; each item goes to one of them."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items = iter(items)
        self._lock = threading.Lock()

    def __next__(self) -> Item:
        with self._lock:
            return next(self._items)
