"""A stage scores candidates; one that retrieves finds them too; every stage is an mteb search model."""

from __future__ import annotations

import hashlib
import inspect
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.mteb_rows import corpus_of, queries_of
from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.spec import Spec
from mteb_cascade.stages.download import Download
from mteb_cascade.stages.exact import best, stacked
from mteb_cascade.stages.files import digests
from mteb_cascade.stages.listening import searched
from mteb_cascade.stages.own_code import closes_over_variables, code_of, is_ours, read_by
from mteb_cascade.stages.stored import BLOCK_TOKENS, retrieved, scored
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    from mteb.models import ModelMeta

    from mteb_cascade.store.index.index import Index

PAIR_LIMIT = 5_000_000
"""Query-document pairs that full-corpus scoring takes on without being asked."""

SERVING = {"serving": True}
"""Marks a field that changes how fast a stage is, not what it scores: it stays out of the fingerprint."""


@dataclass(kw_only=True, eq=False, repr=False)
class Stage(ABC):
    """Scores (query, document) pairs. A subclass needs `score`; its dataclass fields are the keys of its spec.

    Args:
        name: `org/name` under which mteb files results.
        device: Torch device of stages that have one; None chooses.
        pair_limit: Pairs that full-corpus scoring may take on.
    """

    kind: ClassVar[str] = ""
    pointwise: ClassVar[bool] = True
    """Whether a score depends on its (query, document) alone: such a stage can be swept in one pass."""
    pairs_at_once: ClassVar[int] = 1_000_000
    """Pairs that full-corpus scoring hands to `score` together."""

    stored: ClassVar[bool] = True
    """Whether scores are worth storing: they cost more than a look-up, and follow from the two texts alone."""
    block_tokens: ClassVar[int] = BLOCK_TOKENS
    """Estimated tokens that are scored, and stored, together."""

    keeps: ClassVar[bool] = False
    """Whether an index keeps something of each document for it: what `kept` gives."""

    name: str = field(default="", metadata=SERVING)
    device: str | None = field(default=None, metadata=SERVING, repr=False)
    pair_limit: int = field(default=PAIR_LIMIT, metadata=SERVING, repr=False)
    spec: Spec | None = field(default=None, metadata=SERVING, repr=False)

    def __post_init__(self) -> None:
        self._corpus: Corpus | None = None
        self._lock = threading.RLock()
        self._model_meta: ModelMeta | None = None

    def __repr__(self) -> str:
        if self.spec:
            return f"load({self.spec.short_name!r})"
        scoring = [f for f in fields(self) if not f.metadata.get("serving")]
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in scoring if getattr(self, f.name) != f.default]
        return f"{type(self).__name__}({', '.join(changed)})"

    def index(self, corpus: Corpus | Any, **context: Any) -> None:
        """Take the corpus to retrieve from: ours or mteb's dataset. Work starts when something is asked of it."""
        corpus = corpus_of(corpus)
        if self._corpus is None or self._corpus.digest != corpus.digest:
            self._corpus = corpus

    def prepare(self) -> None:  # noqa: B027 - most stages have nothing to load
        """Load what scoring needs, so that missing weights are named before any work is done."""

    def downloads(self) -> Sequence[Download]:
        """What has to be on this disk before the stage can work without a network; told without one."""
        return ()

    def fetch_missing(self) -> None:
        """Fetch what is known not to be on this disk, and load nothing; missing weights are named before any work.

        Raises:
            InputError: Something cannot be fetched, such as weights that were never trained.
        """
        for download in self.downloads():
            if download.place is not None and not download.place.exists():
                download.fetch()

    @property
    def corpus(self) -> Corpus:
        """The corpus that `index` was given."""
        if self._corpus is None:
            raise InputError(f"{self.label} has no corpus yet: call index(corpus) before retrieve")
        return self._corpus

    @property
    def label(self) -> str:
        """What messages call this stage."""
        return self.spec.short_name if self.spec else (self.name or self.kind)

    @property
    def parts(self) -> Sequence[Stage]:
        """The stages that it is made of, in their order."""
        return ()

    def walk(self) -> Iterator[Stage]:
        """Itself, then its parts and theirs, depth first."""
        yield self
        for part in self.parts:
            yield from part.walk()

    @property
    def builds(self) -> bool:
        """Whether an index keeps something of the corpus as a whole for it: what `build_whole` writes."""
        return False

    def kept(self, texts: list[str], precision: str) -> dict[str, NDArray[Any]]:
        """What an index keeps of n documents: arrays by name, a row a document.

        Of what has several entries a document, such as token vectors, one array holds the entries one after the other,
        and a second one, called `<name>.lengths`, int32 [n], how many each document has.

        Args:
            texts: n texts.
            precision: What vectors are kept in, one of `store.precision`.
        """
        raise NotImplementedError(f"{self.label} keeps nothing of a document")

    def build_whole(self, corpus: Corpus, folder: Path) -> None:
        """Write what an index keeps of a corpus as a whole into a folder of its own."""
        raise NotImplementedError(f"{self.label} keeps nothing of a corpus")

    @property
    def kept_as(self) -> str:
        """What an index files what it keeps for this stage under: stages with one key find the same there."""
        return self.fingerprint

    def keepers(self) -> list[Stage]:
        """It, and those of its parts and theirs, for which an index keeps something; equal ones once."""
        own = [self] if self.keeps or self.builds else []
        found = [*own, *(keeper for part in self.parts for keeper in part.keepers())]
        return list({keeper.kept_as: keeper for keeper in found}.values())

    def with_parts(self, change: Callable[[Stage], Stage]) -> Self:
        """A copy that is made of what `change` makes of each part."""
        return copy(self)

    def over(self, index: Index) -> Self:
        """A copy that searches an index: it shares the loaded model, and nothing that a search changes."""
        other = self.with_parts(lambda part: part.over(index))
        other.hold(index)
        return other

    def hold(self, index: Index) -> None:
        """Take what is known of documents from an index: here its corpus, as nothing is kept for it."""
        self.index(index.corpus)

    @property
    def untrained(self) -> bool:
        """Whether its weights were never trained to score: a baseline, and tables say so."""
        return False

    @abstractmethod
    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """Score every candidate.

        Args:
            queries: Q queries.
            candidates: Their documents [Q, K], -1 at pads; `candidates.corpus` holds the texts.

        Returns:
            float32 [Q, K], aligned with `candidates.docs`; -inf at pads and at what cannot be scored.
        """

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The k best documents of the indexed corpus for each query, here by scoring all of it in blocks.

        Raises:
            InputError: That would be more than `pair_limit` pairs.
        """
        self.refuse_full_corpus(len(queries))
        size = len(self.corpus)
        block = max(1, self.pairs_at_once // max(size, 1))
        everything = np.arange(size, dtype=np.int32)[None, :]
        runs = []
        for start in range(0, len(queries), block):
            part = queries.rows(range(start, min(start + block, len(queries))))
            docs = np.repeat(everything, len(part), axis=0)
            candidates = Run(part.ids, self.corpus, docs, np.zeros(docs.shape, np.float32))
            runs.append(best(part.ids, self.corpus, [(0, self.score(part, candidates))], k))
        return stacked(runs, queries, self.corpus)

    def refuse_full_corpus(self, queries: int) -> None:
        """Raise InputError where scoring the whole corpus would be more than `pair_limit` pairs."""
        pairs = queries * len(self.corpus)
        if pairs > self.pair_limit:
            raise InputError(
                f"{self.label} would have to score the whole corpus: {queries:,} queries x {len(self.corpus):,} "
                f"documents = {pairs:,} pairs, over the limit of {self.pair_limit:,}. Put a first stage before it in a "
                f"cascade, or allow it with pair_limit = {pairs}"
            )

    def retrieved(self, queries: Queries, k: int) -> Run:
        """As `retrieve`, through the store of retrieved runs."""
        return retrieved(self, queries, k, self.retrieve, prepare=self.prepare)

    def scored(self, queries: Queries, candidates: Run, progress: Progress = silent) -> NDArray[np.float32]:
        """As `score`, through the store of pair scores, block by block; `progress` is told of the pairs."""
        return scored(self, queries, candidates, progress)

    def store_key(self, queries: Queries) -> str | None:
        """What the store files scores and runs for these queries under; None where they cannot be stored.

        By default the fingerprint, where there is one; of a class of the user's own with all that it reads. Where
        that cannot be told, and where it closes over variables, nothing is stored.
        """
        if any(closes_over_variables(kind) for kind in type(self).__mro__):
            return None
        try:
            read = read_by(self)
            return hash_of([self.fingerprint, read]) if read else self.fingerprint
        except (TypeError, ValueError, RecursionError):
            return None

    def rank(self, queries: Queries, candidates: Run) -> Run:
        """The candidates sorted by score; those that it cannot score stand below the others in their old order."""
        return rerank(candidates, self.scored(queries, candidates), candidates.depth)

    @property
    def options(self) -> dict[str, Any]:
        """The fields that decide scores, as JSON values, those at their defaults included."""
        serving = {f.name for f in fields(self) if f.metadata.get("serving")}
        own = inspect.signature(type(self).__init__).parameters.values()
        names = dict.fromkeys([f.name for f in fields(self)] + [p.name for p in own if p.kind is p.KEYWORD_ONLY])
        return {name: getattr(self, name) for name in names if name not in serving}

    def described(self) -> dict[str, Any]:
        """Kind and score-relevant options: what results keep of a stage."""
        return {"kind": self.kind, **self.options}

    def identified(self) -> dict[str, Any]:
        """As `described`, with name and fingerprint: how a composition's results keep the stage."""
        return {"name": self.name, "fingerprint": self.fingerprint, **self.described()}

    def files(self) -> Sequence[Path]:
        """Files that loading reads, for the fingerprint."""
        return ()

    @property
    def fingerprint(self) -> str:
        """SHA-256 over kind, options and the digest of every file that loading reads; loads no model.

        A kind of the user's own adds its class's source.
        """
        content = {**self.described(), "files": digests(self.files())}
        if not is_ours(type(self)):
            content["code"] = [
                code_of(kind) for kind in type(self).__mro__ if issubclass(kind, Stage) and not is_ours(kind)
            ]
        return hash_of(content)

    def search(
        self,
        queries: Queries | Any,
        *,
        top_k: int,
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **context: Any,
    ) -> dict[str, dict[str, float]]:
        """Mteb's search: {query: {document: score}} for every query, {} where nothing was found.

        Args:
            queries: Our queries or mteb's dataset.
            top_k: Documents to return.
            top_ranked: A Reranking task's candidates; without it the indexed corpus is searched.
            **context: mteb's task metadata, split, subset and encode options.
        """
        queries = queries_of(queries, context)
        if top_ranked is None:
            run = self.retrieved(queries, top_k)
        else:
            run = self.rank(queries, candidates_of(queries, self.corpus, top_ranked))
        found = run.cut(top_k)
        searched(self, queries, found)
        return found.as_dict()

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb knows of this stage, made on demand."""
        if self._model_meta is None:
            from mteb_cascade.stages.model_meta import model_meta_of

            self._model_meta = model_meta_of(self)
        return self._model_meta

    @mteb_model_meta.setter
    def mteb_model_meta(self, meta: ModelMeta) -> None:
        # mteb assigns what its registry held; weights may have been trained since, and depths overridden.
        pipeline = {**meta.loader_kwargs, "pipeline": self.described()}
        self._model_meta = meta.model_copy(update={"revision": self.fingerprint, "loader_kwargs": pipeline})


def hash_of(value: Any) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=identity_of).encode()).hexdigest()


def key_of_parts(whole: Stage, parts: Sequence[Stage], queries: Queries) -> str | None:
    """The `store_key` of a composition; None where a part has none, and of a class of the user's own.

    The fingerprint, unless a part is filed under more than its own: then so is the whole.
    """
    keys = [part.store_key(queries) for part in parts]
    if None in keys or not is_ours(type(whole)):
        return None
    if keys == [part.fingerprint for part in parts]:
        return whole.fingerprint
    return hash_of([whole.fingerprint, *keys])


def identity_of(value: Any) -> Any:
    """What stands for an option that JSON does not have.

    Raises:
        TypeError: Nothing certain can: the option would not be told apart from another.
    """
    if isinstance(value, Stage):
        return value.fingerprint
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return [str(value.dtype), value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()]
    if isinstance(value, Path):
        return str(value)
    raise TypeError(
        f"an option of type {type(value).__name__} has no fingerprint; give it as numbers, text or an array"
    )


def cells(candidates: Run) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row and column of every candidate, pads left out: the pairs to score, query by query."""
    rows, columns = np.nonzero(candidates.docs != PAD)
    return rows, columns


def scattered(candidates: Run, values: Any) -> NDArray[np.float32]:
    """Values in the order of `cells` as float32 [Q, K], -inf at pads."""
    scores = np.full(candidates.docs.shape, -np.inf, np.float32)
    scores[cells(candidates)] = values
    return scores


def candidates_of(queries: Queries, corpus: Corpus, ranked: Mapping[str, Sequence[str]]) -> Run:
    """Lists of document ids as candidates with score 0, in their order.

    Raises:
        InputError: A list names a document that the corpus does not have.
    """
    lists = [list(dict.fromkeys(ranked.get(query, ()))) for query in queries.ids]
    docs = corpus.rows_of_lists(lists)
    for row, ids in enumerate(lists):
        unknown = docs[row, : len(ids)] == PAD
        if unknown.any():
            missing = ids[int(np.argmax(unknown))]
            raise InputError(f"candidate '{missing}' of query '{queries.ids[row]}' is not in the corpus")
    return Run(queries.ids, corpus, docs, np.where(docs == PAD, -np.inf, 0).astype(np.float32))


def required_fields(kind: type[Stage]) -> list[str]:
    """Names of the fields that have no default."""
    return [f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING]
