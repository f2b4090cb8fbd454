"""The cascade retrieval task: a retrieval task as it is, judged by rank 1, with the figures of every stage beside."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mteb.abstasks.retrieval import AbsTaskRetrieval
from mteb.abstasks.task_metadata import TaskMetadata
from mteb.models import (
    CrossEncoderProtocol,
    EncoderProtocol,
    SearchCrossEncoderWrapper,
    SearchEncoderWrapper,
    SearchProtocol,
)
from mteb.results import TaskResult

from mteb_cascade.corpora.mteb_rows import corpus_of, queries_of, run_of
from mteb_cascade.corpora.relevance_level import level_of
from mteb_cascade.engine.latency import machine
from mteb_cascade.errors import InputError
from mteb_cascade.mteb_plugin.cached_results import judged_by
from mteb_cascade.mteb_plugin.loader import ended
from mteb_cascade.stages.base import Stage, candidates_of
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.latency import latencies
from mteb_cascade.stages.listening import searched
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run
from mteb_cascade.values.stage_figures import stage_figures

LATENCY = "MTEB_CASCADE_LATENCY"
"""Environment variable that asks for latencies: the number of queries timed, 200 or more."""

BASES = {
    "PythonDocsRetrieval": "PythonDocsCascade",
    "MSMARCO": "MSMARCOCascade",
    "MSMARCOv2": "MSMARCOv2Cascade",
    "TRECDL2019": "TRECDL2019Cascade",
    "TRECDL2020": "TRECDL2020Cascade",
    "NanoMSMARCORetrieval": "NanoMSMARCORetrievalCascade",
    "SciFact": "SciFactCascade",
    "NFCorpus": "NFCorpusCascade",
}
"""Tasks that have a cascade task, and its name."""

SPLITS = {"MSMARCOv2": ["dev"]}
"""Splits evaluated where they are fewer than the base task's."""


class Recorded:
    """A search model that remembers what it found: asked again, it answers from memory.

    Args:
        model: Any model that mteb can evaluate on a retrieval task.
        metadata: Of the base task, by whose name models choose prompts; the model is told it is that task.
    """

    def __init__(self, model: Any, metadata: TaskMetadata) -> None:
        if isinstance(model, EncoderProtocol) and not isinstance(model, SearchProtocol):
            model = SearchEncoderWrapper(model)
        elif isinstance(model, CrossEncoderProtocol):
            model = SearchCrossEncoderWrapper(model)
        self.model = model
        self.metadata = metadata
        self.found: dict[str, dict[str, float]] | None = None
        self.runs: list[Run] = []

    @property
    def mteb_model_meta(self) -> Any:
        """The model's own."""
        return self.model.mteb_model_meta

    def index(self, corpus: Any, **context: Any) -> None:
        """Hand the corpus on, once."""
        if self.found is None:
            self.corpus = corpus_of(corpus)
            context |= {"task_metadata": self.metadata}
            self.model.index(self.corpus if isinstance(self.model, Stage) else corpus, **context)

    def search(
        self, queries: Any, *, top_k: int, top_ranked: Mapping[str, Sequence[str]] | None = None, **context: Any
    ) -> dict[str, dict[str, float]]:
        """Search once; of a cascade the run after each stage is kept, of any other model its only one."""
        if self.found is None:
            context |= {"task_metadata": self.metadata}
            self.queries = queries_of(queries, context)
            if isinstance(self.model, Cascade):
                candidates = None if top_ranked is None else candidates_of(self.queries, self.corpus, top_ranked)
                self.runs = self.model.trace(self.queries, top_k, candidates=candidates)
                last = self.runs[-1].cut(top_k)
                searched(self.model, self.queries, last)
                self.found = last.as_dict()
            else:
                self.found = self.model.search(queries, top_k=top_k, top_ranked=top_ranked, **context)
                self.runs = [run_of(self.found, self.queries.ids, self.corpus)]
        return {query: dict(scored) for query, scored in self.found.items()}


class CascadeTask(AbsTaskRetrieval):
    """What a cascade task adds to its base task.

    The result keeps mteb's own keys, computed by mteb, at the relevance level of the dataset; where that is not mteb's
    1, mteb's own figures stand in `mteb_level_1`. Beside them: `relevance_level`, `highest_recall_at_1`, and `stages`,
    one entry a stage (`stage_figures`), with latencies where MTEB_CASCADE_LATENCY asks for them.
    """

    base: type[AbsTaskRetrieval]
    """The base task."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        judged_by(self)

    @ended
    def holds(self, result: TaskResult) -> bool:
        """Whether a cached result is of this revision, and has latencies where they are asked for."""
        scores = [one for split in result.scores.values() for one in split]
        timed = not calls_wanted() or all("latency_ms" in one for one in scores)
        return timed and result.dataset_revision == self.metadata.revision

    @ended
    def _evaluate_subset(
        self, model: Any, data_split: Any, *, hf_split: str, prediction_folder: Any = None, **context: Any
    ) -> Mapping[str, Any]:
        calls = calls_wanted()
        recorded = Recorded(model, self.base.metadata)
        scores = super()._evaluate_subset(
            recorded, data_split, hf_split=hf_split, prediction_folder=prediction_folder, **context
        )
        level = level_of(self, hf_split)
        if level != 1:
            scores = self._at_level(level, scores, recorded, data_split, hf_split=hf_split, **context)
        qrels = Qrels(data_split["relevant_docs"], level)
        counts = qrels.relevant_counts(recorded.queries.ids)
        cascade = recorded.model if isinstance(recorded.model, Cascade) else None
        stages = stage_figures(
            recorded.runs, cascade.depths if cascade else (), qrels, ignore_identical_ids=self.ignore_identical_ids
        )
        if cascade is not None:
            described = [
                {"name": stage.label, "kind": stage.kind, "fingerprint": stage.fingerprint} for stage in cascade
            ]
            blends = [{}, *({"blend": blend} for blend in cascade.blends)]
            stages = [
                {**stage, **blend, **found} for stage, blend, found in zip(described, blends, stages, strict=True)
            ]
        extra: dict[str, Any] = {
            "relevance_level": level,
            "highest_recall_at_1": float(np.where(counts > 0, 1 / np.maximum(counts, 1), 0).mean()),
            "queries_without_positives": int((counts == 0).sum()),
            "corpus_digest": recorded.corpus.digest,
            "queries_digest": recorded.queries.digest,
            "stages": [{spelled(key): value for key, value in stage.items()} for stage in stages],
        }
        if calls and (data_split["top_ranked"] or not isinstance(recorded.model, Stage)):
            warnings.warn(f"{LATENCY}: only the retrieval of our own models is timed; nothing is here", stacklevel=2)
        elif calls:
            timed = latencies(recorded.model, recorded.queries, calls=calls)
            for stage, figures in zip(extra["stages"], timed.pop("stages"), strict=True):
                stage["latency_ms"] = figures
            extra["latency_ms"] = {**timed, "machine": machine()}
        return {**scores, **extra}

    def _at_level(
        self, level: int, scores: Mapping[str, Any], recorded: Recorded, data_split: Any, **context: Any
    ) -> dict[str, Any]:
        """What mteb computes when counting only grades of at least `level` as relevant; nDCG goes by the grades."""
        grades = {
            query: {document: int(grade >= level) for document, grade in judged.items()}
            for query, judged in data_split["relevant_docs"].items()
        }
        at_level = super()._evaluate_subset(recorded, data_split | {"relevant_docs": grades}, **context)
        changed = {key: value for key, value in at_level.items() if "ndcg" not in key and key in scores}
        return {**scores, **changed, "mteb_level_1": {key: scores[key] for key in changed}}


def spelled(measure: str) -> str:
    """A measure's name as mteb's results spell it."""
    return measure.replace("@", "_at_")


def calls_wanted() -> int:
    """How many queries MTEB_CASCADE_LATENCY asks to be timed; 0 where it does not.

    Raises:
        InputError: It is no number, or below 200: a 99th percentile of fewer is no percentile.
    """
    wanted = os.environ.get(LATENCY, "") or "0"
    if not wanted.isdecimal() or 0 < int(wanted) < 200:
        raise InputError(f"{LATENCY}={wanted}: expected the number of queries to time, 200 or more, or nothing")
    return int(wanted)


def cascade_of(base: type[AbsTaskRetrieval], name: str) -> type[AbsTaskRetrieval]:
    """The cascade task of a retrieval task: its data, judged by rank 1."""
    metadata = base.metadata.model_copy(
        update={
            "name": name,
            "main_score": "recall_at_1",
            "description": f"{base.metadata.name}, judged by rank 1, with the figures of every stage of a cascade.",
            "eval_splits": SPLITS.get(base.metadata.name, base.metadata.eval_splits),
            "adapted_from": [base.metadata.name],
            "superseded_by": None,
        }
    )
    return type(name, (CascadeTask, base), {"metadata": metadata, "base": base, "__doc__": metadata.description})
