"""A retrieval task of mteb as a collection; imports mteb, so only when one is asked for."""

from __future__ import annotations

from typing import Any

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.mteb_rows import corpus_of, queries_of
from mteb_cascade.errors import InputError
from mteb_cascade.values.qrels import Qrels


def load(name: str, split: str = "test", *, subset: str = "default", relevance_level: int = 1) -> Collection:
    """Load one split of a task of mteb's registry.

    Args:
        name: The task's name.
        split: The split to load.
        subset: Its hf_subset.
        relevance_level: A grade of at least this is relevant.

    Raises:
        InputError: mteb has no such task, it is no retrieval task, or it lacks the subset.
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
    return collection_of(task, split, subset=subset, relevance_level=relevance_level)


def collection_of(task: Any, split: str, *, subset: str = "default", relevance_level: int = 1) -> Collection:
    """One split of an mteb retrieval task; its data are loaded if they are not yet.

    Raises:
        InputError: The data are not to be had, or lack the subset or the split.
    """
    task.filter_eval_splits([split])
    try:
        task.load_data()
    except OSError as error:
        raise InputError(f"{task.metadata.name}: its data cannot be read or fetched: {error}") from None
    task.convert_v1_dataset_format_to_v2(num_proc=None)
    if subset not in task.dataset:
        raise InputError(f"{task.metadata.name} has no subset '{subset}'; it has {', '.join(task.dataset)}")
    if split not in task.dataset[subset]:
        raise InputError(f"{task.metadata.name} has no split '{split}'; it has {', '.join(task.dataset[subset])}")
    data = task.dataset[subset][split]
    if data["top_ranked"]:
        raise InputError(
            f"{task.metadata.name} is a reranking task with candidates of its own: run it with `mteb run -m NAME -t "
            f"{task.metadata.name}`; here whole corpora are searched"
        )
    grades = {query: {doc: int(grade) for doc, grade in docs.items()} for query, docs in data["relevant_docs"].items()}
    return Collection(
        task.metadata.name,
        corpus_of(data["corpus"]),
        {split: Split(queries_of(data["queries"]), Qrels(grades, relevance_level))},
        revision=str(task.metadata.dataset["revision"]),
        ignore_identical_ids=task.ignore_identical_ids,
    )
