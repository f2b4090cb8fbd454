"""What models are compared on: a task's collections, and its name on the public leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Collection, main_of
from mteb_cascade.corpora.load import load_subsets
from mteb_cascade.corpora.task_entry import FILE, TaskEntry
from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.studies.comparing.comparison import Task

PYTHONDOCS = "PythonDocsRetrieval"


@dataclass(frozen=True)
class AskedTask:
    """A task as it was typed, its texts not yet looked at.

    Args:
        name: PythonDocs, a folder, or the name of a task of mteb.
        published: Its name on the public leaderboard; "" of a folder that does not say.
        label: What a table calls it where its texts are not read.
        main_split: The split that is meant where none is named.
    """

    name: str
    published: str
    label: str
    main_split: str

    @property
    def remedy(self) -> str:
        """How to say which published task a folder is."""
        return f'{shown(Path(self.name).expanduser())}: add published = "NAME" to its {FILE}, such as "SciFact"'


def source_of(name: str) -> AskedTask:
    """A task by what a person typed.

    Raises:
        InputError: There is no such task or folder, or its task.toml has mistakes.
    """
    folder = Path(name).expanduser()
    if name in ("PythonDocs", PYTHONDOCS):
        return AskedTask(name, PYTHONDOCS, "PythonDocs", "test")
    if folder.is_dir() and not (folder / FILE).is_file():
        return AskedTask(name, "", folder.name, "test")
    if folder.is_dir():
        entry = TaskEntry.of(folder)
        return AskedTask(name, entry.published, entry.name, main_of(entry.splits))
    if "/" in name:
        raise InputError(f"{name}: there is no such folder; expected a BEIR folder or the name of a task")
    from mteb_cascade.corpora.mteb_task import task_of

    task = task_of(name)
    base = getattr(task, "base", task)
    published = getattr(base, "entry", None)
    return AskedTask(
        name,
        published.published if published is not None else base.metadata.name,
        task.metadata.name,
        main_of(task.metadata.eval_splits),
    )


@dataclass(frozen=True, eq=False)
class Compared:
    """A task with its texts, or without them where all figures are published ones.

    Args:
        task: What the comparison keeps of it.
        source: As it was typed.
        parts: One collection a subset.
    """

    task: Task
    source: AskedTask
    parts: tuple[Collection, ...] = ()

    @property
    def weights(self) -> NDArray[np.float64]:
        """float64 [Q], 1 on average: what a query counts, so that each subset counts the same."""
        sizes = [len(part.split(self.task.split).queries) for part in self.parts]
        share = sum(sizes) / len(sizes)
        return np.concatenate([np.full(size, share / size) for size in sizes])

    @property
    def clusters(self) -> list[str] | None:
        """A cluster a query, over all subsets; None where queries are independent."""
        if not self.task.clusters:
            return None
        found: list[str] = []
        for part in self.parts:
            split = part.split(self.task.split)
            found += [f"{part.subset} {name}" for name in split.clusters or split.queries.ids]
        return found


def described(source: AskedTask, split: str | None, subsets: Sequence[str], level: int | None) -> Compared:
    """A task whose texts are not read, at the level of published figures where no other is asked for."""
    split = split or source.main_split
    return Compared(Task(source.label, split, tuple(subsets), 0, level or 1, None, False, source.published), source)


def loaded(
    source: AskedTask, split: str | None, subsets: Sequence[str], relevance_level: int | None, allow_empty: bool
) -> Compared:
    """A task with its texts.

    Raises:
        InputError: It lacks the split or a subset, its texts are not to be had, or there is no query.
    """
    parts = load_subsets(source.name, split, subsets=subsets, relevance_level=relevance_level, allow_empty=allow_empty)
    split = split or parts[0].default_split
    held = [part.split(split) for part in parts]
    for part, one in zip(parts, held, strict=True):
        if not len(one.queries):
            raise InputError(f"{part.title}, {split}: has no queries")
    counts = [one.qrels.relevant_counts(one.queries.ids) for one in held]
    highest = [float(np.where(count > 0, 1 / np.maximum(count, 1), 0).mean()) for count in counts]
    task = Task(
        parts[0].name,
        split,
        tuple(part.subset for part in parts),
        sum(len(one.queries) for one in held),
        held[0].qrels.relevance_level,
        float(np.mean(highest)),
        any(one.clusters is not None for one in held),
        source.published,
    )
    return Compared(task, source, tuple(parts))
