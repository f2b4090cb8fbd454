"""The codes by which the steps of a funnel compare a query with documents."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.errors import InputError
from mteb_cascade.stages.dense_search import Lengths, Vectors, nearest_vectors
from mteb_cascade.stages.document_codes import BITS, Arrays, Documents
from mteb_cascade.stages.funnel_step import FunnelStep
from mteb_cascade.stages.indexed import VECTORS
from mteb_cascade.stages.int8_products import int8_products
from mteb_cascade.stages.shortlist import Scored, best_of, shortlisted
from mteb_cascade.stages.sign_bits import SignQueries, SignScorer, sign_bits
from mteb_cascade.store.precision import SCALES, named, restored, restored_at

SCAN_ROWS = 16_384
"""Documents whose vectors or 8-bit codes are compared at once."""

Compare = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]


@dataclass(frozen=True)
class Search(ABC):
    """Finds documents among all of a corpus.

    Args:
        dimensions: The first so many of a vector; None takes all.
        unit: Whether vectors that were cut are brought to length 1 again.
    """

    dimensions: int | None
    unit: bool

    def cut(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors [n, d] cut to the dimensions."""
        if self.dimensions is None:
            return vectors
        if self.dimensions > vectors.shape[1]:
            raise InputError(
                f"dimensions: expected at most the {vectors.shape[1]} of the model's vectors, got {self.dimensions}"
            )
        vectors = vectors[:, : self.dimensions]
        if not self.unit:
            return vectors
        lengths = np.sqrt(np.einsum("nd,nd->n", vectors, vectors, dtype=np.float64))[:, None]
        return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)

    def kept(self, vectors: NDArray[np.float32], precision: str) -> dict[str, NDArray[Any]]:
        """What documents are kept as beside their vectors [n, d], which are kept in this precision."""
        self.cut(vectors)
        return {}

    @abstractmethod
    def asked(self, vectors: NDArray[np.float32]) -> Any:
        """Queries [Q, d] as they are compared."""

    @abstractmethod
    def scan(self, documents: Documents, asked: Any, keep: int, threads: int) -> list[NDArray[np.int32]]:
        """The best documents of each query, in no order, equal ones by `tie`.

        Args:
            documents: All are compared.
            asked: What `asked` gave.
            keep: How many of each query.
            threads: That may be used.
        """


class Coding(Search):
    """Codes of vectors, by which any documents can be compared with a query."""

    kind: ClassVar[str]

    @property
    def array(self) -> str:
        """Name of the array that documents have."""
        return self.kind if self.dimensions is None else f"{self.kind}.{self.dimensions}"

    @abstractmethod
    def scores(self, arrays: Arrays, asked: Any, query: int, rows: NDArray[np.integer]) -> NDArray[Any]:
        """[len(rows)], what these documents score for one query; the better, the higher."""


@dataclass(frozen=True)
class SignCoding(Coding):
    """The signs of the dimensions; `sized`: with the sizes of the query's dimensions.

    All of a funnel's read the same bits, of the first `widest` dimensions.
    """

    kind = BITS

    sized: bool
    widest: int | None

    def kept(self, vectors: NDArray[np.float32], precision: str) -> dict[str, NDArray[Any]]:
        """Bits; signs do not depend on the length."""
        self.cut(vectors)
        return {BITS: sign_bits(vectors[:, : self.widest])}

    def asked(self, vectors: NDArray[np.float32]) -> SignQueries:
        """Signs and sizes."""
        return SignQueries.of(self.cut(vectors), sized=self.sized)

    def scan(self, documents: Documents, asked: SignQueries, keep: int, threads: int) -> list[NDArray[np.int32]]:
        """Word by word; the bits of all documents are held in memory that way."""
        planes = documents.planes()

        def scorer() -> Scored:
            own = SignScorer(asked)

            def score(block: tuple[int, NDArray[np.uint64]]) -> Iterator[tuple[int, NDArray[Any]]]:
                for query in range(len(asked)):
                    yield block[0], own.scores(query, block[1])

            return score

        threads = min(threads, len(planes))
        return shortlisted(planes, scorer, len(asked), keep, documents.corpus.tie, threads=threads)

    def scores(self, arrays: Arrays, asked: SignQueries, query: int, rows: NDArray[np.integer]) -> NDArray[Any]:
        """Agreeing dimensions, or the query's sizes there."""
        bits = arrays.at(BITS, rows)[:, : asked.words]
        return SignScorer(asked).scores(query, np.ascontiguousarray(bits.T))


class Int8Coding(Coding):
    """8-bit numbers with one scale a vector, on both sides."""

    kind = "int8"

    def kept(self, vectors: NDArray[np.float32], precision: str) -> dict[str, NDArray[Any]]:
        """Nothing where the vectors themselves are kept so."""
        if self.dimensions is None and precision == "int8":
            return {}
        return named(self.array, self.cut(vectors), "int8")

    def asked(self, vectors: NDArray[np.float32]) -> NDArray[np.int8]:
        """int8 [Q, d]; a query's own scale changes no order."""
        return named("", self.cut(vectors), "int8")[""]

    def scan(self, documents: Documents, asked: NDArray[np.int8], keep: int, threads: int) -> list[NDArray[np.int32]]:
        """Block by block; the product of a block has threads of its own."""
        name, scales = self._names(documents.arrays)

        def score(block: Any) -> Iterator[tuple[int, NDArray[Any]]]:
            for row in int8_products(asked, block.arrays[name]):
                yield block.first, row * block.arrays[scales]

        blocks = documents.arrays.blocks(name, scales, rows=SCAN_ROWS)
        return shortlisted(blocks, lambda: score, len(asked), keep, documents.corpus.tie)

    def scores(self, arrays: Arrays, asked: NDArray[np.int8], query: int, rows: NDArray[np.integer]) -> NDArray[Any]:
        """The product of the 8-bit numbers, which is exact, by the document's scale."""
        name, scales = self._names(arrays)
        products: NDArray[Any] = int8_products(asked[query : query + 1], arrays.at(name, rows))[0]
        return np.asarray(products * arrays.at(scales, rows))

    def _names(self, arrays: Arrays) -> tuple[str, str]:
        name = self.array if self.array in arrays.names else VECTORS
        return name, f"{name}.{SCALES}"


@dataclass(frozen=True)
class FloatCoding(Coding):
    """Vectors as they are, or their first dimensions; compared as the bi-encoder does."""

    kind = "float32"

    compare: Compare

    @property
    def array(self) -> str:
        """The vectors themselves, where they are not cut."""
        return VECTORS if self.dimensions is None else super().array

    def kept(self, vectors: NDArray[np.float32], precision: str) -> dict[str, NDArray[Any]]:
        """Vectors that were cut, in the precision of the others."""
        return {} if self.dimensions is None else named(self.array, self.cut(vectors), precision)

    def asked(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [Q, d]."""
        return self.cut(vectors)

    def scan(
        self, documents: Documents, asked: NDArray[np.float32], keep: int, threads: int
    ) -> list[NDArray[np.int32]]:
        """In float32 at first; of all that rounding may have kept out the best are found by exact scores."""
        arrays, tie = documents.arrays, documents.corpus.tie
        lengths = documents.made(f"lengths of {self.array}", Lengths)

        def exact(query: int, docs: NDArray[np.int32]) -> NDArray[np.float32]:
            return np.asarray(self.scores(arrays, asked, query, docs))

        found = nearest_vectors(asked, self._blocks(arrays), lengths, exact, keep, tie)
        if found is not None:
            return [docs for docs, _ in found]
        every = np.arange(len(documents.corpus), dtype=np.int32)
        scores = (exact(query, every) for query in range(len(asked)))
        # What is NaN is kept, so that ranking names it.
        return [every[best_of(np.where(np.isnan(own), np.inf, own), every, keep, tie)] for own in scores]

    def scores(self, arrays: Arrays, asked: NDArray[np.float32], query: int, rows: NDArray[np.integer]) -> NDArray[Any]:
        """What the bi-encoder makes of the vectors, block by block."""
        one = asked[query : query + 1]
        parts = [rows[start : start + SCAN_ROWS] for start in range(0, len(rows), SCAN_ROWS)]
        found = [self.compare(one, restored_at(arrays, self.array, part))[0] for part in parts]
        return np.concatenate(found) if found else np.empty(0, np.float32)

    def _blocks(self, arrays: Arrays) -> Iterator[Vectors]:
        scales = f"{self.array}.{SCALES}"
        names = [self.array, *({scales} & arrays.names)]
        for block in arrays.blocks(*names, rows=SCAN_ROWS):
            yield block.first, restored(block.arrays[self.array], block.arrays.get(scales))


def codings_of(steps: Sequence[FunnelStep], unit: bool, compare: Compare) -> list[Coding]:
    """The coding of each step, none of which faiss makes."""
    signs = [step.dimensions for step in steps if step.codes in ("hamming", "binary")]
    widest = None if None in signs else max([number for number in signs if number], default=None)
    found: list[Coding] = []
    for step in steps:
        if step.codes in ("hamming", "binary"):
            found.append(SignCoding(step.dimensions, unit, step.codes == "binary", widest))
        elif step.codes == "int8":
            found.append(Int8Coding(step.dimensions, unit))
        else:
            found.append(FloatCoding(step.dimensions, unit, compare))
    return found
