"""The signs of vectors as bits: Hamming distance, and a finer query against the same bits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WORD = 64
EVERY_BIT = np.uint64(2**WORD - 1)
LEVEL_BITS = 8
"""Bits in which the size of a query's dimensions is told, where documents have their signs alone."""

PLANE_ROWS = 32_768
"""Documents whose bits are compared at once: those of a usual model stay in a processor's own memory."""


def sign_bits(vectors: NDArray[np.float32]) -> NDArray[np.uint64]:
    """uint64 [n, ceil(d / 64)], a bit a dimension, set where it is above 0, the first dimension in the lowest bit.

    >>> sign_bits(np.float32([[0.5, -0.5, 0.25, 0.0]])).tolist()
    [[5]]
    """
    width = -(-vectors.shape[1] // WORD) * WORD // 8
    packed = np.packbits(vectors > 0, axis=1, bitorder="little")
    return np.ascontiguousarray(np.pad(packed, ((0, 0), (0, width - packed.shape[1])))).view("<u8").astype(np.uint64)


@dataclass(frozen=True)
class SignQueries:
    """Queries that are compared with sign bits.

    A document's score is the sum, over the dimensions in which the signs agree, of the query's size there. Sizes are
    whole numbers, so a score is exact, whatever else is computed with it.

    Args:
        opposite: uint64 [Q, W], bits that are set where a query's dimension is not above 0.
        sizes: uint64 [Q, B, W], bit b of the size of each dimension; 0 beyond the dimensions that are compared.
    """

    opposite: NDArray[np.uint64]
    sizes: NDArray[np.uint64]

    @classmethod
    def of(cls, vectors: NDArray[np.float32], *, sized: bool) -> SignQueries:
        """From vectors [Q, d], of which sizes are told, or else all alike: then scores are d - Hamming distance."""
        top = 2**LEVEL_BITS - 1 if sized else 1
        sizes = np.ones(vectors.shape, np.int64)
        if sized:
            largest = np.abs(vectors).max(axis=1, keepdims=True, initial=0)
            sizes = np.rint(np.abs(vectors) / np.where(largest == 0, 1, largest) * top).astype(np.int64)
        bits = [sign_bits(((sizes >> bit) & 1).astype(np.float32)) for bit in range(top.bit_length())]
        return cls(~sign_bits(vectors), np.stack(bits, axis=1))

    def __len__(self) -> int:
        return len(self.opposite)

    @property
    def words(self) -> int:
        """W."""
        return int(self.opposite.shape[1])


class SignScorer:
    """Scores of documents, whose arrays in between are used again: one for each thread.

    Args:
        queries: Q queries.
    """

    def __init__(self, queries: SignQueries) -> None:
        self.queries = queries
        self._rows = 0

    def _make_room(self, rows: int) -> None:
        if rows > self._rows:
            self._rows = rows
            self._agree, self._sized = np.empty((2, rows), np.uint64)
            self._counts = np.empty(rows, np.uint8)
            kind = np.uint16 if self.queries.sizes.shape[1] == 1 else np.uint32
            self._sums = np.empty((self.queries.sizes.shape[1], rows), kind)

    def scores(self, query: int, planes: NDArray[np.uint64]) -> NDArray[np.unsignedinteger]:
        """Scores [n] of one query; the array is used again for the next.

        Args:
            query: Which one.
            planes: uint64 [W or more, n], word by word.
        """
        rows = planes.shape[1]
        self._make_room(rows)
        agree, sized, counts = self._agree[:rows], self._sized[:rows], self._counts[:rows]
        sums = self._sums[:, :rows]
        opposite, sizes = self.queries.opposite[query], self.queries.sizes[query]
        for word in range(self.queries.words):
            np.bitwise_xor(planes[word], opposite[word], out=agree)
            for bit, size in enumerate(sizes[:, word]):
                if size == EVERY_BIT:
                    np.bitwise_count(agree, out=counts)
                else:
                    np.bitwise_and(agree, size, out=sized)
                    np.bitwise_count(sized, out=counts)
                if word:
                    np.add(sums[bit], counts, out=sums[bit])
                else:
                    sums[bit] = counts
        for bit in range(len(sums) - 1, 0, -1):
            sums[bit - 1] += sums[bit] << 1
        found: NDArray[np.unsignedinteger] = sums[0]
        return found


def planes_of(blocks: Iterable[tuple[int, NDArray[np.uint64]]]) -> Iterator[tuple[int, NDArray[np.uint64]]]:
    """Bits word by word, which numpy compares several times faster than document by document.

    Args:
        blocks: (first row, bits [n, W]) of consecutive documents.

    Yields:
        (First row, [W, n]) of `PLANE_ROWS` documents, the last of fewer.
    """
    rest: list[NDArray[np.uint64]] = []
    first = held = 0
    for _, bits in blocks:
        rest.append(bits)
        held += len(bits)
        while held >= PLANE_ROWS:
            whole = np.concatenate(rest) if len(rest) > 1 else rest[0]
            yield first, np.ascontiguousarray(whole[:PLANE_ROWS].T)
            rest, held, first = [whole[PLANE_ROWS:]], held - PLANE_ROWS, first + PLANE_ROWS
    if held:
        yield first, np.ascontiguousarray(np.concatenate(rest).T)
