"""A retrieval or reranking task of mteb as collections; imports mteb, so only when one is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mteb_cascade.corpora.collection import Collection, Split, main_of
from mteb_cascade.corpora.mteb_rows import corpus_of, queries_of
from mteb_cascade.corpora.relevance_level import level_of
from mteb_cascade.errors import InputError, in_one_line, suggestion
from mteb_cascade.values.qrels import Qrels


def load(
    name: str, split: str | None = None, *, subsets: Sequence[str] = (), relevance_level: int | None = None
) -> list[Collection]:
    """Load one split of a task of mteb's registry.

    Args:
        name: The task's name.
        split: The split to load; `test` where the task has it, else the first that mteb evaluates.
        subsets: Its hf_subsets; all by default.
        relevance_level: A grade of at least this is relevant; by default what is known of the task and split, else 1.

    Returns:
        One collection a subset.

    Raises:
        InputError: mteb has no such task, it is no retrieval task of texts, or it lacks a subset or the split.
    """
    task = task_of(name)
    known = list(task.metadata.hf_subsets)
    for subset in subsets:
        if subset not in known:
            raise InputError(f"{name} has no subset '{subset}'. {suggestion(subset, known)}")
    wanted = list(dict.fromkeys(subsets)) or known
    task.hf_subsets = wanted
    split = split or main_of(task.metadata.eval_splits)
    return [collection_of(task, split, subset=subset, relevance_level=relevance_level) for subset in wanted]


def task_of(name: str) -> Any:
    """A retrieval or reranking task of mteb's registry; its data are not touched.

    Raises:
        InputError: There is none of that name, or it is of another type.
    """
    import mteb
    from mteb.abstasks import AbsTaskRetrieval

    try:
        task = mteb.get_task(name)
    except KeyError as error:
        reason = str(error.args[0]).removeprefix("KeyError: ")
        raise InputError(f"unknown task: {reason} A BEIR folder is given by its path") from None
    if not isinstance(task, AbsTaskRetrieval):
        raise InputError(f"{name} is of mteb's type {task.metadata.type}; expected a retrieval or reranking task")
    if task.metadata.modalities != ["text"]:
        raise InputError(f"{name} is of {' and '.join(task.metadata.modalities)}; expected a task of texts alone")
    return task


def load_split(name: str, split: str, *, subset: str = "default") -> Split:
    """Queries and judgements of one split of a task, at the relevance level that is known of it.

    Raises:
        InputError: mteb has no such task, it is no retrieval task of texts, or it lacks the subset or the split.
    """
    task = task_of(name)
    task.hf_subsets = [subset]
    return split_of(task, split, data_of(task, split, subset), None)


def collection_of(task: Any, split: str, *, subset: str = "default", relevance_level: int | None = None) -> Collection:
    """One split of an mteb retrieval task; its data are loaded if they are not yet.

    Queries without any judgement are left out, as mteb does.

    Raises:
        InputError: The data are not to be had, or lack the subset or the split.
    """
    data = data_of(task, split, subset)
    return Collection(
        task.metadata.name,
        corpus_of(data["corpus"]),
        {split: split_of(task, split, data, relevance_level)},
        revision=str(task.metadata.dataset["revision"]),
        ignore_identical_ids=task.ignore_identical_ids,
        subset=subset,
        task_metadata=task.metadata,
    )


def data_of(task: Any, split: str, subset: str) -> Any:
    """What mteb loads of a split: a mapping with corpus, queries, relevant_docs and top_ranked."""
    name, splits = task.metadata.name, task.metadata.eval_splits
    task.filter_eval_splits([split])
    try:
        if not task.data_loaded:
            task.load_data()
    except OSError as error:
        raise InputError(f"{name}: its data cannot be read or fetched: {error}") from None
    except (ValueError, KeyError) as error:
        if split in splits:
            raise
        # A split that mteb does not evaluate may exist, so the data set was asked.
        raise InputError(f"{name} has no split '{split}': {reason(error)}. {suggestion(split, splits)}") from None
    task.convert_v1_dataset_format_to_v2(num_proc=None)
    if subset not in task.dataset:
        raise InputError(f"{name} has no subset '{subset}'. {suggestion(subset, task.dataset)}")
    if split not in task.dataset[subset]:
        raise InputError(f"{name} has no split '{split}'. {suggestion(split, task.dataset[subset])}")
    return task.dataset[subset][split]


def split_of(task: Any, split: str, data: Any, relevance_level: int | None) -> Split:
    """The judged queries of what mteb loaded."""
    grades = {query: {doc: int(grade) for doc, grade in docs.items()} for query, docs in data["relevant_docs"].items()}
    level = level_of(task, split) if relevance_level is None else relevance_level
    part = Split(queries_of(data["queries"]), Qrels(grades, level), candidates=data["top_ranked"] or None)
    judged = np.flatnonzero([bool(grades.get(query)) for query in part.queries.ids])
    return part.take(judged)


def reason(error: Exception) -> str:
    """The message of an exception as one line, without a KeyError's quotes and the full stop."""
    return in_one_line(error.args[0] if error.args else error).rstrip(".")
