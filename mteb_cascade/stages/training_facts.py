"""What a model was trained on and made from, as far as its spec and those of its bases say."""

from __future__ import annotations

from pathlib import Path

from mteb_cascade import spec as specs
from mteb_cascade.corpora.task_entry import TaskEntry
from mteb_cascade.errors import InputError
from mteb_cascade.spec import NAME, Spec
from mteb_cascade.stages.weights import is_path

SCRATCH = "scratch"
"""The base that is no model yet."""


def trained_on(spec: Spec, *, by_card: bool = True, above: tuple[Path, ...] = ()) -> set[str] | None:
    """Collections that a model, and every base of it that is a spec, learned from; None where one is not known.

    What a base on the hub learned from is known to mteb, which is told of the base.

    Args:
        spec: The model's.
        by_card: Whether the spec's own [card] has the last word.
        above: Specs that this one is a base of.

    Returns:
        Names as mteb has them.
    """
    stated = spec.card.get("training_datasets")
    if by_card and isinstance(stated, list):
        return set(map(str, stated))
    if not spec.training or spec.path in above:
        return None
    own = collection_of(spec)
    if own is None:
        return None
    base = base_of(spec)
    if isinstance(base, Spec):
        before = trained_on(base, above=(*above, spec.path))
        return None if before is None else {own} | before
    return None if base and is_path(base) else {own}


def collection_of(spec: Spec) -> str | None:
    """The collection of a [training] table by the name that mteb has for it; None where there is none."""
    name = spec.training.get("collection")
    if not isinstance(name, str):
        return None
    if name in ("PythonDocs", "PythonDocsRetrieval"):
        return "PythonDocsRetrieval"
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return folder.name
    try:
        return TaskEntry.of(folder).name
    except InputError:
        return folder.name


def base_of(spec: Spec) -> Spec | str | None:
    """What a model's training began with: a spec, a hub id or a folder; None where it began with nothing."""
    base = spec.training.get("base")
    if not isinstance(base, str) or base == SCRATCH:
        return None
    if is_path(base) or not NAME.fullmatch(base):
        return base
    beside = spec.path.parent / f"{base}.toml"
    try:
        # Not the whole catalogue where the file next to it will do: mteb's import waits for this.
        return (specs.read(beside) if beside.is_file() else None) or specs.find(base) or base
    except InputError:
        return base


def adapted_from(spec: Spec, above: tuple[Path, ...] = ()) -> str | None:
    """The published model that a model was made from: the nearest base that has an organisation's name."""
    base = base_of(spec)
    if isinstance(base, str):
        return None if is_path(base) else base
    if base is None or base.path in above:
        return None
    return adapted_from(base, (*above, spec.path)) if base.name.startswith("local/") else base.name
