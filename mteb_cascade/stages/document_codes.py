"""What a funnel searches: vectors and codes of a corpus, from an index or in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.stages.indexed import VECTORS
from mteb_cascade.stages.sign_bits import planes_of
from mteb_cascade.store.index.arrays import Block
from mteb_cascade.store.precision import ByRow

BITS = "bits"
"""Name of the array of the signs of vectors' dimensions."""

ROWS = 4_096
"""Documents whose vectors are read together."""


class Arrays(ByRow, Protocol):
    """What the documents of a corpus have, by name: `store.index.SegmentArrays`, or as here in memory."""

    def blocks(self, *names: str, rows: int = ...) -> Iterator[Block]:
        """All documents in their order, at most so many at once."""


class CodesInMemory:
    """Codes that are made of vectors which a bi-encoder holds.

    Args:
        size: N, documents, at least one.
        vectors_at: From rows to float32 [n, d].
        codes_of: From vectors to their codes by name, a row a document.
    """

    def __init__(
        self,
        size: int,
        vectors_at: Callable[[NDArray[np.integer]], NDArray[np.float32]],
        codes_of: Callable[[NDArray[np.float32]], dict[str, NDArray[Any]]],
    ) -> None:
        self._size, self._vectors_at = size, vectors_at
        self._codes: dict[str, NDArray[Any]] = {}
        for first in range(0, size, ROWS):
            rows = np.arange(first, min(first + ROWS, size))
            for name, values in codes_of(vectors_at(rows)).items():
                if name not in self._codes:
                    self._codes[name] = np.empty((size, *values.shape[1:]), values.dtype)
                self._codes[name][rows] = values
        self.names = frozenset([VECTORS, *self._codes])

    def at(self, name: str, rows: NDArray[np.integer]) -> NDArray[Any]:
        """[len(rows), ...], of these documents in their order."""
        return self._vectors_at(rows) if name == VECTORS else self._codes[name][rows]

    def blocks(self, *names: str, rows: int = ROWS) -> Iterator[Block]:
        """All documents in their order, at most so many at once."""
        for first in range(0, self._size, rows):
            last = min(first + rows, self._size)
            arrays = {
                name: self._vectors_at(np.arange(first, last)) if name == VECTORS else self._codes[name][first:last]
                for name in names
            }
            yield Block(first, last - first, arrays)


class Documents:
    """The documents of one corpus, and what the first search makes of their codes; it is never changed afterwards.

    Args:
        corpus: N documents, at least one.
        arrays: Of these documents.
        made: What is made already.
    """

    def __init__(self, corpus: Corpus, arrays: Arrays, made: Mapping[str, Any] = MappingProxyType({})) -> None:
        self.corpus, self.arrays = corpus, arrays
        self._lock = threading.Lock()
        self._made = dict(made)

    def made(self, what: str, make: Callable[[], Any]) -> Any:
        """What `make` gave when it was first asked for."""
        with self._lock:
            if what not in self._made:
                self._made[what] = make()
            return self._made[what]

    def planes(self) -> list[tuple[int, NDArray[np.uint64]]]:
        """(First row, [W, n]): the bits of all documents, word by word, in memory."""
        planes: list[tuple[int, NDArray[np.uint64]]] = self.made(
            BITS, lambda: list(planes_of((block.first, block.arrays[BITS]) for block in self.arrays.blocks(BITS)))
        )
        return planes
