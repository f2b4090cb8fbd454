"""Our collections as tasks of mteb."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.results import TaskResult

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.errors import InputError
from mteb_cascade.mteb_plugin.cached_results import judged_by
from mteb_cascade.mteb_plugin.loader import end


class CollectionTask(AbsTaskRetrieval):
    """A collection of ours under mteb; a subclass gives metadata and the collection."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._tell_revision()
        judged_by(self)

    def _tell_revision(self) -> None:
        """Put the revision into the metadata: a digest of the text, so it is known only where the text was read."""
        try:
            dataset = {**self.metadata.dataset, "revision": self.collection().revision}
        except InputError as error:
            end(error)
        self.metadata = self.metadata.model_copy(update={"dataset": dataset})

    def unload_data(self) -> None:
        """Forget the text, and not its revision."""
        super().unload_data()
        self._tell_revision()

    def holds(self, result: TaskResult) -> bool:
        """Whether a cached result is of the text that is here now."""
        return result.dataset_revision == self.metadata.revision

    def collection(self) -> Collection:
        """The collection; read once a process."""
        raise NotImplementedError(f"{type(self).__name__} names no collection")

    def load_data(self, num_proc: int | None = None, **kwargs: Any) -> None:
        """Hand the collection to mteb in its own form."""
        if self.data_loaded:
            return
        collection = self.collection()
        corpus = Dataset.from_dict(
            {"id": collection.corpus.ids.to_pylist(), "text": collection.corpus.texts.to_pylist()}
        )
        self.dataset = {"default": {}}
        for name in self.eval_splits:
            split = collection.split(name)
            self.dataset["default"][name] = {
                "corpus": corpus,
                "queries": Dataset.from_dict({"id": list(split.queries.ids), "text": list(split.queries.texts)}),
                "relevant_docs": {query: dict(split.qrels.of(query)) for query in split.queries.ids},
                "top_ranked": None,
            }
        self.data_loaded = True


class PythonDocsRetrieval(CollectionTask):
    """First paragraphs of standard-library docstrings against the rest of them, read from the running Python."""

    metadata = TaskMetadata(
        name="PythonDocsRetrieval",
        description=(
            "Docstrings of the running Python's standard library: the first paragraph is the query, the rest with the "
            "signature the document. Embedded and offline; the text differs between Python versions, and so does the "
            "dataset revision, a digest of it."
        ),
        reference="https://docs.python.org/3/library/",
        dataset={"path": "python-standard-library", "revision": "digest-of-the-text"},
        type="Retrieval",
        category="t2t",
        modalities=["text"],
        eval_splits=["test"],
        eval_langs=["eng-Latn"],
        main_score="ndcg_at_10",
        date=("1990-01-01", "2026-12-31"),
        domains=["Programming", "Written"],
        task_subtypes=["Code retrieval"],
        license="https://docs.python.org/3/license.html",
        annotations_creators="derived",
        dialect=[],
        sample_creation="found",
        bibtex_citation="",
    )

    def collection(self) -> Collection:
        """PythonDocs."""
        from mteb_cascade.corpora import pythondocs

        return pythondocs.load()


TASKS: tuple[type[AbsTaskRetrieval], ...] = (PythonDocsRetrieval,)
