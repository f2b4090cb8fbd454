"""From a spec's [training] table to the model folder beside it."""

from __future__ import annotations

import importlib
import inspect
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
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
    "static": "mteb_cascade.training.recipes.static:train_static",
    "interaction": "mteb_cascade.training.recipes.reranker:train_reranker",
    "idf": "mteb_cascade.training.recipes.idf:train_idf",
}
"""{recipe: function(collection, [base,] folder, *, ...)}; its keyword parameters are the keys of the table. A table
without a recipe is trained by sentence-transformers' trainer of the spec's kind."""

RECORDS = Path("results/training")
"""Where a run leaves what is to be read, in a folder of the spec's name."""


def train(
    name: str,
    *,
    seed: int | None = None,
    folder: Path | None = None,
    overrides: Mapping[str, Any] | None = None,
    restart: bool = False,
    progress: Progress = silent,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Train the model of a spec; a run that was killed goes on from its last checkpoint.

    Args:
        name: The spec's name.
        seed: Instead of the table's.
        folder: Instead of the spec's own.
        overrides: Values instead of the table's; the key of a sub-table is written "mining.depth".
        restart: Throw away what a killed run has trained.
        progress: Told as the training goes.
        say: Told how it ended, line by line.

    Returns:
        The model's folder: whole, or as it was before.

    Raises:
        InputError: No such spec, no [training] table, or mistakes in it; a base that is not trained yet.
    """
    spec = trainable(name, seed=seed, overrides=overrides)
    folder = folder or spec.weights
    if "recipe" in spec.training:
        beside, before = (folder.with_name(f".{folder.name}.{os.getpid()}.{what}") for what in ("new", "old"))
        try:
            by_recipe(spec, beside, progress)
            put_in_place(beside, folder, before)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(before, ignore_errors=True)
    else:
        by_trainer(spec, folder, restart=restart, progress=progress, say=say)
    digests(model_files(folder))
    return folder


def by_trainer(spec: Spec, folder: Path, *, restart: bool, progress: Progress, say: Callable[[str], None]) -> None:
    """Train with sentence-transformers' trainer of the spec's kind."""
    from mteb_cascade.training.fit import fit
    from mteb_cascade.training.prepared import checked as options_of
    from mteb_cascade.training.quiet import quiet
    from mteb_cascade.training.steps.alone import alone
    from mteb_cascade.training.steps.ranks import is_main, wait_for_everyone

    own = folder == spec.weights
    records = RECORDS / spec.short_name if own else folder.with_name(f"{folder.name}.records")
    kept, options = training_folder(folder), options_of(spec)
    # In the training folder, so that what a killed run left of them goes with it.
    beside, before = kept / "finished", kept / "before"
    with quiet(), alone(kept, specs.shown(spec.path)):
        try:
            fit(spec, options, beside, kept, records, restart=restart, progress=progress, say=say)
            if is_main():
                shutil.rmtree(before, ignore_errors=True)
                put_in_place(beside, folder, before)
                shutil.rmtree(kept, ignore_errors=True)
            # The others find the model where it belongs.
            wait_for_everyone()
        finally:
            if is_main():
                shutil.rmtree(beside, ignore_errors=True)


def put_in_place(beside: Path, folder: Path, before: Path) -> None:
    """Let a finished model take the place of one that may be there."""
    if folder.exists():
        folder.rename(before)
    beside.rename(folder)


def trainable(name: str, *, seed: int | None = None, overrides: Mapping[str, Any] | None = None) -> Spec:
    """The spec of this name, with these values in its `[training]` table.

    Raises:
        InputError: There is no such spec.
        SpecError: It has no `[training]` table, or a sub-table that is overridden is none.
    """
    spec = specs.required(name)
    if not spec.training:
        raise SpecError(spec.path, ["has no [training] table, so there is nothing to train"])
    table = dict(spec.training)
    for key, value in [*(overrides or {}).items(), *([] if seed is None else [("seed", seed)])]:
        outer, dot, inner = key.partition(".")
        if dot and not isinstance(table.get(outer, {}), Mapping):
            raise SpecError(spec.path, [f"[training] {outer}: expected a table, so that '{key}' can be set"])
        table[outer] = {**table.get(outer, {}), inner: value} if dot else value
    return replace(spec, training=table)


def training_folder(folder: Path) -> Path:
    """Where a model's checkpoints are while it is trained: beside its own folder."""
    return folder.with_name(f".{folder.name}.training")


def by_recipe(spec: Spec, folder: Path, progress: Progress) -> None:
    """Train with one of `RECIPES`."""
    recipe, options = checked(spec)
    collection = load_collection(options.pop("collection", "PythonDocs"), "train")
    base = [base_folder(spec, options.pop("base"))] if "base" in options else []
    recipe(collection, *base, folder, progress=progress, **options)


def checked(spec: Spec) -> tuple[Callable[..., None], dict[str, Any]]:
    """The recipe's function and its options.

    Raises:
        SpecError: With every mistake in the table.
    """
    options = dict(spec.training)
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
