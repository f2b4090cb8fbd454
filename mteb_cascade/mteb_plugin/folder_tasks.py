"""BEIR folders as tasks of mteb: those of `MTEB_CASCADE_DATASETS`, and any by its path in our own commands."""

from __future__ import annotations

import os
import warnings
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from mteb.abstasks.task_metadata import TaskMetadata
from pydantic import ValidationError

from mteb_cascade.corpora import beir
from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.corpus import digest_of
from mteb_cascade.corpora.task_entry import FILE, TaskEntry, is_beir
from mteb_cascade.errors import InputError
from mteb_cascade.mteb_plugin.tasks import CollectionTask

DATASETS = "MTEB_CASCADE_DATASETS"
"""Environment variable: BEIR folders, and folders of them, separated as in PATH."""


class FolderTask(CollectionTask):
    """A BEIR folder under mteb."""

    entry: TaskEntry
    relevance_level: int

    def collection(self) -> Collection:
        """The folder, read once in a state; documents without text are accepted, as mteb does, and counted."""
        return read(self.entry, state_of(self.entry.folder))


def state_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, time of change and size of each file of a BEIR folder."""
    stats = [(path.name, path.stat()) for path in sorted([*folder.glob("*.jsonl*"), *folder.glob("qrels/*.tsv")])]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in stats)


@lru_cache(maxsize=4)
def read(entry: TaskEntry, state: tuple[tuple[str, int, int], ...]) -> Collection:
    """The collection of a folder in this state of its files."""
    collection = beir.load(entry.folder, relevance_level=entry.relevance_level, allow_empty=True)
    empty = int((collection.corpus.texts.to_numpy(zero_copy_only=False) == "").sum())
    if empty:
        warnings.warn(f"{entry.folder}: {empty:,} documents have neither title nor text", stacklevel=2)
    return replace(
        collection,
        name=entry.name,
        revision=revision_of(collection, entry.ignore_identical_ids),
        ignore_identical_ids=entry.ignore_identical_ids,
    )


def revision_of(collection: Collection, ignore_identical_ids: bool) -> str:
    """Digest of all that decides a figure: texts, judgements, and what counts as relevant."""
    parts = [("corpus", collection.corpus.digest), ("ignore_identical_ids", str(ignore_identical_ids))]
    for name, split in collection.splits.items():
        parts += [(name, split.queries.digest), (name, str(split.qrels.relevance_level))]
        for query in split.queries.ids:
            parts += [(query, f"{grade} {document}") for document, grade in sorted(split.qrels.of(query).items())]
    return digest_of(parts)


def folders() -> tuple[list[Path], list[str]]:
    """Every BEIR folder that `MTEB_CASCADE_DATASETS` names, and what is wrong with it."""
    found: list[Path] = []
    mistakes = []
    for name in filter(None, os.environ.get(DATASETS, "").split(os.pathsep)):
        folder = Path(os.path.expanduser(name)).absolute()  # noqa: PTH111 - Path's own fails on an unknown ~user
        here = [one for one in (folder, *sorted(folder.glob("*/"))) if is_beir(one)]
        if not here:
            reason = "holds no BEIR folder" if folder.is_dir() else "is no folder"
            mistakes.append(f"{DATASETS}: {folder} {reason}; expected corpus.jsonl, queries.jsonl and qrels/ there")
        found += here
    return found, mistakes


def folder_task(folder: Path, suffix: str = "") -> type[FolderTask]:
    """The task of one BEIR folder; reads its task.toml and the names of its splits, nothing else.

    Args:
        folder: Where it is.
        suffix: Put after its name.

    Raises:
        InputError: It is no BEIR folder, or its task.toml has mistakes.
    """
    entry = TaskEntry.of(folder.expanduser())
    facts: dict[str, Any] = {
        "name": entry.name + suffix,
        "description": f"The BEIR folder {entry.name}.",
        "dataset": {"path": entry.name, "revision": "digest-of-the-text"},
        "type": "Retrieval",
        "category": "t2t",
        "modalities": ["text"],
        "eval_splits": list(entry.splits),
        "eval_langs": list(entry.languages),
        "main_score": "ndcg_at_10",
    }
    try:
        metadata = TaskMetadata(**facts)
    except ValidationError as error:
        reason = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise InputError(f"{entry.folder / FILE}: {reason}") from None
    described = {"metadata": metadata, "entry": entry, "__doc__": metadata.description}
    rules = {"relevance_level": entry.relevance_level, "ignore_identical_ids": entry.ignore_identical_ids}
    return type(entry.name + suffix, (FolderTask,), {**described, **rules})
