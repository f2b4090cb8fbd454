"""The class that an application imports: a corpus embedded once, then searched by any stage or cascade."""

from __future__ import annotations

import operator
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mteb_cascade.corpora.beir import SURROGATE
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError
from mteb_cascade.retriever.opening import Snapshot, bound, folder_of, loading_its_model
from mteb_cascade.retriever.result import Results
from mteb_cascade.retriever.searching import searched
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.load import load

if TYPE_CHECKING:
    from mteb_cascade.corpora.documents import Documents
    from mteb_cascade.retriever.report import IndexReport
    from mteb_cascade.store.index.index import Index
    from mteb_cascade.store.index.manifest import Manifest
    from mteb_cascade.store.precision import Precision

TOGETHER = 256
"""Queries that are searched together."""


class Retriever:
    """Searches an index by the code that evaluates the model, so that it finds what was measured.

    Searching is thread-safe, and undisturbed by documents that are added to the index, or taken out, meanwhile.

    Args:
        model: A stage; a model's name, from a spec or the hub; a model folder.
        index: Folder of the index; by default `indexes/NAME` in the working folder. It is opened, and the model is
            loaded, by the first search; `Retriever.open` does so at once.
        device: Torch device of stages that have one.

    Raises:
        InputError: There is no such model, or its spec has mistakes.
    """

    def __init__(
        self, model: str | Path | Stage = "our-cascade", index: str | Path | None = None, *, device: str | None = None
    ) -> None:
        self._model = model
        self._device = device
        self._stage = load(model, device=device)
        self._loaded: str | None = None
        """Fingerprint of the stage when its models were loaded."""
        self._lock = threading.RLock()
        self._snapshot: Snapshot | None = None
        self.folder = Path(folder_of(self._stage) if index is None else index).expanduser().absolute()

    @classmethod
    def open(
        cls, index: str | Path, model: str | Path | Stage | None = None, *, device: str | None = None
    ) -> Retriever:
        """Open an index and load its model, ready to search.

        Args:
            index: Folder of the index.
            model: As for the class; None takes the one that the index was made from.
            device: Torch device of stages that have one.

        Raises:
            InputError: There is no index, it is damaged, or it was not made for this model as it is here.
        """
        if model is not None:
            return cls(model, index, device=device).ready()
        from mteb_cascade.store.index import manifest

        folder = Path(index).expanduser().absolute()
        name = manifest.read(folder).model
        with loading_its_model(folder):
            retriever = cls(name, folder, device=device)
        return retriever.ready()

    def ready(self) -> Self:
        """Open the index and load the model now, not in the first search.

        Raises:
            InputError: As in `open`.
        """
        _ = self.snapshot
        return self

    @property
    def snapshot(self) -> Snapshot:
        """The generation of the index that is searched, and the model bound to it."""
        current = self._snapshot
        if current is None:
            with self._lock:
                if self._snapshot is None:
                    self._snapshot = self._opened()
                current = self._snapshot
        return current

    @property
    def label(self) -> str:
        """What the model is called."""
        return self._stage.label

    @property
    def documents(self) -> int:
        """How many the index holds."""
        return len(self.snapshot.index.corpus)

    @property
    def manifest(self) -> Manifest:
        """What the index says of itself; its name changes with every change of the index."""
        return self.snapshot.index.manifest

    def __repr__(self) -> str:
        return f"Retriever({self._model!r}, index={str(self.folder)!r})"

    def embed_and_store_corpus(
        self,
        corpus_path: str | Path | Corpus | Documents,
        *,
        precision: Precision = "float32",
        skip_bad: bool = False,
        allow_empty: bool = False,
    ) -> IndexReport:
        """Make the index: encode a corpus and store it with all that a search needs. What is searched is then this one.

        Where it was interrupted before, what is finished is not encoded again.

        Args:
            corpus_path: "PythonDocs", the path of a BEIR folder, of a .jsonl, .jsonl.gz, .tsv, .tsv.gz or .parquet
                file, a task of mteb, or a corpus.
            precision: What vectors are kept in: float32, float16 or int8.
            skip_bad: Leave lines that cannot be read out, and count them.
            allow_empty: Accept documents without text.

        Returns:
            What was stored, how large it is and how long it took.

        Raises:
            InputError: There is no such corpus, it has mistakes, or the folder cannot be written.
        """
        from mteb_cascade.corpora.documents import documents_of
        from mteb_cascade.retriever.building import build

        with self._lock:
            stage = self._stage_of_now()
            documents = documents_of(corpus_path, skip_bad=skip_bad, allow_empty=allow_empty)
            report = build(stage, documents, self.folder, precision=precision)
            self._stage, self._loaded = stage, stage.fingerprint
            self._snapshot = self._opened()
        return report

    def search(self, query: str, k: int = 10) -> Results:
        """The k best documents of the index, fewer where it holds or finds fewer.

        Args:
            query: Any text that is not empty.
            k: >= 1.

        Returns:
            A list of `Result`, best first, which also knows what each stage took.

        Raises:
            InputError: The query is empty, k is below 1, or there is no index to search.
        """
        return self.search_many([query], k)[0]

    def search_many(self, queries: Sequence[str], k: int = 10) -> list[Results]:
        """As `search`, for each of several queries; quicker together than one by one."""
        if isinstance(queries, str):
            raise InputError("queries: expected a list of texts, got one text; search(query, k) takes one")
        texts = [checked(query) for query in queries]
        k = checked_k(k)
        snapshot = self.snapshot
        blocks = (texts[start : start + TOGETHER] for start in range(0, len(texts), TOGETHER))
        return [results for block in blocks for results in searched(snapshot, block, k)]

    def refresh(self) -> bool:
        """Take up what was committed to the index since it was opened, and a model that was made anew with it.

        Returns:
            Whether anything changed. Searches that run meanwhile go on in what they began with.

        Raises:
            InputError: As in `open`; what was searched before still is.
        """
        with self._lock:
            if self._snapshot is not None and self._snapshot.index.is_current():
                return False
            self._snapshot = self._opened()
            return True

    def _opened(self) -> Snapshot:
        from mteb_cascade.store.index.index import used

        if not self.folder.exists():
            raise InputError(
                f"{shown(self.folder)}: no index of {self.label} to search yet; make it with "
                f"embed_and_store_corpus(corpus) or `mteb-cascade index {self.label} CORPUS -o {shown(self.folder)}`"
            )
        stage, snapshot = used(self.folder, self._bound)
        self._stage, self._loaded = stage, stage.fingerprint
        return snapshot

    def _bound(self, index: Index) -> tuple[Stage, Snapshot]:
        stage = self._stage_of_now()
        stage.prepare()
        return stage, bound(stage, index)

    def _stage_of_now(self) -> Stage:
        """The model as its files are now: the loaded one where they are those that it was loaded from."""
        if self._loaded is None or isinstance(self._model, Stage):
            return self._stage
        now = load(self._model, device=self._device)
        return self._stage if now.fingerprint == self._loaded else now


def checked(query: str) -> str:
    """The query.

    Raises:
        InputError: It is no text, an empty one, or one that UTF-8 cannot hold.
    """
    if not isinstance(query, str):
        raise InputError(f"query: expected a text, got {type(query).__name__}")
    if not query.strip():
        raise InputError("query: expected a text, got an empty one")
    if SURROGATE.search(query):
        raise InputError("query: holds bytes that are no UTF-8, or half of a surrogate pair; expected Unicode text")
    return query


def checked_k(k: int) -> int:
    """The number of documents wanted.

    Raises:
        InputError: It is no whole number of at least 1.
    """
    try:
        k = operator.index(k)
    except TypeError:
        raise InputError(f"k: expected a whole number of documents, got {k!r}") from None
    if k < 1:
        raise InputError(f"k: expected at least 1 document, got {k}")
    return k
