"""From what a person types to collections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mteb_cascade.corpora import twins
from mteb_cascade.corpora.collection import Collection, Split, main_of
from mteb_cascade.corpora.dev_split import TRAIN, cut, parsed
from mteb_cascade.errors import InputError, suggestion


def load(
    task: str | Path,
    split: str | None = None,
    *,
    subset: str | None = None,
    relevance_level: int | None = None,
    allow_empty: bool = False,
) -> Collection:
    """PythonDocs, a BEIR folder, or one subset of a task of mteb.

    Args:
        task: `PythonDocs` (or its task's name), the path of a folder, or a name that mteb knows.
        split: The split that has to be there, or the name of a part of one, such as `test[dev=.2,seed=0]`,
            `dev[5000,seed=0 of train]` or `test[untwinned]`; the collection's `default_split` where none is named.
        subset: hf_subset of a multilingual task.
        relevance_level: A grade of at least this is relevant; by default what the folder's task.toml says, what is
            known of the task, or 1.
        allow_empty: Accept a folder's documents without text.

    Raises:
        InputError: There is no such collection or split, or it has several subsets and none is named.
    """
    subsets = [] if subset is None else [subset]
    found = load_subsets(task, split, subsets=subsets, relevance_level=relevance_level, allow_empty=allow_empty)
    if len(found) > 1:
        raise InputError(f"{task} has several subsets: {', '.join(one.subset for one in found)}; name one")
    return found[0]


def load_subsets(
    task: str | Path,
    split: str | None = None,
    *,
    subsets: Sequence[str] = (),
    relevance_level: int | None = None,
    allow_empty: bool = False,
) -> list[Collection]:
    """As `load`, one collection a subset; all subsets of the task where none is named."""
    if relevance_level is not None and relevance_level < 1:
        raise InputError(f"relevance level: expected at least 1, got {relevance_level}; grade 0 means not relevant")
    name = str(task)
    if name in ("PythonDocs", "PythonDocsRetrieval"):
        from mteb_cascade.corpora import pythondocs

        collections = [pythondocs.load().at_level(relevance_level or 1)]
    elif Path(name).expanduser().is_dir():
        collections = [folder(Path(name).expanduser(), relevance_level, allow_empty)]
    elif "/" in name or isinstance(task, Path):
        raise InputError(f"{name}: there is no such folder; expected a BEIR folder or the name of a task")
    else:
        from mteb_cascade.corpora import mteb_task

        collections = mteb_task.load(name, split and whole_of(split), subsets=subsets, relevance_level=relevance_level)
    held = [collection.subset for collection in collections]
    for subset in subsets:
        if subset not in held:
            raise InputError(f"{collections[0].name} has no subset '{subset}'. {suggestion(subset, held)}")
    if split:
        collections = [with_part(collection, split, name) for collection in collections]
    for collection in collections:
        collection.split(split or collection.default_split)
    return collections


def whole_of(split: str) -> str:
    """The split that a part, or a part of a part, was taken from; any other as it is."""
    part = parsed(split)
    whole = part[0] if part else twins.whole_of(split)
    return whole_of(whole) if whole else split


def with_part(collection: Collection, split: str, name: str) -> Collection:
    """The collection with this split too, where it is a part of another one; `name` is what was asked for."""
    if split in collection.splits:
        return collection
    if part := parsed(split):
        return cut(with_part(collection, part[0], name), *part)[0]
    if whole := twins.whole_of(split):
        return twins.untwinned(with_part(collection, whole, name), whole, train_split(collection, name))
    return collection


def train_split(collection: Collection, name: str) -> Split:
    """The training queries of a collection, fetched where it is a task of mteb, which brings one split at a time."""
    if collection.task_metadata is None or TRAIN in collection.splits:
        return collection.split(TRAIN)
    from mteb_cascade.corpora import mteb_task

    return mteb_task.load_split(name, TRAIN, subset=collection.subset)


def folder(path: Path, relevance_level: int | None, allow_empty: bool) -> Collection:
    """A BEIR folder, as its task.toml describes it where it has one."""
    from mteb_cascade.corpora import beir
    from mteb_cascade.corpora.task_entry import FILE, TaskEntry

    collection = beir.load(path, relevance_level=relevance_level or 1, allow_empty=allow_empty)
    if not (path / FILE).is_file():
        return collection
    entry = TaskEntry.of(path)
    described = replace(
        collection,
        name=entry.name,
        main_split=main_of(entry.splits),
        ignore_identical_ids=entry.ignore_identical_ids,
    )
    return described.at_level(relevance_level or entry.relevance_level)
