"""Adds our models and tasks to mteb's registries; nothing that mteb has is ever replaced."""

from __future__ import annotations

import importlib
import sys
import warnings
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from mteb_cascade import spec as specs
from mteb_cascade.errors import InputError

if TYPE_CHECKING:
    from mteb.models import ModelMeta

MODELS, TASKS = "mteb.models.model_implementations", "mteb.get_tasks"


def register() -> None:
    """Add every spec and task of ours to mteb's registries; calling it again adds what is new."""
    for name in (MODELS, TASKS):
        # mteb.get_tasks is also the name of a function that hides the module: ask the import system.
        importlib.import_module(name)
        add_to(sys.modules[name])


def add_to(module: ModuleType) -> None:
    """Add to one of mteb's two registry modules, which has just been imported."""
    if module.__name__ == MODELS:
        add_models(module.MODEL_REGISTRY)
    else:
        add_tasks(module)


def add_models(registry: dict[str, ModelMeta]) -> None:
    """Every spec, under its short name and under org/name; a broken one is there too and says so when it is loaded."""
    found, errors = specs.catalogue()
    metas: dict[str, ModelMeta] = {}
    owners: dict[str, specs.Spec] = {}
    # A file that is called as its model is comes first: a copy under another file's name does not break it.
    by_right = sorted(found.items(), key=lambda item: item[1].name.split("/")[-1] != item[0])
    for short_name, spec in by_right:
        owner = owners.setdefault(spec.name, spec)
        taken_by = "" if owner is spec else specs.shown(owner.path)
        if spec.name in registry and not is_ours(registry[spec.name]):
            taken_by = "a model of mteb"
        if taken_by:
            reason = f"name: '{spec.name}' is the name of {taken_by} already; give this one its own"
            metas[short_name] = broken(f"local/{short_name}", f"{specs.shown(spec.path)}: {reason}")
        else:
            metas[short_name] = metas[spec.name] = meta_of(spec)
    for error in errors:
        name = error.path.stem
        metas[name] = broken(f"local/{name}", str(error))
        metas.setdefault(f"local/{name}", metas[name])
    for name, meta in metas.items():
        if name not in registry or is_ours(registry[name]):
            registry[name] = meta


def add_tasks(module: ModuleType) -> None:
    """Our tasks, findable by name; mteb's own lists stay as they are.

    A cascade task is of the same data as its base task, and mteb is told so: a model trained on the one is not
    zero-shot on the other.
    """
    from mteb_cascade.mteb_plugin.beside_results import watch
    from mteb_cascade.mteb_plugin.cascade_tasks import BASES
    from mteb_cascade.mteb_plugin.folder_tasks import folders
    from mteb_cascade.mteb_plugin.tasks import TASKS

    watch()
    for task in TASKS:
        module._TASKS_REGISTRY.setdefault(task.metadata.name, task)
    for base, name in BASES.items():
        if name not in module._TASKS_REGISTRY and base in module._TASKS_REGISTRY:
            add_cascade(module._TASKS_REGISTRY[base], name, module)
    found, mistakes = folders()
    for folder in found:
        try:
            add_folder(folder, module)
        except InputError as error:
            mistakes.append(str(error))
    for mistake in mistakes:
        warnings.warn(mistake, stacklevel=2)


def add_folder(folder: Path, module: ModuleType) -> str:
    """A BEIR folder as a task, and its cascade task.

    Returns:
        The task's name: the folder's, with "Folder" after it where mteb or we have a task of that name already.

    Raises:
        InputError: It is no BEIR folder, its task.toml has mistakes, or another folder has its name.
    """
    from mteb_cascade.mteb_plugin.folder_tasks import FolderTask, folder_task

    def holders(name: str) -> list[Any]:
        """The tasks that have this name, or that of its cascade task."""
        tasks = module._TASKS_REGISTRY
        return [tasks[one] for one in (name, f"{name}Cascade") if one in tasks]

    task = folder_task(folder)
    if not all(issubclass(one, FolderTask) for one in holders(task.metadata.name)):
        task = folder_task(folder, suffix="Folder")
        note_similar(task.entry.name, task.metadata.name, module)
    name: str = task.metadata.name
    for one in holders(name):
        if not one.entry.folder.samefile(task.entry.folder):
            raise InputError(
                f"{folder}: '{name}' is the name of {one.entry.folder} already; give one of them another name in its "
                "task.toml"
            )
    module._TASKS_REGISTRY[name] = task
    add_cascade(task, f"{name}Cascade", module)
    return name


def add_cascade(base: type[Any], name: str, module: ModuleType) -> None:
    """The cascade task of a base task."""
    from mteb_cascade.mteb_plugin.cascade_tasks import cascade_of

    module._TASKS_REGISTRY[name] = cascade_of(base, name)
    note_similar(base.metadata.name, name, module)


def note_similar(base: str, name: str, module: ModuleType) -> None:
    """Tell mteb that one task is of the same data as another, so that who trained on either is zero-shot on neither."""
    similar = module._SIMILAR_TASKS[base]
    if name not in similar:
        similar.append(name)


def is_ours(meta: ModelMeta) -> bool:
    """Whether a registry entry was made here."""
    function = getattr(meta.loader, "func", meta.loader)
    return str(getattr(function, "__module__", "")).startswith("mteb_cascade.")


def meta_of(spec: specs.Spec) -> ModelMeta:
    """The spec's ModelMeta; one whose loader says what is wrong where anything is: one model never hides another."""
    from mteb_cascade.mteb_plugin.loader import loaded
    from mteb_cascade.stages.load import build
    from mteb_cascade.stages.model_meta import model_meta_of

    try:
        meta = model_meta_of(build(spec, fetch=False))
    except InputError as error:
        return broken(spec.name, str(error))
    except Exception as error:  # such as a damaged weights file, or a kind's missing dependency
        return broken(spec.name, f"{specs.shown(spec.path)}: {type(error).__name__}: {error}")
    return meta.model_copy(update={"loader": loaded})


def broken(name: str, reason: str) -> ModelMeta:
    """A model that says what is wrong with it when it is loaded."""
    from mteb.models.model_meta import ModelMeta

    from mteb_cascade.mteb_plugin.loader import refused

    return ModelMeta.create_empty({"name": name, "loader": partial(refused, reason=reason)})
