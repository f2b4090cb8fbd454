"""Late interaction: one vector a token, compared by MaxSim (Khattab and Zaharia 2020, ColBERT)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine.held import Held
from mteb_cascade.engine.texts import Task
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import PAIR_LIMIT, SERVING, cells, scattered
from mteb_cascade.stages.indexed import IndexedTokens, arrays_for, kept_tokens
from mteb_cascade.stages.model_stage import EncoderStage
from mteb_cascade.values.run import Run

if TYPE_CHECKING:
    import torch
    from sentence_transformers import MultiVectorEncoder

    from mteb_cascade.store.index.index import Index

BLOCK_BYTES = 500_000
"""Text whose token vectors are computed and compared together: about 60 MB of vectors at 128 dimensions."""


def bytes_of(text: str, vectors: torch.Tensor) -> int:
    """What the vectors of a text take."""
    return vectors.numel() * vectors.element_size()


@dataclass(kw_only=True, eq=False, repr=False)
class LateInteraction(EncoderStage):
    """Any sentence-transformers MultiVectorEncoder (ColBERT models among them).

    Documents are encoded and compared block by block, so a list of candidates needs memory for one block beside what is
    held: it rescores candidates from a corpus of any size. MaxSim takes float32 vectors and multiplies them in float64,
    so a score does not depend on what else is compared; a vector itself depends on the batch that it was encoded in by
    float32's rounding.

    Args:
        held_mb: Megabytes of token vectors kept for the next time; those not used for longest go first.
    """

    kind: ClassVar[str] = "late-interaction"
    keeps: ClassVar[bool] = True
    pairs_at_once: ClassVar[int] = PAIR_LIMIT

    held_mb: int = field(default=1024, metadata=SERVING)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.held_mb < 0:
            raise InputError(f"held_mb: expected 0 or more, got {self.held_mb}")
        self._held = Held(self.held_mb * 2**20, bytes_of)
        self._indexed: IndexedTokens | None = None

    def load(self, folder: Path) -> MultiVectorEncoder:
        """The MultiVectorEncoder in this folder."""
        from sentence_transformers import MultiVectorEncoder

        return self.limited(MultiVectorEncoder(str(folder), **self.loading()))

    def encode_queries(self, texts: list[str]) -> list[torch.Tensor]:
        """[tokens, d] of each text, float32 in main memory."""
        return self._encoded(texts, "query")

    def encode_documents(self, texts: list[str]) -> list[torch.Tensor]:
        """[tokens, d] of each text, float32 in main memory."""
        return self._encoded(texts, "document")

    def _encoded(self, texts: list[str], task: Task) -> list[torch.Tensor]:
        found: list[torch.Tensor | None] = [None] * len(texts)
        with self._lock:
            for pack, part in self.encoded(texts, task, taken):
                for row, vectors in zip(pack.tolist(), part, strict=True):
                    found[row] = vectors
        return [vectors for vectors in found if vectors is not None]

    def kept(self, texts: list[str], precision: str) -> dict[str, NDArray[Any]]:
        """The token vectors of documents; equal texts are encoded once."""
        distinct = list(dict.fromkeys(texts))
        found = dict(zip(distinct, self.encode_documents(distinct), strict=True))
        return kept_tokens([found[text].numpy() for text in texts], precision)

    def hold(self, index: Index) -> None:
        """Take token vectors of documents from an index."""
        self._corpus, self._indexed = index.corpus, IndexedTokens(index.corpus, arrays_for(self, index))

    def _documents(self, corpus: Corpus, rows: NDArray[np.integer]) -> list[torch.Tensor]:
        if self._indexed is not None and self._indexed.corpus is corpus:
            return self._indexed.at(rows)
        return self._held.of(corpus.texts_at(rows), self.encode_documents)

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """MaxSim of every candidate, block by block of distinct documents, each encoded at most once."""
        rows, columns = cells(candidates)
        if not len(rows):
            return scattered(candidates, ())
        corpus = candidates.corpus
        asked = self.encode_queries(list(queries.texts))
        documents, place = np.unique(candidates.docs[rows, columns], return_inverse=True)
        sizes = corpus.lengths_at(documents) + 1
        block = np.cumsum(sizes) // BLOCK_BYTES
        values = np.empty(len(rows), np.float32)
        # Pairs by block, and by query within a block.
        order = np.lexsort((rows, block[place]))
        for pairs in parted(order, block[place[order]]):
            inside, at = np.unique(place[pairs], return_inverse=True)
            vectors = self._documents(corpus, documents[inside])
            for of_query in parted(np.arange(len(pairs)), rows[pairs]):
                query = asked[rows[pairs[of_query[0]]]].double()
                compared = self.network.similarity([query], [vectors[n].double() for n in at[of_query]])
                values[pairs[of_query]] = compared[0].numpy()
        return scattered(candidates, values)


def taken(encoded: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Vectors as float32 in main memory, a copy each: as views they would keep their whole padded batch alive."""
    return [vectors.float().cpu().clone() for vectors in encoded]


def parted(order: NDArray[np.integer], keys: NDArray[np.integer]) -> list[NDArray[np.integer]]:
    """`order` cut wherever the keys beside it change.

    >>> [part.tolist() for part in parted(np.array([4, 2, 0]), np.array([7, 7, 9]))]
    [[4, 2], [0]]
    """
    return np.split(order, np.flatnonzero(np.diff(keys)) + 1)
