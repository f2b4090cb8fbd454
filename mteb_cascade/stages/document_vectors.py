"""Vectors of a corpus, each document encoded when it is first asked for, whole blocks once and for all."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.stages.dense_search import Lengths
from mteb_cascade.store.vectors import StoredVectors

ROWS = 4_096
"""Documents of a block."""

Encode = Callable[[list[str]], NDArray[np.float32]]


@dataclass
class Part:
    """Some vectors of a block.

    Args:
        values: float32 [rows, d].
        known: bool [rows], which of them are vectors.
    """

    values: NDArray[np.float32]
    known: NDArray[np.bool_]


class DocumentVectors:
    """Vectors of a corpus, by blocks of rows.

    A block of which half is asked for at first is encoded as a whole, and stored. Of others what is asked for is
    encoded alone and kept in memory: so what is stored does not depend on what was asked before.

    Args:
        corpus: N documents.
        store: Where whole blocks are kept; None keeps them in memory.
    """

    def __init__(self, corpus: Corpus, store: StoredVectors | None = None) -> None:
        self.corpus = corpus
        self.store = store
        self.lengths = Lengths()
        self._whole: dict[int, NDArray[np.float32]] = {}
        self._parts: dict[int, Part] = {}

    def at(self, rows: NDArray[np.integer], encode: Encode) -> NDArray[np.float32]:
        """float32 [len(rows), d], at least one row; what is missing is encoded by `encode(texts)`."""
        blocks, of = self.ensure(rows, encode)
        parts = [self._values(int(block)) for block in blocks]
        found = np.empty((len(rows), parts[0].shape[1]), np.float32)
        for number, (block, values) in enumerate(zip(blocks, parts, strict=True)):
            inside = of == number
            found[inside] = values[rows[inside] - block * ROWS]
        return found

    def ensure(self, rows: NDArray[np.integer], encode: Encode) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
        """Encode what is missing of these rows, at least one.

        Returns:
            The blocks that they are of, ascending, and which of these each row is of.
        """
        blocks, of = np.unique(rows // ROWS, return_inverse=True)
        alone = [self._absent(int(block), rows[of == number], encode) for number, block in enumerate(blocks)]
        absent = np.concatenate(alone)
        if len(absent):
            self._add(absent, encode(self.corpus.texts_at(absent)))
        return blocks, of

    def block(self, first: int, encode: Encode) -> NDArray[np.float32]:
        """float32 [at most `ROWS`, d], the vectors of the block that begins with this row, as they lie."""
        if first // ROWS not in self._whole:
            self.ensure(np.arange(first, min(first + ROWS, len(self.corpus))), encode)
        return self._values(first // ROWS)

    def _values(self, block: int) -> NDArray[np.float32]:
        return self._whole[block] if block in self._whole else self._parts[block].values

    def _absent(self, block: int, rows: NDArray[np.integer], encode: Encode) -> NDArray[np.integer]:
        """Those of these rows of a block that have to be encoded alone: none where the block is read or made whole."""
        if block in self._whole:
            return rows[:0]
        start, rows = block * ROWS, np.unique(rows)
        if block in self._parts:
            absent: NDArray[np.integer] = rows[~self._parts[block].known[rows - start]]
            return absent
        size = min(ROWS, len(self.corpus) - start)
        values = self.store.read(block, size) if self.store else None
        if values is None and 2 * len(rows) < size:
            return rows
        if values is None:
            values = encode(self.corpus.texts_at(np.arange(start, start + size)))
            self._keep(block, values)
        self._whole[block] = values
        return rows[:0]

    def _keep(self, block: int, values: NDArray[np.float32]) -> None:
        if self.store is None:
            return
        try:
            self.store.write(block, values)
        except OSError as error:
            warnings.warn(
                f"{self.store.folder}: vectors cannot be stored ({error.strerror}); they are kept in memory and "
                "encoded again next time",
                stacklevel=2,
            )
            self.store = None

    def _add(self, rows: NDArray[np.integer], values: NDArray[np.float32]) -> None:
        for block in np.unique(rows // ROWS).tolist():
            start, here = block * ROWS, rows // ROWS == block
            if block not in self._parts:
                size = min(ROWS, len(self.corpus) - start)
                self._parts[block] = Part(np.empty((size, values.shape[1]), np.float32), np.zeros(size, bool))
            part = self._parts[block]
            part.values[rows[here] - start] = values[here]
            part.known[rows[here] - start] = True
