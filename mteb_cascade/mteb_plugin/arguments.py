"""Arguments of mteb's command as people write them to ours."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from mteb_cascade import spec as specs
from mteb_cascade.corpora.task_entry import is_beir
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.mteb_plugin.registry import MODELS, TASKS, add_folder

ALIASES = {"PythonDocs": "PythonDocsRetrieval"}
"""Names that our other commands take for a task, and mteb's."""


def understood(arguments: Sequence[str]) -> list[str]:
    """The arguments with every BEIR folder among the tasks registered, and its name in its place.

    Raises:
        InputError: A model or task has a name that nobody knows; mteb would ask the hub, and end in a traceback.
    """
    read = []
    option = ""
    for one in arguments:
        if one.startswith("-"):
            option = one
            read.append(one)
        else:
            read.append({"-m": model, "--model": model, "-t": task, "--tasks": task}.get(option, str)(one))
    return read


def model(name: str) -> str:
    """A model's name: one of mteb's registry, which holds our specs, or what may be a hub id."""
    if name not in sys.modules[MODELS].MODEL_REGISTRY and "/" not in name:
        raise InputError(f"unknown model '{name}'. {suggestion(name, specs.catalogue()[0], 'Known here')}")
    return name


def task(name: str) -> str:
    """A task's name, or that of the task which a folder becomes here."""
    tasks = sys.modules[TASKS]
    name = ALIASES.get(name, name)
    if is_beir(Path(name).expanduser()):
        return add_folder(Path(name), tasks)
    if name in tasks._TASKS_REGISTRY or name in tasks._TASK_RENAMES:
        return name
    if "/" in name:
        raise InputError(f"{name}: there is no such BEIR folder; expected corpus.jsonl, queries.jsonl and qrels/ there")
    close = suggestion(name, tasks._TASKS_REGISTRY).rpartition(". ")[2]
    hint = close if close.startswith("Did you mean") else "`mteb available-tasks` lists mteb's"
    raise InputError(f"unknown task '{name}': expected a task of mteb or the path of a BEIR folder. {hint}")
