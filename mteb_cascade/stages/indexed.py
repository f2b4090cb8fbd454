"""What an index keeps of documents for an encoder, in place of encoding them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.dense_search import Lengths
from mteb_cascade.store.index.arrays import SegmentArrays
from mteb_cascade.store.index.segment import LENGTHS
from mteb_cascade.store.precision import SCALES, named, restored, restored_at

if TYPE_CHECKING:
    import torch
    from scipy.sparse import csr_matrix

    from mteb_cascade.store.index.index import Index

VECTORS, TOKENS, INDICES, WEIGHTS = "vectors", "tokens", "indices", "weights"
"""Names of arrays: a vector a document, a vector a token, and vocabulary entries with their weights."""


def arrays_for(stage: Stage, index: Index) -> SegmentArrays:
    """What the index keeps for a stage.

    Raises:
        InputError: It keeps nothing for it.
    """
    arrays = index.arrays(stage.kept_as)
    if arrays is None:
        raise nothing_kept(stage, index)
    return arrays


def nothing_kept(stage: Stage, index: Index) -> InputError:
    """What to say where an index keeps nothing for a stage."""
    return InputError(
        f"{shown(index.folder)}: keeps nothing for {stage.label} as it is here; index again with this model, or search "
        "with the one that the index was made from"
    )


@dataclass(frozen=True)
class Indexed:
    """What an index keeps of documents.

    Args:
        corpus: N documents of an index.
        arrays: What it keeps of them.
    """

    corpus: Corpus
    arrays: SegmentArrays


@dataclass(frozen=True)
class IndexedVectors(Indexed):
    """One vector a document, float32 when they are asked for; those of all are never in memory at once."""

    lengths: Lengths = field(default_factory=Lengths)

    def at(self, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(rows), d], at least one row; of consecutive ones a view of the file where that is possible."""
        if not is_stretch(rows):
            return restored_at(self.arrays, VECTORS, rows)
        parts = [part for _, part in self.blocks(len(rows), int(rows[0]), int(rows[-1]) + 1)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def blocks(self, rows: int, first: int = 0, last: int | None = None) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(First row, float32 [n, d]) of the documents from `first` up to `last`, at most so many rows at once."""
        scales = f"{VECTORS}.{SCALES}"
        names = [VECTORS, *({scales} & self.arrays.names)]
        for block in self.arrays.blocks(*names, rows=rows, first=first, last=last):
            yield block.first, restored(block.arrays[VECTORS], block.arrays.get(scales))


class IndexedTokens(Indexed):
    """Several vectors a document."""

    def at(self, rows: NDArray[np.integer]) -> list[torch.Tensor]:
        """[tokens, d] of each document, float32 in main memory, at least one row."""
        import torch

        kept = self.arrays.entries_at(TOKENS, rows)
        scales: Sequence[Any] = [None] * len(kept)
        if f"{TOKENS}.{SCALES}" in self.arrays.names:
            scales = self.arrays.entries_at(f"{TOKENS}.{SCALES}", rows)
        # Copied where it is a view: torch refuses memory that cannot be written.
        return [
            torch.from_numpy(np.require(restored(values, scale), np.float32, "W"))
            for values, scale in zip(kept, scales, strict=True)
        ]


class IndexedEntries(Indexed):
    """A sparse vector a document."""

    def at(self, rows: NDArray[np.integer], width: int) -> csr_matrix:
        """float32 [len(rows), width], at least one row."""
        from scipy.sparse import csr_matrix

        indices, weights = map(np.concatenate, zip(*self._pieces(rows), strict=True))
        lengths = self.arrays.at(f"{INDICES}{LENGTHS}", rows)
        starts = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
        return csr_matrix((weights, indices, starts), shape=(len(rows), width))

    def _pieces(self, rows: NDArray[np.integer]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Entries and weights, in the order of the rows."""
        if is_stretch(rows):
            for block in self.arrays.blocks(INDICES, WEIGHTS, first=int(rows[0]), last=int(rows[-1]) + 1):
                yield block.arrays[INDICES], block.arrays[WEIGHTS]
        else:
            yield from zip(self.arrays.entries_at(INDICES, rows), self.arrays.entries_at(WEIGHTS, rows), strict=True)


def is_stretch(rows: NDArray[np.integer]) -> bool:
    """Whether rows are consecutive and ascending: those that a scan of the corpus asks for.

    >>> is_stretch(np.array([3, 4, 5])), is_stretch(np.array([3, 5, 4]))
    (True, False)
    """
    return bool(rows[-1] - rows[0] == len(rows) - 1 and (np.diff(rows) == 1).all())


def kept_tokens(vectors: Sequence[NDArray[np.float32]], precision: str) -> dict[str, NDArray[Any]]:
    """Token vectors [tokens, d] of n documents as an index keeps them."""
    lengths = np.array([len(one) for one in vectors], np.int32)
    return {**named(TOKENS, np.concatenate(vectors), precision), f"{TOKENS}{LENGTHS}": lengths}


def kept_entries(vectors: csr_matrix) -> dict[str, NDArray[Any]]:
    """Sparse vectors [n, V], entries of a row in ascending order, as an index keeps them: exactly."""
    return {
        INDICES: vectors.indices.astype(np.int32),
        WEIGHTS: vectors.data.astype(np.float32),
        f"{INDICES}{LENGTHS}": np.diff(vectors.indptr).astype(np.int32),
    }
