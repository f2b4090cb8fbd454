"""Exact search by inner product: float32 finds what may be among the best, float64 says what is."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.stages.shortlist import Best, best_of

ROUNDING = 2.0**-22
"""What float32 may be wrong by in the difference of two inner products, a dimension and a unit of both lengths.

A sum of d products, in any order, is off by at most d / (1 - d u) units u = 2^-24 of the lengths' product, and the
exact score is rounded once more: (d + 1) u a score, twice that a difference, and as much again to spare.
"""

LARGEST = 1e37
"""Products up to this do not leave float32 on the way."""

READ, ALONE, BEGUN = 64, 64, 16_384
"""Exact comparisons in blocks that take as long as making a document's vector ready for them, as comparing one document
alone, and as beginning with a query: measured at 384 and 512 dimensions."""

Vectors = tuple[int, NDArray[np.float32]]
"""First row, and vectors [n, d] of n consecutive documents."""


class Lengths:
    """The longest vector of each block of a corpus, worked out when the block is first searched."""

    def __init__(self) -> None:
        self._longest: dict[int, float] = {}

    def longest(self, first: int, vectors: NDArray[np.float32]) -> float:
        """At least the length of the longest of these vectors [n, d], less rounding; infinity where one is NaN.

        Args:
            first: Row of the first document: it stands for the block from here on.
            vectors: The same whenever this is asked.
        """
        if first not in self._longest:
            squares = float(np.einsum("nd,nd->n", vectors, vectors).max(initial=0))
            # A square that is too small for float32 was lost on the way: as much as all of them may have been is added.
            squares += vectors.shape[1] * float(np.finfo(np.float32).tiny)
            self._longest[first] = math.sqrt(squares) if squares < math.inf else math.inf
        return self._longest[first]


def is_worthwhile(queries: int, documents: int, k: int) -> bool:
    """Whether `nearest_vectors` is quicker than comparing everything exactly: not for many queries and few documents.

    >>> is_worthwhile(1, 5_000, 1_000), is_worthwhile(300, 5_000, 100), is_worthwhile(300, 50_000, 100)
    (True, False, True)
    """
    return queries * (k * ALONE + BEGUN) <= documents * (READ + queries * 2 / 3)


def nearest_vectors(
    queries: NDArray[np.float32],
    blocks: Iterable[Vectors],
    lengths: Lengths,
    exact: Callable[[int, NDArray[np.int32]], NDArray[np.float32]],
    keep: int,
    tie: NDArray[np.int32],
) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]] | None:
    """The best documents of each query by inner product; of equal ones the higher `tie`.

    Blocks are read as they lie and compared in float32. What rounding cannot have kept out, perhaps a few more than
    `keep` documents a query, is scored exactly, and nothing else.

    Args:
        queries: float32 [Q, d].
        blocks: All documents.
        lengths: Of these blocks.
        exact: (a query's number, rows of the corpus [n]) to float32 [n], inner products rounded once.
        keep: How many of each query, >= 1.
        tie: int32 [N].

    Returns:
        Rows and exact scores of each query, in no order, `keep` of them or what there is. None where a number is
        NaN, infinite or so large that float32 says nothing.
    """
    asked = np.sqrt(np.einsum("nd,nd->n", queries, queries, dtype=np.float64))
    found = [Best(keep, tie) for _ in asked]
    longest, reach = 0.0, float(asked.max(initial=0))
    for first, vectors in blocks:
        own = lengths.longest(first, vectors)
        if not own * reach <= LARGEST:
            return None
        if own > longest:
            longest = own
            # Never 0: what is smaller than the smallest float32 may have been lost on the way.
            slack = np.maximum(ROUNDING * queries.shape[1] * longest * asked, 1e-30).tolist()
            for best, wrong in zip(found, slack, strict=True):
                best.slack = wrong
        for best, scores in zip(found, queries @ vectors.T, strict=True):
            best.show(first, scores)
    lists = []
    for query, best in enumerate(found):
        docs = best.settled()[0]
        scores = exact(query, docs)
        inside = best_of(scores, docs, keep, tie)
        lists.append((docs[inside], scores[inside]))
    return lists
