"""What an index keeps of each document for a stage, over all segments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.store.index.segment import Rows, lengths_name

BLOCK_ROWS = 32_768
STRETCH = 256
"""Where live documents stand together so many at a time, on the average, they are shown as they lie."""


@dataclass(frozen=True)
class Block:
    """Arrays of consecutive live documents.

    Args:
        first: Row of the first.
        rows: How many documents.
        arrays: By name: a row a document, or its entries, document after document.
    """

    first: int
    rows: int
    arrays: dict[str, NDArray[Any]]


class SegmentArrays:
    """Arrays of N live documents, which lie in S segments.

    A stage keeps a row a document, or entries of each document, whose number is in an array called `<name>.lengths`.

    Args:
        places: Where each row lies.
        key: Of the stage.
    """

    def __init__(self, places: Rows, key: str) -> None:
        self._places = places
        self._arrays: Sequence[Mapping[str, NDArray[Any]]] = [one.arrays[key] for one in places.segments]
        self.names = frozenset(self._arrays[0])
        self._bounds: dict[tuple[int, str], NDArray[np.int64]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def at(self, name: str, rows: NDArray[np.integer]) -> NDArray[Any]:
        """A row of the array for each of these documents, in their order.

        Args:
            name: An array of documents, or the lengths of one of entries.
            rows: Integers of any shape.

        Returns:
            [*rows.shape, ...]
        """
        self._refuse_unknown(name)
        first = self._arrays[0][name]
        flat = np.asarray(rows).reshape(-1)
        found = np.empty((len(flat), *first.shape[1:]), first.dtype)
        for number, which, positions in self._places.grouped(flat):
            found[which] = self._arrays[number][name][positions]
        return found.reshape(*np.shape(rows), *first.shape[1:])

    def entries_at(self, name: str, rows: NDArray[np.integer]) -> list[NDArray[Any]]:
        """The entries of each of these documents, in their order: [entries, ...] each, where they lie mapped."""
        lengths = self.lengths_of(name)
        found: list[NDArray[Any]] = [np.empty(0)] * len(rows)
        for number, which, positions in self._places.grouped(rows):
            bounds, values = self._bounds_of(number, lengths), self._arrays[number][name]
            at = np.arange(len(rows))[which].tolist()
            for index, first, last in zip(at, bounds[positions].tolist(), bounds[positions + 1].tolist(), strict=True):
                found[index] = values[first:last]
        return found

    def lengths_of(self, name: str) -> str:
        """Name of the array with the number of entries of this one that each document has.

        Raises:
            KeyError: It has a row a document.
        """
        self._refuse_unknown(name)
        lengths = lengths_name(name, self._arrays[0])
        if lengths is None:
            raise KeyError(f"'{name}' has a row a document, not entries; known are {sorted(self.names)}")
        return lengths

    def blocks(self, *names: str, rows: int = BLOCK_ROWS, first: int = 0, last: int | None = None) -> Iterator[Block]:
        """All live documents from `first` up to `last`, block by block, in their order.

        Where nothing is removed the arrays are views of what is mapped.

        Args:
            *names: Which arrays; of entries and of documents.
            rows: Most documents of a block; a block never reaches over the end of a segment.
            first: Row of the first document.
            last: Row after the last document; None for all of them.
        """
        for name in names:
            self._refuse_unknown(name)
        last = len(self) if last is None else last
        for number, segment in enumerate(self._places.segments):
            start = int(self._places.starts[number])
            low, high = max(first - start, 0), min(last - start, segment.live)
            for begin in range(low, high, rows):
                end = min(begin + rows, high)
                if segment.standing is None:
                    yield self._block(number, names, start + begin, slice(begin, end))
                    continue
                positions = segment.standing[begin:end]
                breaks = np.flatnonzero(np.diff(positions) != 1) + 1
                if len(positions) < STRETCH * len(breaks):
                    yield self._block(number, names, start + begin, positions)
                    continue
                edges = [0, *breaks.tolist(), len(positions)]
                for left, right in pairwise(edges):
                    where = slice(int(positions[left]), int(positions[right - 1]) + 1)
                    yield self._block(number, names, start + begin + left, where)

    def _block(self, number: int, names: Sequence[str], first: int, where: slice | NDArray[np.int32]) -> Block:
        arrays = {}
        for name in names:
            values, lengths = self._arrays[number][name], lengths_name(name, self._arrays[number])
            if lengths is None:
                arrays[name] = values[where]
                continue
            bounds = self._bounds_of(number, lengths)
            if isinstance(where, slice):
                arrays[name] = values[bounds[where.start] : bounds[where.stop]]
            else:
                pieces = [values[bounds[position] : bounds[position + 1]] for position in where.tolist()]
                arrays[name] = np.concatenate(pieces)
        return Block(first, where.stop - where.start if isinstance(where, slice) else len(where), arrays)

    def _bounds_of(self, number: int, lengths: str) -> NDArray[np.int64]:
        """int64 [rows + 1], where the entries of each document of a segment begin; made when it is first asked for."""
        found = self._bounds.get((number, lengths))
        if found is None:
            values = self._arrays[number][lengths]
            found = np.concatenate([[0], np.cumsum(values, dtype=np.int64)])
            self._bounds[number, lengths] = found
        return found

    def _refuse_unknown(self, name: str) -> None:
        if name not in self.names:
            raise KeyError(f"the index keeps no '{name}' for this stage; known are {sorted(self.names)}")
