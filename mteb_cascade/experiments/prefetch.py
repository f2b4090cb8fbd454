"""All that a run needs, fetched beforehand: a node without network then runs with HF_HUB_OFFLINE=1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mteb_cascade.corpora.task_entry import TaskEntry
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.download import Download
from mteb_cascade.stages.load import resolved
from mteb_cascade.stages.weights import offline


@dataclass(frozen=True)
class Fetched:
    """What became of one download.

    Args:
        what: Its name.
        before: Bytes on this disk beforehand.
        size: Bytes on this disk now; 0 where nobody counts them.
        problem: Why it is not here; "" where it is.
    """

    what: str
    before: int = 0
    size: int = 0
    problem: str = ""

    @property
    def state(self) -> str:
        """In words, with the size where it is known.

        >>> Fetched("weights of org/model", 0, 90_900_000).state, Fetched("data of SciFact", 5_000, 5_000).state
        ('fetched, 90.9 MB', 'here already, 0.0 MB')
        """
        if self.problem:
            return "missing"
        word = "fetched" if self.size > self.before else "here already"
        return f"{word}, {self.size / 1e6:,.1f} MB" if self.size else word


def prefetch(names: Sequence[str | Stage], tasks: Sequence[str | Path] = ()) -> Iterator[Fetched]:
    """Fetch the weights of models and of all their parts, prebuilt indexes, and the data of tasks.

    Args:
        names: Models by name, folder or hub id, or stages.
        tasks: As for an evaluation; every split that mteb evaluates is fetched.

    Yields:
        What became of each; one that fails does not keep the next from being fetched.

    Raises:
        InputError: Before anything is fetched: a model or a task is unknown, or a spec has mistakes; all are named.
    """
    for download in wanted(names, tasks):
        before = download.size
        problem = attempted(download)
        yield Fetched(download.what, before, download.size, problem)


def wanted(names: Sequence[str | Stage], tasks: Sequence[str | Path] = ()) -> list[Download]:
    """Every download once, models before tasks; needs no network.

    Raises:
        InputError: A model or a task is unknown, or a spec has mistakes; all are named together.
    """
    found: list[Download] = []
    mistakes: list[str] = []
    for name in names:
        try:
            found += resolved(name, device=None, fetch=False, above=()).downloads()
        except InputError as error:
            mistakes.append(str(error))
    for task in tasks:
        try:
            found.append(data_of(str(task)))
        except InputError as error:
            mistakes.append(str(error))
    if mistakes:
        raise InputError("\n".join(dict.fromkeys(mistakes)))
    return list({download.what: download for download in found}.values())


def data_of(task: str) -> Download:
    """The data of a task; a BEIR folder and PythonDocs are here already.

    Raises:
        InputError: There is no such task or folder.
    """
    folder = Path(task).expanduser()
    if folder.is_dir():
        return Download(f"data of {task}", partial(TaskEntry.of, folder), folder)
    if "/" in task:
        raise InputError(f"{task}: there is no such folder; expected a BEIR folder or the name of a task")
    if task in ("PythonDocs", "PythonDocsRetrieval"):
        return Download(f"data of {task}", lambda: None)
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    from mteb_cascade.corpora.mteb_task import task_of

    known = task_of(task)
    name = repo_folder_name(repo_id=known.metadata.dataset["path"], repo_type="dataset")
    return Download(f"data of {task}", partial(loaded_once, known), Path(constants.HF_HUB_CACHE) / name / "snapshots")


def loaded_once(task: Any) -> None:
    """Have mteb load a task's evaluation splits, which fetches them, and forget them again."""
    task.load_data()
    task.unload_data()


def attempted(download: Download) -> str:
    """Fetch; why it failed, in one line, or ""."""
    try:
        download.fetch()
    except InputError as error:
        return str(error)
    except Exception as error:  # whatever a hub's client, a dataset's reader or the disk says: the next is still tried
        reason = in_one_line(error)[:300]
        remedy = "; HF_HUB_OFFLINE is set, fetch it on a machine with network" if offline() else ""
        return f"{download.what}: {type(error).__name__}: {reason}{remedy}"
    return ""
