"""A funnel: cheap codes choose among all documents, dearer ones among those, whole vectors at last."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage, cells, hash_of, key_of_parts
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.codings import Coding, FloatCoding, Search, codings_of
from mteb_cascade.stages.document_codes import CodesInMemory, Documents
from mteb_cascade.stages.download import Download
from mteb_cascade.stages.exact import ranked_lists, stacked
from mteb_cascade.stages.faiss_search import MADE, FaissSearch
from mteb_cascade.stages.funnel_step import FunnelStep, check_steps
from mteb_cascade.stages.indexed import VECTORS, arrays_for
from mteb_cascade.stages.shortlist import best_of
from mteb_cascade.stages.unfetched import Unfetched
from mteb_cascade.store.index.arrays import SegmentArrays
from mteb_cascade.store.index.corpus import IndexCorpus
from mteb_cascade.store.index.segment import KEY
from mteb_cascade.store.precision import named
from mteb_cascade.values.fusion import with_tail
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    from mteb_cascade.store.index.index import Index

QUERY_BLOCK = 128
"""Queries that go through the funnel together."""


class Funnel(Stage):
    """A bi-encoder's search in steps: the first looks at all documents, each further one at those the last one kept.

    The last step's documents are compared in full, as the bi-encoder does. What a step did not keep stands below in
    its old order, so a longer list starts with the shorter one. Nothing beyond the first `keep` is found.

    Args:
        model: A bi-encoder compared by cosine or inner product, or the name of one.
        *steps: One or more, each a `FunnelStep` or its table; `keep` does not grow.
    """

    kind: ClassVar[str] = "funnel"
    keeps: ClassVar[bool] = True
    block_tokens: ClassVar[int] = sys.maxsize

    def __init__(self, model: Stage | str | Path, *steps: FunnelStep | Mapping[str, Any], **base: Any) -> None:
        from mteb_cascade.stages.load import load

        super().__init__(**base)
        found = load(model)
        if not isinstance(found, BiEncoder | Unfetched):
            raise InputError(f"a funnel needs a bi-encoder, got {found.label}, which is of kind '{found.kind}'")
        self.model = cast(BiEncoder, found)
        self.steps = tuple(step if isinstance(step, FunnelStep) else FunnelStep.of(step) for step in steps)
        check_steps(self.steps)
        self._documents: Documents | None = None

    def __repr__(self) -> str:
        return super().__repr__() if self.spec else f"Funnel({self.model!r}, {', '.join(map(repr, self.steps))})"

    @property
    def parts(self) -> Sequence[Stage]:
        """The bi-encoder."""
        return [self.model]

    @property
    def untrained(self) -> bool:
        """Whether the bi-encoder's weights were never trained to score."""
        return self.model.untrained

    @property
    def builds(self) -> bool:
        """Whether faiss searches."""
        return self.steps[0].faiss is not None

    def keepers(self) -> list[Stage]:
        """Itself alone: it keeps the vectors too."""
        return [self]

    def prepare(self) -> None:
        """Load the bi-encoder, and refuse one that this cannot be done with.

        Raises:
            InputError: It is compared by another measure than cosine or inner product.
        """
        self.model.prepare()
        measure = self.model.network.similarity_fn_name
        if measure not in ("cosine", "dot"):
            raise InputError(
                f"{self.label}: a funnel needs a model compared by cosine or dot; {self.model.label} is compared by "
                f"{measure}: search it as it is"
            )

    def downloads(self) -> Sequence[Download]:
        """What the bi-encoder needs."""
        return self.model.downloads()

    def index(self, corpus: Corpus | Any, **context: Any) -> None:
        """Take the corpus; its codes are made at the first search."""
        super().index(corpus, **context)
        if self._documents is not None and self._documents.corpus.digest != self.corpus.digest:
            self._documents = None

    def hold(self, index: Index) -> None:
        """Search what the index keeps."""
        self._corpus = index.corpus
        folder = index.whole(self.kept_as)
        made = {MADE: self._faiss().opened(folder)} if folder else {}
        self._documents = Documents(index.corpus, arrays_for(self, index), made) if len(index.corpus) else None

    def build_whole(self, corpus: Corpus, folder: Path) -> None:
        """Write the index of faiss."""
        if len(corpus):
            self.prepare()
            held = SegmentArrays(corpus.places, self.kept_as[:KEY]) if isinstance(corpus, IndexCorpus) else None
            self._faiss().write(held or self._in_memory(corpus), len(corpus), folder)

    def kept(self, texts: list[str], precision: str) -> dict[str, NDArray[Any]]:
        """Vectors, and the codes of each step."""
        self.prepare()
        vectors = self.model.encode_documents(texts)
        return named(VECTORS, vectors, precision) | self._codes_of(vectors, precision)

    def _codes_of(self, vectors: NDArray[np.float32], precision: str = "float32") -> dict[str, NDArray[Any]]:
        found: dict[str, NDArray[Any]] = {}
        first, codings = self._searches()
        for number, search in enumerate([first, *codings], 1):
            try:
                found |= search.kept(vectors, precision)
            except InputError as error:
                raise InputError(f"{self.label}: step {number}: {error}") from None
        return found

    @property
    def _unit(self) -> bool:
        return bool(self.model.network.similarity_fn_name == "cosine")

    @property
    def _whole(self) -> FloatCoding:
        return FloatCoding(None, self._unit, self.model.compare)

    def _faiss(self) -> FaissSearch:
        step = self.steps[0]
        return FaissSearch(step.dimensions, self._unit, step.faiss or "", step.parameters, step.gpu, self.label)

    def _searches(self) -> tuple[Search, list[Coding]]:
        """What the first step does, and the further ones."""
        codings = codings_of(self.steps[self.builds :], self._unit, self.model.compare)
        return (self._faiss(), codings) if self.builds else (codings[0], codings[1:])

    def _searched(self) -> Documents:
        with self._lock:
            if self._documents is None:
                self._documents = Documents(self.corpus, self._in_memory(self.corpus))
            return self._documents

    def _in_memory(self, corpus: Corpus) -> CodesInMemory:
        return CodesInMemory(len(corpus), lambda rows: self.model.vectors_at(corpus, rows), self._codes_of)

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The k best; at most as many as the first step keeps."""
        if k < 1:
            raise InputError(f"k: expected at least 1 document a query, got {k}")
        if not len(queries) or not len(self.corpus):
            return Run.empty(queries.ids, self.corpus)
        self.prepare()
        documents = self._searched()
        vectors = self.model.encode_queries(list(queries.texts))
        runs = []
        for start in range(0, len(queries), QUERY_BLOCK):
            part = slice(start, start + QUERY_BLOCK)
            runs.append(self._narrowed(queries.ids[part], vectors[part], documents, k))
        return stacked(runs, queries, documents.corpus)

    def _narrowed(self, ids: Sequence[str], vectors: NDArray[np.float32], documents: Documents, k: int) -> Run:
        """The k best of queries [Q, d]."""
        first, codings = self._searches()
        corpus, arrays = documents.corpus, documents.arrays
        lists = first.scan(documents, first.asked(vectors), self.steps[0].keep, threads_here())
        below: list[Run] = []
        for step, coding in zip(self.steps[1:], codings, strict=True):
            asked = coding.asked(vectors)
            dropped = []
            for query, docs in enumerate(lists):
                scores = coding.scores(arrays, asked, query, docs)
                inside = best_of(scores, docs, step.keep, corpus.tie)
                lists[query] = docs[inside]
                if k > self.steps[-1].keep:
                    outside = np.ones(len(docs), bool)
                    outside[inside] = False
                    dropped.append((docs[outside], scores[outside]))
            if dropped:
                below.insert(0, ranked_lists(ids, corpus, dropped))
        whole = [self._whole.scores(arrays, vectors, query, docs) for query, docs in enumerate(lists)]
        return joined(ranked_lists(ids, corpus, list(zip(lists, whole, strict=True))), below).cut(k)

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """What the bi-encoder says of every candidate."""
        documents = self._documents
        if documents is None or documents.corpus is not candidates.corpus:
            return self.model.score(queries, candidates)
        scores = np.full(candidates.docs.shape, -np.inf, np.float32)
        if len(cells(candidates)[0]):
            vectors = self.model.encode_queries(list(queries.texts))
            for row, docs in enumerate(candidates.docs):
                found = docs != PAD
                scores[row, found] = self._whole.scores(documents.arrays, vectors, row, docs[found])
        return scores

    def store_key(self, queries: Queries) -> str | None:
        """The fingerprint, and what the bi-encoder's own key adds to its."""
        return key_of_parts(self, [self.model], queries)

    @property
    def options(self) -> dict[str, Any]:
        """The bi-encoder and the steps."""
        return {"model": self.model.identified(), "step": [step.options for step in self.steps]}

    @property
    def kept_as(self) -> str:
        """SHA-256 over the bi-encoder's fingerprint and the codes alone: how many documents steps keep may change."""
        return hash_of({"kind": self.kind, "model": self.model.fingerprint, "codes": [one.kept for one in self.steps]})

    @property
    def fingerprint(self) -> str:
        """SHA-256 over the bi-encoder's fingerprint and the steps."""
        steps = [step.options for step in self.steps]
        return hash_of({"kind": self.kind, "model": self.model.fingerprint, "step": steps})


def threads_here() -> int:
    """Threads that a search may use: as many as torch does."""
    import torch

    return torch.get_num_threads()


def joined(head: Run, below: Sequence[Run]) -> Run:
    """A run of real scores, and others below it in their order, with placeholders for scores."""
    if not below:
        return head
    docs = np.hstack([head.docs, *(run.docs for run in below)])
    scored, scores = np.zeros(docs.shape, bool), np.zeros(docs.shape, np.float32)
    scored[:, : head.depth], scores[:, : head.depth] = head.docs != PAD, head.scores
    scores = np.where(docs == PAD, np.float32(-np.inf), with_tail(scores, scored))
    return Run(head.query_ids, head.corpus, docs, scores)
