"""Any model of mteb's registry as a stage, through its own wrapper and prompts; API models included."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.mteb_rows import run_of
from mteb_cascade.engine.devices import devices_of
from mteb_cascade.engine.watched import is_watched
from mteb_cascade.errors import InputError
from mteb_cascade.installed import version
from mteb_cascade.stages.base import SERVING, Stage, cells, hash_of
from mteb_cascade.stages.download import Download
from mteb_cascade.stages.exact import nearest
from mteb_cascade.stages.mteb_embeddings import DocumentEmbeddings, on_cpu, rows_of
from mteb_cascade.stages.mteb_registry import loaded, registered
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    import torch
    from datasets import Dataset


TIES_LOOKED_AT = 10_000
"""Documents asked of a search model at most, to learn which ones tie at the cut."""

FACTS = (
    *("release_date", "languages", "n_parameters", "memory_usage_mb", "max_tokens", "embed_dim", "license"),
    *("open_weights", "public_training_code", "public_training_data", "framework", "similarity_fn_name"),
    *("use_instructions", "training_datasets", "model_type"),
)
"""What mteb's registry knows of a model and a spec of it need not repeat."""

FASTER = {"batch_size", "show_progress_bar", "num_workers"}
"""What mteb tells an encoder that changes no score."""

Place = dict[str, Any]
"""Which task, split and subset a text belongs to, as keyword arguments of mteb's protocols."""


@dataclass(kw_only=True, eq=False, repr=False)
class Mteb(Stage):
    """A model by its name in mteb's registry: an encoder, a cross-encoder, or a model that searches by itself.

    An encoder's scores are its own `similarity`, in float64 where it gives dense vectors, kept as float32; a
    cross-encoder's are its `predict`. They equal those of mteb's own run of the same model. Of a model that searches by
    itself the ties at a cut are settled by id as far as its best 10,000 documents.

    The task's metadata, which prompts depend on, come from `Queries.context`, or from `index`; without any, the
    queries count as those of a retrieval task of that name.

    Args:
        model: A name in mteb's registry, such as "sentence-transformers/all-MiniLM-L6-v2" or "mteb/baseline-bm25s".
        revision: The registry's revision; another is refused.
        batch_size: Texts or pairs in one forward pass; None takes what mteb was told, else 32.
        trust_remote_code: Accept a model whose loader runs Python code of its repository; a spec cannot say so.
    """

    kind: ClassVar[str] = "mteb"

    model: str
    revision: str | None = None
    batch_size: int | None = field(default=None, metadata=SERVING)
    trust_remote_code: bool = field(default=False, metadata=SERVING)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._network: Any = None
        self._context: Mapping[str, Any] = {}
        self._embeddings: tuple[Any, DocumentEmbeddings] | None = None
        self._indexed: Any = None

    @property
    def network(self) -> Any:
        """The model as mteb loads it; the first use does.

        Raises:
            InputError: It cannot be loaded; says why in one line.
        """
        with self._lock:
            if self._network is None:
                device = next(iter(devices_of(self.device)), None)  # mteb's wrappers take one.
                self._network = loaded(self.model, self.revision, device, trusted=self.trust_remote_code)
            return self._network

    def prepare(self) -> None:
        """Load the model."""
        _ = self.network

    def downloads(self) -> Sequence[Download]:
        """Whatever its own loader fetches."""
        return [Download(f"weights of {self.model}", self.prepare)]

    @property
    def role(self) -> Literal["encoder", "cross-encoder", "search"]:
        """What mteb's retrieval tasks would take the model for."""
        from mteb.models import CrossEncoderProtocol, EncoderProtocol, SearchProtocol

        searches = isinstance(self.network, SearchProtocol)
        if isinstance(self.network, EncoderProtocol) and not searches:
            return "encoder"
        if isinstance(self.network, CrossEncoderProtocol):
            return "cross-encoder"
        if searches:
            return "search"
        raise InputError(f"'{self.model}' neither encodes, nor scores pairs, nor searches: it cannot be a stage")

    @property
    def pointwise(self) -> bool:  # type: ignore[override]
        """Whether a score depends on its pair alone; who searches by itself may look at the corpus. Loads the model."""
        return self.role != "search"

    def index(self, corpus: Corpus | Any, **context: Any) -> None:
        """Take the corpus, and the task that it belongs to."""
        super().index(corpus)
        self._context = context

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The k best documents; a cross-encoder would have to score the whole corpus, up to `pair_limit`."""
        if not len(queries) or not len(self.corpus):
            return Run.empty(queries.ids, self.corpus)
        if self.role == "cross-encoder":
            return super().retrieve(queries, k)
        return self._nearest(queries, k) if self.role == "encoder" else self._searched(queries, k)

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """The model's own score of every candidate; -inf where a model that searches by itself does not return one."""
        scores = np.full(candidates.docs.shape, -np.inf, np.float32)
        rows = np.flatnonzero((candidates.docs != PAD).any(axis=1))
        if len(rows):
            asked, of = queries.rows(rows.tolist()), candidates.rows(rows)
            scores[rows] = self._compared(asked, of) if self.role == "encoder" else self._reranked(asked, of)
        return scores

    def _place(self, queries: Queries) -> Place:
        context = {**self._context, **queries.context}
        metadata = context.get("task_metadata") or generic_task(queries.task or "Retrieval")
        subset = context.get("hf_subset", "default")
        return {"task_metadata": metadata, "hf_split": context.get("hf_split", "test"), "hf_subset": subset}

    def _told(self, queries: Queries) -> dict[str, Any]:
        """What mteb was told to encode with."""
        return {**self._context, **queries.context}.get("encode_kwargs") or {}

    def _scoring(self, queries: Queries) -> dict[str, Any]:
        """What of it may change scores."""
        return {name: value for name, value in self._told(queries).items() if name not in FASTER}

    def _use_of(self, queries: Queries, corpus: Corpus) -> tuple[str, ...]:
        """What the embeddings or the index of a corpus are good for."""
        place = self._place(queries)
        told = repr(sorted(self._scoring(queries).items()))
        return corpus.digest, place["task_metadata"].name, place["hf_split"], place["hf_subset"], told

    def _encoding(self, queries: Queries, count: int) -> dict[str, Any]:
        told = self._told(queries)
        batch_size = self.batch_size or told.get("batch_size", 32)
        return {"show_progress_bar": is_watched(count), **told, "batch_size": batch_size}

    def _encode(self, texts: Dataset, side: str, place: Place, encoding: dict[str, Any]) -> torch.Tensor:
        # The one function of mteb's that is not public: how titles, instructions and conversations become a text.
        from mteb._create_dataloaders import create_dataloader
        from mteb.types import PromptType

        prompt_type = PromptType(side)
        inputs = create_dataloader(texts, task_metadata=place["task_metadata"], prompt_type=prompt_type, **encoding)
        with self._lock:
            return on_cpu(self.network.encode(inputs, **place, prompt_type=prompt_type, **encoding))

    def _encoded(self, queries: Queries) -> torch.Tensor:
        encoding = self._encoding(queries, len(queries))
        return self._encode(rows_of_queries(queries), "query", self._place(queries), encoding)

    def _documents(self, queries: Queries, corpus: Corpus) -> DocumentEmbeddings:
        """Embeddings of the corpus as a document of these queries' task; kept, for one corpus and task at a time."""
        place, key = self._place(queries), self._use_of(queries, corpus)

        def encode(rows: NDArray[np.integer]) -> torch.Tensor:
            encoding = self._encoding(queries, len(rows))
            return self._encode(rows_of_corpus(corpus, rows), "document", place, encoding)

        with self._lock:
            if self._embeddings is None or self._embeddings[0] != key:
                self._embeddings = (key, DocumentEmbeddings(len(corpus), encode))
            return self._embeddings[1]

    def _similarity(self, queries: torch.Tensor, documents: torch.Tensor) -> NDArray[np.float32]:
        """float32 [Q, n] by the model's own similarity; in float64, so that it does not depend on its neighbours."""
        if not queries.is_sparse and queries.is_floating_point():
            queries, documents = queries.double(), documents.double()
        return np.asarray(on_cpu(self.network.similarity(queries, documents)).to_dense().numpy(), np.float32)

    def _nearest(self, queries: Queries, k: int) -> Run:
        vectors, corpus = self._encoded(queries), self.corpus
        documents = self._documents(queries, corpus)

        def scored(part: slice, rows: NDArray[np.integer]) -> NDArray[np.float32]:
            with self._lock:
                here = documents.at(rows)
            return self._similarity(rows_of(vectors, part.start, len(queries.ids[part])), here)

        return nearest(queries, corpus, scored, k)

    def _compared(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        vectors = self._encoded(queries)
        documents = self._documents(queries, candidates.corpus)
        scores = np.full(candidates.docs.shape, -np.inf, np.float32)
        with self._lock:
            documents.at(np.unique(candidates.docs[cells(candidates)]))  # encoded together
            for row, docs in enumerate(candidates.docs):
                found = docs != PAD
                scores[row, found] = self._similarity(rows_of(vectors, row), documents.at(docs[found]))[0]
        return scores

    def _searched(self, queries: Queries, k: int) -> Run:
        """The model's own search, asked for more while documents tie at the cut."""
        size, wanted = len(self.corpus), k + 1
        while True:
            wanted = min(wanted, size)
            run = run_of(self._search(queries, self.corpus, wanted), queries.ids, self.corpus)
            last = run.widened(wanted).scores[:, wanted - 1] if wanted else np.empty(0)
            tied = wanted > k and bool(((last == run.widened(k).scores[:, k - 1]) & (last > -np.inf)).any())
            if wanted == size or not tied or wanted >= max(TIES_LOOKED_AT, k + 1):
                return run.cut(k)
            wanted = min(4 * wanted, max(TIES_LOOKED_AT, k + 1))

    def _reranked(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        corpus, wanted = candidates.corpus, candidates
        if self._reads_candidates_alone():
            rows = np.unique(candidates.docs[cells(candidates)])
            corpus = part_of(candidates.corpus, rows)
            docs = np.where(candidates.docs == PAD, PAD, np.searchsorted(rows, candidates.docs))
            wanted = Run(candidates.query_ids, corpus, docs.astype(np.int32), candidates.scores)
        lists = {query: wanted.ids(row) for row, query in enumerate(queries.ids)}
        found = self._search(queries, corpus, len(corpus), lists)
        scores = np.full(candidates.docs.shape, -np.inf, np.float32)
        values = [found[query].get(doc, -np.inf) for query in queries.ids for doc in lists[query]]
        scores[cells(candidates)] = values
        return scores

    def _reads_candidates_alone(self) -> bool:
        """Whether documents outside the candidates change no score, so that they need not be encoded."""
        from mteb.models import MultiVectorSearchEncoderWrapper

        return self.role == "cross-encoder" or isinstance(self.network, MultiVectorSearchEncoderWrapper)

    def _search(
        self, queries: Queries, corpus: Corpus, top_k: int, ranked: Mapping[str, list[str]] | None = None
    ) -> dict[str, dict[str, float]]:
        from mteb.models import SearchCrossEncoderWrapper

        place = self._place(queries)
        count = len(corpus) if ranked is None else sum(map(len, ranked.values()))
        options: dict[str, Any] = {**place, "encode_kwargs": self._encoding(queries, count), "num_proc": None}
        key = self._use_of(queries, corpus)
        with self._lock:
            search = self.network if self.role == "search" else SearchCrossEncoderWrapper(self.network)
            # Some of mteb's models forget their corpus after a search.
            if self._indexed != key or getattr(search, "task_corpus", corpus) is None:
                search.index(rows_of_corpus(corpus), **options)
                self._indexed = key
            found: dict[str, dict[str, float]] = search.search(
                rows_of_queries(queries), top_k=top_k, top_ranked=ranked, **options
            )
            return found

    def store_key(self, queries: Queries) -> str | None:
        """The fingerprint with task, split and subset, which its prompts may depend on, and what it is to encode with.

        None for queries that the model reads in another form than as one text: with instructions, or conversations.
        """
        if queries.source is not None:
            columns = queries.source.column_names
            if "instruction" in columns or not all(isinstance(text, str) for text in queries.source["text"]):
                return None
        context = {**self._context, **queries.context}
        metadata = context.get("task_metadata")
        task = [metadata.name, metadata.type, str(metadata.prompt)] if metadata is not None else [queries.task]
        place = [context.get("hf_split"), context.get("hf_subset")]
        try:
            return hash_of([self.fingerprint, *task, *place, queries.source is not None, self._scoring(queries)])
        except TypeError:  # Told something that nothing certain can stand for.
            return None

    def described(self) -> dict[str, Any]:
        """The options, with the revision that the registry means and mteb's version, whose wrapper it is."""
        meta = registered(self.model, self.revision)
        return {**super().described(), "model": meta.name, "revision": meta.revision, "mteb": version("mteb")}

    @property
    def facts(self) -> dict[str, Any]:
        """What mteb's registry says of the model, as fields of a ModelMeta."""
        meta = registered(self.model, self.revision)
        return {name: getattr(meta, name) for name in FACTS}


def generic_task(name: str) -> Any:
    """Metadata of a retrieval task that mteb does not know: texts in English, the prompt of all retrieval tasks."""
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.abstasks.task_metadata import TaskMetadata

    facts: dict[str, Any] = {
        "name": name,
        "description": "A collection of texts, with queries.",
        "dataset": {"path": name, "revision": "none"},
        "type": "Retrieval",
        "category": "t2t",
        "modalities": ["text"],
        "eval_splits": ["test"],
        "eval_langs": ["eng-Latn"],
        "main_score": "ndcg_at_10",
        # mteb would look it up by name, among the tasks that exist as a class.
        "prompt": AbsTaskRetrieval.abstask_prompt,
    }
    return TaskMetadata(**facts)


def rows_of_corpus(corpus: Corpus, rows: NDArray[np.integer] | None = None) -> Dataset:
    """Documents as mteb hands them to a model: with their titles apart where its dataset has them."""
    from datasets import Dataset

    if corpus.source is not None:
        return corpus.source if rows is None else corpus.source.select(rows)
    rows = np.arange(len(corpus)) if rows is None else rows
    return Dataset.from_dict({"id": corpus.ids_at(rows), "text": corpus.texts_at(rows)})


def rows_of_queries(queries: Queries) -> Dataset:
    """Queries as mteb hands them to a model: with their instructions apart where its dataset has them."""
    from datasets import Dataset

    if queries.source is None:
        return Dataset.from_dict({"id": list(queries.ids), "text": list(queries.texts)})
    place = {query: row for row, query in enumerate(queries.source["id"])}
    return queries.source.select([place[query] for query in queries.ids])


def part_of(corpus: Corpus, rows: NDArray[np.integer]) -> Corpus:
    """The documents at these rows as a corpus."""
    source = None if corpus.source is None else corpus.source.select(rows)
    return Corpus(corpus.ids.take(rows), corpus.texts.take(rows), source)
