"""What is written beside every result of mteb's of a model of ours: provenance, figures of every query, and the run.

A result `<revision>/<Task>.json` gets `<revision>/provenance/<Task>.json`, where mteb does not look for results; for
each split, and subset that is not `default`, `<Task>.<split>[.<subset>].queries.parquet` and `....trec.gz`.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from mteb.abstasks.abstask import AbsTask
from mteb.cache import ResultCache
from mteb.results import TaskResult

from mteb_cascade.atomic import replaced
from mteb_cascade.corpora import query_figures, run_files
from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.corpora.relevance_level import level_of
from mteb_cascade.errors import in_one_line
from mteb_cascade.mteb_plugin.tasks import CollectionTask
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.listening import Heard, listening
from mteb_cascade.stages.provenance import PART, parts_of, record, record_of, with_parts
from mteb_cascade.values.measures import REPORTED, evaluate
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import PAD, Run


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What a stage reached on a split and subset of a task.

    Args:
        model: Its `org/name`.
        record: Its provenance.
        split: Queries without text and their judgements; None of a task without a search.
        run: What it found, of a corpus of these documents alone, without texts: as little as has to be kept.
    """

    model: str
    record: dict[str, Any]
    split: Split | None = None
    run: Run | None = None


_last: ContextVar[Evaluated | None] = ContextVar("last evaluated", default=None)
"""What this thread evaluated last: mteb writes the result of each subset before it evaluates the next."""

_watched = False


def watch() -> None:
    """From now on results of our models get their files; those of other models are what they were."""
    global _watched
    if not _watched:
        watch_tasks()
        watch_results()
    _watched = True


def watch_tasks() -> None:
    """Keep what a stage finds while a task is evaluated."""
    original = AbsTask.evaluate

    @wraps(original)
    def and_listen(self: AbsTask, model: Any, split: str = "test", *given: Any, **named: Any) -> Any:
        if not isinstance(model, Stage):
            return original(self, model, split, *given, **named)
        with listening() as heard:
            scores = original(self, model, split, *given, **named)
        _last.set(None)
        if len(scores) == 1:
            try:
                _last.set(evaluated(self, model, split, next(iter(scores)), heard))
            except Exception as error:  # mteb's result is worth more than what lies beside it
                warn(self.metadata.name, error)
        return scores

    AbsTask.evaluate = and_listen  # type: ignore[method-assign]


def watch_results() -> None:
    """Once a result is written, write what lies beside it."""
    original = ResultCache.save_to_cache

    @wraps(original)
    def and_beside(self: ResultCache, task_result: TaskResult, model_name: Any, *given: Any, **named: Any) -> None:
        original(self, task_result, model_name, *given, **named)
        found = _last.get()
        name = getattr(model_name, "name", model_name)
        if found is None or (found.record["task"], found.model) != (task_result.task_name, name):
            return
        _last.set(None)
        try:
            write(found, self.get_task_result_path(task_result.task_name, model_name, *given[:1]), task_result)
        except Exception as error:  # as above
            warn(task_result.task_name, error)

    ResultCache.save_to_cache = and_beside  # type: ignore[method-assign]


def warn(task: str, error: Exception) -> None:
    """Say in one line what could not be kept."""
    warnings.warn(f"{task}: provenance and run are not beside the result: {in_one_line(error)}", stacklevel=4)


def evaluated(task: Any, stage: Stage, name: str, subset: str, heard: Heard) -> Evaluated:
    """What has to be kept until mteb writes the result.

    Args:
        task: Of mteb; its data are still loaded.
        stage: What was evaluated.
        name: The split.
        subset: The hf_subset.
        heard: What the stage found.
    """
    model = str(stage.mteb_model_meta.name)
    if heard.run is None or heard.queries is None:
        data = dict.fromkeys(PART) | {"split": name, "subset": subset}
        told = {"task": task.metadata.name, **data, "dataset_revision": str(task.metadata.dataset["revision"])}
        return Evaluated(model, record(stage, told))
    parts = task.dataset if subset == "default" and subset not in task.dataset else task.dataset[subset]
    judged = parts[name]["relevant_docs"]
    grades = {query: {doc: int(grade) for doc, grade in judged[query].items()} for query in heard.queries.ids}
    split = Split(heard.queries, Qrels(grades, level_of(task, name)), clusters_of(task, name, heard.queries.ids))
    run = heard.run.without_identical_ids() if task.ignore_identical_ids else heard.run
    revision = str(task.metadata.dataset["revision"])
    whole = Collection(task.metadata.name, run.corpus, {name: split}, revision=revision, subset=subset)
    return Evaluated(model, record_of(stage, whole, name), split, without_texts(run))


def clusters_of(task: Any, split: str, query_ids: tuple[str, ...]) -> tuple[str, ...] | None:
    """The cluster of each query, where a collection of ours names them."""
    part = task.collection().split(split) if isinstance(task, CollectionTask) else None
    if part is None or part.clusters is None:
        return None
    named = dict(zip(part.queries.ids, part.clusters, strict=True))
    return tuple(named[query] for query in query_ids)


def without_texts(run: Run) -> Run:
    """The same lists over a corpus of nothing but the ids that stand in them."""
    found = run.docs != PAD
    stands = np.zeros(len(run.corpus), bool)
    stands[run.docs[found]] = True
    ids = run.corpus.ids.filter(pa.array(stands))
    docs = np.full(run.docs.shape, PAD, np.int32)
    docs[found] = (np.cumsum(stands, dtype=np.int32) - 1)[run.docs[found]]
    return Run(run.query_ids, Corpus(ids, ids), docs, run.scores)


def write(found: Evaluated, result: Path, task_result: TaskResult) -> None:
    """Write everything beside a result.

    Args:
        found: What was evaluated last.
        result: The result's file.
        task_result: What it holds: what the record says of its other splits and subsets stays.
    """
    folder = result.parent / query_figures.BESIDE
    split, subset = found.record["split"], found.record["subset"]
    if found.run is not None and found.split is not None:
        name = f"{result.stem}.{split}" + ("" if subset == "default" else f".{subset}")
        figures = evaluate(found.run, found.split.qrels, REPORTED)
        ids = found.run.query_ids
        query_figures.write(folder / f"{name}{query_figures.ENDING}", ids, figures, found.split.clusters)
    file = folder / result.name
    there = {(split, one["hf_subset"]) for split, several in task_result.scores.items() for one in several}
    others = [
        part
        for part in earlier_parts(file, found.record)
        if (part["split"], part["subset"]) in there - {(split, subset)}
    ]
    content = with_parts(found.record, [*others, *parts_of(found.record)])
    with replaced(file) as beside:
        beside.write_text(json.dumps(content, indent=1, default=str) + "\n", encoding="utf-8")
    if found.run is not None:
        run_files.write(found.run, folder / f"{name}.trec.gz", name=found.model)  # last: an id with a space is refused


def earlier_parts(file: Path, record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What a record that is there already says, where it is of the same model and data."""
    try:
        earlier = json.loads(file.read_text(encoding="utf-8"))
        same = all(earlier[key] == record[key] for key in ("fingerprint", "dataset_revision"))
        return parts_of(earlier) if same else []
    except (OSError, ValueError, KeyError, TypeError):
        return []
