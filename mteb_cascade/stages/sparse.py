"""Learned sparse retrieval: a weight for each of many vocabulary entries, compared by inner product (SPLADE)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine.texts import Task
from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import cells, scattered
from mteb_cascade.stages.exact import nearest
from mteb_cascade.stages.indexed import IndexedEntries, arrays_for, kept_entries
from mteb_cascade.stages.inner_products import inner_products
from mteb_cascade.stages.model_stage import EncoderStage
from mteb_cascade.store.pair_scores import hashes_of
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sentence_transformers import SparseEncoder

    from mteb_cascade.store.index.index import Index

ENCODED_AT_ONCE = 4_096
"""Documents whose vectors come from the network in one piece."""

FULL_PIECE = 65_536
"""Rows from which on pieces are no longer joined."""


class SparseVectors:
    """Sparse vectors of a corpus; each distinct text is encoded once, when it is first asked for.

    What is held grows with the entries that are not 0. Equal texts share a vector, so they tie exactly.

    Args:
        corpus: N documents.
    """

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.place = np.full(len(corpus), -1, np.int64)
        self.pieces: list[csr_matrix] = []

    @cached_property
    def first_alike(self) -> NDArray[np.int64]:
        """int64 [N], for each row the first row with the same text."""
        hashes = hashes_of(text.as_py() for text in self.corpus.texts)
        _, first, group = np.unique(hashes, return_index=True, return_inverse=True)
        return np.asarray(first[group], np.int64)

    def at(self, rows: NDArray[np.integer], encode: Callable[[list[str]], csr_matrix]) -> csr_matrix:
        """float32 [len(rows), V]; what is missing is encoded by `encode(texts)`. At least one row."""
        first = self.first_alike[rows]
        missing = np.unique(first[self.place[first] < 0])
        for start in range(0, len(missing), ENCODED_AT_ONCE):
            part = missing[start : start + ENCODED_AT_ONCE]
            known = sum(piece.shape[0] for piece in self.pieces)
            self._add(encode(self.corpus.texts_at(part)))
            self.place[part] = known + np.arange(len(part))
        return self._taken(self.place[first])

    def _add(self, piece: csr_matrix) -> None:
        from scipy.sparse import vstack

        while self.pieces and self.pieces[-1].shape[0] <= min(piece.shape[0], FULL_PIECE):
            piece = vstack([self.pieces.pop(), piece], format="csr")
        self.pieces.append(piece)

    def _taken(self, places: NDArray[np.int64]) -> csr_matrix:
        """The vectors at these places, counted over all pieces."""
        from scipy.sparse import vstack

        ends = np.cumsum([piece.shape[0] for piece in self.pieces])
        of = np.searchsorted(ends, places, side="right")
        order = np.argsort(of, kind="stable")
        taken = []
        for number in np.unique(of):
            inside = places[order[of[order] == number]]
            taken.append(self.pieces[number][inside - (ends[number] - self.pieces[number].shape[0])])
        return taken[0] if len(taken) == 1 else vstack(taken, format="csr")[np.argsort(order)]


@dataclass(kw_only=True, eq=False, repr=False)
class Sparse(EncoderStage):
    """Any sentence-transformers SparseEncoder: SPLADE, and those that look query weights up ("inference-free").

    Compared by inner product or cosine, as the model was trained. A document that shares no dimension with the query
    scores 0 and is not returned: there is no evidence for it. Scores are summed in float64 and kept as float32, so they
    depend on the two vectors alone; a vector itself depends on the batch that it was encoded in by float32's rounding,
    as any network's does.

    Args:
        max_active_dims: Entries kept of a vector, the largest; None takes the model's own limit.
    """

    kind: ClassVar[str] = "sparse"
    keeps: ClassVar[bool] = True

    max_active_dims: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_active_dims is not None and self.max_active_dims < 1:
            raise InputError(f"max_active_dims: expected at least 1, got {self.max_active_dims}")
        self._vectors: SparseVectors | None = None
        self._indexed: IndexedEntries | None = None

    def load(self, folder: Path) -> SparseEncoder:
        """The SparseEncoder in this folder.

        Raises:
            InputError: It compares by a distance, by which documents that share nothing differ too.
        """
        from sentence_transformers import SparseEncoder

        network = self.limited(SparseEncoder(str(folder), max_active_dims=self.max_active_dims, **self.loading()))
        if network.similarity_fn_name not in ("dot", "cosine"):
            raise InputError(
                f"{self.what}: {shown(folder)} compares by {network.similarity_fn_name} distance; "
                "sparse retrieval takes models that compare by dot or cosine"
            )
        return network

    def encode_queries(self, texts: list[str]) -> csr_matrix:
        """float32 [len(texts), V]."""
        return self._encoded(texts, "query")

    def encode_documents(self, texts: list[str]) -> csr_matrix:
        """float32 [len(texts), V]."""
        return self._encoded(texts, "document")

    def _encoded(self, texts: list[str], task: Task) -> csr_matrix:
        from scipy.sparse import vstack

        with self._lock:
            found = list(self.encoded(texts, task, self._rows, convert_to_sparse_tensor=True, save_to_cpu=True))
        packs, parts = zip(*found, strict=True)
        order = np.argsort(np.concatenate(packs))
        return vstack(parts, format="csr")[order]

    def _rows(self, vectors: Any) -> csr_matrix:
        """A sparse tensor as rows in ascending order, of length 1 where the model compares by cosine."""
        from scipy.sparse import csr_matrix
        from sklearn.preprocessing import normalize

        vectors = vectors.coalesce()
        values = vectors.values().float().numpy()
        rows = csr_matrix((values, tuple(vectors.indices().numpy())), shape=tuple(vectors.shape))
        if self.network.similarity_fn_name == "cosine":
            rows = normalize(rows.astype(np.float64)).astype(np.float32)
        return rows

    def kept(self, texts: list[str], precision: str) -> dict[str, NDArray[Any]]:
        """The vectors of documents, entry by entry in float32 whatever the precision; equal texts are encoded once."""
        distinct = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        vectors = self.encode_documents(list(distinct))
        return kept_entries(vectors[[distinct[text] for text in texts]])

    def hold(self, index: Index) -> None:
        """Take vectors of documents from an index."""
        self._corpus, self._indexed = index.corpus, IndexedEntries(index.corpus, arrays_for(self, index))

    def _documents(self, corpus: Corpus, rows: NDArray[np.integer], width: int) -> csr_matrix:
        if self._indexed is not None and self._indexed.corpus is corpus:
            return self._indexed.at(rows, width)
        with self._lock:
            if self._vectors is None or self._vectors.corpus.digest != corpus.digest:
                self._vectors = SparseVectors(corpus)
            return self._vectors.at(rows, self.encode_documents)

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The k best documents that share a dimension with the query, by exact search in blocks."""
        corpus = self.corpus
        if not len(queries):
            return Run.empty((), corpus)
        vectors = self.encode_queries(list(queries.texts))

        def scored(part: slice, rows: NDArray[np.integer]) -> NDArray[np.float32]:
            scores = inner_products(vectors[part], self._documents(corpus, rows, vectors.shape[1]))
            return np.where(scores <= 0, np.float32(-np.inf), scores)

        return nearest(queries, corpus, scored, k)

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """Similarity of every candidate, 0 where nothing is shared; encodes only documents not encoded yet."""
        rows, columns = cells(candidates)
        if not len(rows):
            return scattered(candidates, ())
        vectors = self.encode_queries(list(queries.texts))
        wanted, place = np.unique(candidates.docs[rows, columns], return_inverse=True)
        documents = self._documents(candidates.corpus, wanted, vectors.shape[1])
        scores = np.full(candidates.docs.shape, -np.inf, np.float32)
        starts = np.searchsorted(rows, np.arange(len(queries) + 1))
        for row, docs in enumerate(candidates.docs):
            found = docs != PAD
            if found.any():
                inside = place[starts[row] : starts[row + 1]]
                scores[row, found] = inner_products(vectors[row], documents[inside])[0]
        return scores
