"""From what a person types to a collection."""

from __future__ import annotations

from pathlib import Path

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.errors import InputError


def load(
    task: str | Path, split: str = "test", *, relevance_level: int | None = None, allow_empty: bool = False
) -> Collection:
    """PythonDocs, a BEIR folder, or a task of mteb.

    Args:
        task: `PythonDocs` (or its task's name), the path of a folder, or a name that mteb knows.
        split: The split that has to be there.
        relevance_level: A grade of at least this is relevant; 1 unless said.
        allow_empty: Accept a folder's documents without text.

    Raises:
        InputError: There is no such collection or split.
    """
    level = 1 if relevance_level is None else relevance_level
    name = str(task)
    if name in ("PythonDocs", "PythonDocsRetrieval"):
        from mteb_cascade.corpora import pythondocs

        collection = pythondocs.load().at_level(level)
    elif Path(name).expanduser().is_dir():
        from mteb_cascade.corpora import beir

        collection = beir.load(Path(name).expanduser(), relevance_level=level, allow_empty=allow_empty)
    elif "/" in name or isinstance(task, Path):
        raise InputError(f"{name}: there is no such folder; expected a BEIR folder or the name of a task")
    else:
        from mteb_cascade.corpora import mteb_task

        collection = mteb_task.load(name, split, relevance_level=level)
    collection.split(split)
    return collection
