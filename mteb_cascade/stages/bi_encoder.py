"""Bi-encoders: one vector a text, exact search by inner product."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.mteb_rows import spoken
from mteb_cascade.engine.texts import Task
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import cells, scattered
from mteb_cascade.stages.dense_search import Vectors, is_worthwhile, nearest_vectors
from mteb_cascade.stages.document_vectors import ROWS, DocumentVectors
from mteb_cascade.stages.exact import DOCUMENT_BLOCK, QUERY_BLOCK, best, ranked_lists, refuse_none, stacked
from mteb_cascade.stages.indexed import VECTORS, IndexedVectors, arrays_for
from mteb_cascade.stages.model_stage import Dtype, EncoderStage
from mteb_cascade.stages.stored import vectors_of
from mteb_cascade.stages.weights import is_untrained, local_folder
from mteb_cascade.store.precision import named
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

    from mteb_cascade.store.index.index import Index


@dataclass(kw_only=True, eq=False, repr=False)
class BiEncoder(EncoderStage):
    """Any SentenceTransformer model, by cosine, inner product, Euclidean or Manhattan distance as it was trained.

    Scores are computed in float64 and kept as float32, so that they depend on the two vectors alone and not on what
    else is in the block: equal vectors tie exactly, and candidates score what they score in a full search.
    """

    kind: ClassVar[str] = "bi-encoder"
    keeps: ClassVar[bool] = True

    dtype: Dtype = "auto"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._vectors: DocumentVectors | None = None
        self._indexed: IndexedVectors | None = None

    @property
    def untrained(self) -> bool:
        """Whether it is the dumb baseline: a plain checkpoint, mean-pooled, or a spec that trains for 0 epochs."""
        return is_untrained(self.spec, local_folder(self.model, self.revision))

    def load(self, folder: Path) -> SentenceTransformer:
        """The SentenceTransformer in this folder."""
        from sentence_transformers import SentenceTransformer

        return self.limited(SentenceTransformer(str(folder), **self.loading()))

    def encode_queries(self, texts: list[str]) -> NDArray[np.float32]:
        """float32 [len(texts), d]."""
        return self._encoded(texts, "query")

    def encode_documents(self, texts: list[str]) -> NDArray[np.float32]:
        """float32 [len(texts), d]."""
        return self._encoded(texts, "document")

    def _encoded(self, texts: list[str], task: Task) -> NDArray[np.float32]:
        vectors = np.empty((0, 0), np.float32)
        with self._lock:
            for pack, part in self.encoded(texts, task, self._unit):
                if not vectors.size:
                    vectors = np.empty((len(texts), part.shape[1]), np.float32)
                vectors[pack] = part
        return vectors

    def _unit(self, vectors: NDArray[np.floating]) -> NDArray[np.float32]:
        """Vectors of length 1 where the model compares by cosine; as they are elsewhere."""
        vectors = np.asarray(vectors, np.float32).reshape(len(vectors), -1)
        if self.network.similarity_fn_name != "cosine":
            return vectors
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
        return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)

    def _vectors_of(self, corpus: Corpus) -> DocumentVectors:
        with self._lock:
            if self._vectors is None or self._vectors.corpus.digest != corpus.digest:
                self._vectors = DocumentVectors(corpus, vectors_of(self, corpus))
            return self._vectors

    def kept(self, texts: list[str], precision: str) -> dict[str, NDArray[Any]]:
        """The vectors of documents."""
        return named(VECTORS, self.encode_documents(texts), precision)

    def hold(self, index: Index) -> None:
        """Take vectors of documents from an index."""
        self._corpus, self._indexed = index.corpus, IndexedVectors(index.corpus, arrays_for(self, index))

    def vectors_at(self, corpus: Corpus, rows: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [len(rows), d], of these documents: from the index, or encoded at the first time."""
        if self._indexed is not None and self._indexed.corpus is corpus:
            return self._indexed.at(rows)
        with self._lock:
            return self._vectors_of(corpus).at(rows, self.encode_documents)

    def compare(self, queries: NDArray[np.float32], documents: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [Q, n], the score of every query vector [Q, d] with every document vector [n, d]."""
        left, right = queries.astype(np.float64), documents.astype(np.float64)
        measure = self.network.similarity_fn_name
        if measure in ("cosine", "dot"):
            return np.asarray(left @ right.T, np.float32)
        import torch

        power = {"euclidean": 2.0, "manhattan": 1.0}[measure]
        distance = torch.cdist(
            torch.from_numpy(left), torch.from_numpy(right), p=power, compute_mode="donot_use_mm_for_euclid_dist"
        )
        scores: NDArray[np.float32] = (-distance).float().numpy()
        return scores

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The k nearest documents by exact search, in blocks; of the corpus' vectors no copy is made."""
        corpus = self.corpus
        refuse_none(k)
        if not len(queries) or not len(corpus):
            return Run.empty(queries.ids, corpus)
        vectors = self.encode_queries(list(queries.texts))
        parts = [slice(start, start + QUERY_BLOCK) for start in range(0, len(queries), QUERY_BLOCK)]
        return stacked([self._nearest(queries.ids[part], vectors[part], corpus, k) for part in parts], queries, corpus)

    def _nearest(self, ids: Sequence[str], vectors: NDArray[np.float32], corpus: Corpus, k: int) -> Run:
        """The k nearest documents of query vectors [Q, d]."""
        products = self.network.similarity_fn_name in ("cosine", "dot")
        if products and is_worthwhile(len(ids), len(corpus), k):
            held = self._indexed if self._indexed is not None and self._indexed.corpus is corpus else None
            lengths = held.lengths if held is not None else self._vectors_of(corpus).lengths

            def exact(query: int, docs: NDArray[np.int32]) -> NDArray[np.float32]:
                # All documents, where they all tie: as with a query of which a table knows no word.
                parts = (docs[start : start + DOCUMENT_BLOCK] for start in range(0, len(docs), DOCUMENT_BLOCK))
                one = vectors[query : query + 1]
                return np.concatenate([self.compare(one, self.vectors_at(corpus, part))[0] for part in parts])

            lists = nearest_vectors(vectors, self._blocks(corpus), lengths, exact, k, corpus.tie)
            if lists is not None:
                return ranked_lists(ids, corpus, lists)
        blocks = ((first, self.compare(vectors, documents)) for first, documents in self._blocks(corpus))
        return best(ids, corpus, blocks, k)

    def _blocks(self, corpus: Corpus) -> Iterator[Vectors]:
        """The vectors of all documents as they lie: in the index, or encoded at the first time."""
        if self._indexed is not None and self._indexed.corpus is corpus:
            yield from self._indexed.blocks(DOCUMENT_BLOCK)
            return
        for first in range(0, len(corpus), ROWS):
            with self._lock:
                block = self._vectors_of(corpus).block(first, self.encode_documents)
            yield first, block

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """Similarity of every candidate; encodes only documents that are not encoded yet."""
        rows, columns = cells(candidates)
        if not len(rows):
            return scattered(candidates, ())
        vectors = self.encode_queries(list(queries.texts))
        corpus = candidates.corpus
        if self._indexed is None or self._indexed.corpus is not corpus:
            with self._lock:
                self._vectors_of(corpus).ensure(np.unique(candidates.docs[rows, columns]), self.encode_documents)
        scores = np.full(candidates.docs.shape, -np.inf, np.float32)
        for row, docs in enumerate(candidates.docs):
            found = docs != PAD
            if found.any():
                scores[row, found] = self.compare(vectors[row : row + 1], self.vectors_at(corpus, docs[found]))[0]
        return scores

    def encode(self, inputs: Iterable[Any], *, prompt_type: Any = None, **context: Any) -> NDArray[np.float32]:
        """Mteb's encode: vectors of a data loader's texts, as queries or as documents by `prompt_type`.

        A task that names no side (clustering, STS) gets the query side, as sentence-transformers has it.
        """
        texts = [spoken(text) for batch in inputs for text in batch["text"]]
        if not texts:
            raise InputError(f"{self.label}: nothing to encode")
        side = getattr(prompt_type, "value", prompt_type)
        return self.encode_documents(texts) if side == "document" else self.encode_queries(texts)

    def similarity(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """[n, m], every pair."""
        similarity: torch.Tensor = self.network.similarity(embeddings1, embeddings2)
        return similarity

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> torch.Tensor:
        """[n], matching rows."""
        similarity: torch.Tensor = self.network.similarity_pairwise(embeddings1, embeddings2)
        return similarity
