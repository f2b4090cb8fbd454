"""One evaluation: a stage on a split, every measure per query through ir-measures."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.atomic import replaced
from mteb_cascade.corpora import query_figures, run_files
from mteb_cascade.corpora.candidate_sets import Provenance
from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.load import load_subsets
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage, candidates_of
from mteb_cascade.stages.load import load
from mteb_cascade.stages.provenance import record_of, without_folders
from mteb_cascade.values.measures import REPORTED, Measure, evaluate, highest_recall_at_1, mean
from mteb_cascade.values.run import Run

DEFAULT_MEASURES = REPORTED


@dataclass(frozen=True)
class Evaluation:
    """What a model reached on a split.

    Args:
        model: Its name.
        collection: What it was evaluated on.
        split: Name of the split.
        run: Q judged queries.
        per_query: {measure: float64 [Q]}, NaN where a query has no relevant document.
        described: The stage as results keep it.
        fingerprint: The stage's.
        record: Its provenance.
        k: Documents asked for of each query.
        untrained: Whether the stage is a baseline whose weights were never trained to score.
    """

    model: str
    collection: Collection
    split: str
    run: Run
    per_query: dict[str, NDArray[np.float64]]
    described: dict[str, Any]
    fingerprint: str
    record: dict[str, Any]
    k: int
    untrained: bool = False

    @property
    def means(self) -> dict[str, float]:
        """trec_eval-compatible means: a query without a relevant document counts as 0."""
        return {name: float(mean(values)) for name, values in self.per_query.items()}

    @property
    def title(self) -> str:
        """What a table of this split is called."""
        level = self.collection.split(self.split).qrels.relevance_level
        return f"{self.collection.title}, {self.split}, {len(self.run.query_ids):,} queries, relevant: grade >= {level}"

    @property
    def relevant_counts(self) -> NDArray[np.int64]:
        """int64 [Q], relevant documents of each query."""
        return self.collection.split(self.split).qrels.relevant_counts(self.run.query_ids)

    @property
    def highest_recall_at_1(self) -> float:
        """What recall@1 would be with a relevant document first for every query that has one."""
        return highest_recall_at_1(self.collection.split(self.split).qrels, self.run.query_ids)

    @property
    def caption(self) -> str:
        """What a reader must know: the maximum of recall@1, and how many queries have nothing to be found."""
        highest = f"{self.highest_recall_at_1:.3f}".removeprefix("0")
        parts = [f"Highest possible recall@1: {highest}."] if "recall@1" in self.per_query else []
        binary = any(Measure.parse(name).kind in ("success", "recall", "mrr") for name in self.per_query)
        empty = int((self.relevant_counts == 0).sum()) if binary else 0
        parts += [f"{empty:,} queries have no relevant document and count as 0."] if empty else []
        parts += [self.collection.note + "."] if self.collection.note else []
        return " ".join(parts)

    @property
    def candidates(self) -> Provenance:
        """What the run's file says of itself."""
        context = self.collection.context(self.split)
        return Provenance.of(
            self.collection.corpus,
            self.collection.split(self.split).queries,
            stage={"name": self.model, "fingerprint": self.fingerprint, **self.described},
            depth=self.k,
            task=context["task"],
            split=self.split,
            subset=self.collection.subset,
            versions=self.record["versions"],
        )

    def as_json(self) -> dict[str, Any]:
        """Means, the pipeline, digests and provenance."""
        split = self.collection.split(self.split)
        return {
            "model": self.model,
            "untrained": self.untrained,
            "pipeline": self.described,
            "fingerprint": self.fingerprint,
            "collection": self.collection.name,
            "subset": self.collection.subset,
            "split": self.split,
            "queries": len(self.run.query_ids),
            "relevance_level": split.qrels.relevance_level,
            "corpus_digest": self.collection.corpus.digest,
            "queries_digest": split.queries.digest,
            "scores": self.means,
            "k": self.k,
            "highest_recall@1": self.highest_recall_at_1,
            "provenance": self.record,
        }

    def write(self, folder: Path, source: str) -> None:
        """Write the JSON, the run as a candidate set and as a TREC run, and the figures of every query.

        Args:
            folder: Made where there is none.
            source: What the user called the task.
        """
        subset = "" if self.collection.subset == "default" else f".{self.collection.subset}"
        name = f"{self.model.replace('/', '__')}.{self.fingerprint[:12]}.{self.collection.name}{subset}.{self.split}"
        run_files.write(self.run, folder / f"{name}.parquet", name=self.model, made=self.candidates)
        try:
            run_files.write(self.run, folder / f"{name}.trec.gz", name=self.model)
        except InputError as error:  # an id with white space: the Parquet file holds it
            warnings.warn(str(error), stacklevel=2)
        clusters = self.collection.split(self.split).clusters
        query_figures.write(folder / f"{name}{query_figures.ENDING}", self.run.query_ids, self.per_query, clusters)
        with replaced(folder / f"{name}.json") as beside:
            content = {**self.as_json(), "source": source}
            beside.write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")


def evaluate_stage(
    stage: Stage, collection: Collection, split: str, measures: Sequence[str] = DEFAULT_MEASURES, k: int = 1000
) -> Evaluation:
    """Retrieve k documents for every query of a split, or rank the candidates that it brings, and measure.

    Raises:
        InputError: A measure is unknown, or the stage's weights are missing.
    """
    part = collection.split(split)
    context = collection.context(split)
    queries = part.queries.within(**context)
    stage.index(collection.corpus, **context)
    try:
        if part.candidates is None:
            run = stage.retrieved(queries, k)
        else:
            run = stage.rank(queries, candidates_of(queries, collection.corpus, part.candidates)).cut(k)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{stage.label}: {error}") from None
    if collection.ignore_identical_ids:
        run = run.without_identical_ids()
    per_query = evaluate(run, part.qrels, measures)
    record = record_of(stage, collection, split)
    described = stage.described()
    return Evaluation(
        stage.label, collection, split, run, per_query, described, stage.fingerprint, record, k, stage.untrained
    )


def evaluate_models(
    names: Sequence[str | Stage],
    task: str | Path,
    *,
    split: str | None = None,
    subsets: Sequence[str] = (),
    measures: Sequence[str] = DEFAULT_MEASURES,
    k: int = 1000,
    relevance_level: int | None = None,
    allow_empty: bool = False,
    output: Path | None = None,
) -> list[Evaluation]:
    """Evaluate models on one split; all names and measures are looked up before any work is done.

    Args:
        names: Models by name, folder or hub id, or stages.
        task: PythonDocs, a BEIR folder, or a task of mteb.
        split: Split of the queries; the collection's default split where none is named.
        subsets: hf_subsets of a multilingual task; all by default.
        measures: Such as recall@10.
        k: Documents retrieved; at least the largest cut-off of the measures.
        relevance_level: A grade of at least this is relevant; by default what is known of the dataset and split.
        allow_empty: Accept documents without text.
        output: Folder that gets, of each model and subset, a JSON, the run as Parquet and in TREC's form, and the
            figures of every query as Parquet.

    Returns:
        One evaluation a model and subset, subset by subset.
    """
    # recall@1 never appears without success@1.
    measures = [*measures, "success@1"] if "recall@1" in measures and "success@1" not in measures else measures
    k = max(k, *(Measure.parse(measure).cutoff for measure in measures))
    stages = [load(name) for name in names]
    for stage in stages:
        stage.fetch_missing()
    collections = load_subsets(task, split, subsets=subsets, relevance_level=relevance_level, allow_empty=allow_empty)
    results = [
        evaluate_stage(stage, collection, split or collection.default_split, measures, k)
        for collection in collections
        for stage in stages
    ]
    if output is not None:
        for result in results:
            result.write(output, without_folders(str(task)))
    return results
