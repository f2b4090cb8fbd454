"""From a spec's [training] table to the model folder beside it."""

from __future__ import annotations

import importlib
import inspect
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

from mteb_cascade import spec as specs
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.progress import Progress, silent
from mteb_cascade.spec import Spec, SpecError
from mteb_cascade.stages.files import digests, model_files
from mteb_cascade.stages.load import problem

RECIPES = {
    "static": "mteb_cascade.training.static:train_static",
    "interaction": "mteb_cascade.training.reranker:train_reranker",
    "idf": "mteb_cascade.training.idf:train_idf",
}
"""{recipe: function(collection, [base,] folder, *, ...)}; its keyword parameters are the keys of the table."""


def train(name: str, *, seed: int | None = None, folder: Path | None = None, progress: Progress = silent) -> Path:
    """Train the model of a spec.

    Args:
        name: The spec's name.
        seed: Instead of the table's.
        folder: Instead of the spec's own.
        progress: Told as the training goes.

    Returns:
        The model's folder: whole, or as it was before.

    Raises:
        InputError: No such spec, no [training] table, or mistakes in it; a base that is not trained yet.
    """
    spec = specs.required(name)
    recipe, options = checked(spec)
    if seed is not None:
        options["seed"] = seed
    folder = folder or spec.weights
    collection = load_collection(options.pop("collection", "PythonDocs"), "train")
    base = [base_folder(spec, options.pop("base"))] if "base" in options else []
    beside, before = (folder.with_name(f".{folder.name}.{os.getpid()}.{what}") for what in ("new", "old"))
    try:
        recipe(collection, *base, beside, progress=progress, **options)
        if folder.exists():
            folder.rename(before)
        beside.rename(folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(before, ignore_errors=True)
    digests(model_files(folder))
    return folder


def checked(spec: Spec) -> tuple[Callable[..., None], dict[str, Any]]:
    """The recipe's function and its options.

    Raises:
        SpecError: With every mistake in the table.
    """
    options = dict(spec.training)
    if not options:
        raise SpecError(spec.path, ["has no [training] table, so there is nothing to train"])
    name = options.pop("recipe", None)
    if name not in RECIPES:
        raise SpecError(spec.path, [f"[training] recipe: unknown recipe {name!r}. {suggestion(str(name), RECIPES)}"])
    module, attribute = RECIPES[name].split(":")
    recipe: Callable[..., None] = getattr(importlib.import_module(module), attribute)
    hints = get_type_hints(recipe)
    signature = inspect.signature(recipe).parameters
    known = {p.name: hints[p.name] for p in signature.values() if p.kind is p.KEYWORD_ONLY and p.name != "progress"}
    known |= {"collection": str} | ({"base": str} if "base" in signature else {})
    mistakes = [
        f"[training] unknown key '{key}' of recipe '{name}'. {suggestion(key, known)}"
        if key not in known
        else f"[training] {key}: {text}"
        for key, value in options.items()
        if (text := problem(known[key], value) if key in known else "unknown")
    ]
    if "base" in known and "base" not in options:
        mistakes.append(f"[training] base: missing; recipe '{name}' starts from a trained model")
    if mistakes:
        raise SpecError(spec.path, mistakes)
    return recipe, options


def base_folder(spec: Spec, name: str) -> Path:
    """The folder of the model that training starts from."""
    base = specs.required(name)
    if not base.weights.is_dir():
        raise InputError(
            f"{specs.shown(spec.path)}: [training] base: no weights in {specs.shown(base.weights)}; "
            f"train it with `mteb-cascade train {name}`"
        )
    return base.weights
