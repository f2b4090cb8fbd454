"""The result files of a model, as mteb lays them out: results/<org__name>/<revision>/<Task>.json."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mteb_cascade.corpora.query_figures import BESIDE
from mteb_cascade.errors import InputError
from mteb_cascade.publish.leaderboard import EXPERIMENTS, META
from mteb_cascade.publish.publication import Fault, Found
from mteb_cascade.spec import Spec, shown
from mteb_cascade.stages.provenance import is_record


class NoResultError(InputError):
    """There is nothing of a model to publish."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(str(fault))


@dataclass(frozen=True)
class OfModel:
    """What a results folder holds of one model.

    Args:
        plain: At the wanted revision.
        experiments: Of overrides of that model.
        others: {revision: its tasks} of what is there besides.
    """

    plain: tuple[Found, ...]
    experiments: tuple[Found, ...]
    others: dict[str, tuple[str, ...]]


def roots(folder: Path) -> list[Path]:
    """The folders that hold models: the given one and its results/, where `mteb run` writes by default."""
    return [one for one in (folder, folder / "results") if any(models(one))]


def models(root: Path) -> Iterator[Path]:
    """The model folders of a results folder: org__name, with a revision in it that holds a JSON file."""
    for folder in sorted(root.glob("*__*")) if root.is_dir() else ():
        if any(folder.glob("*/*.json")) or any(folder.glob(f"*/{EXPERIMENTS}/*/*.json")):
            yield folder


def found(folder: Path, spec: Spec, fingerprint: str, overridden: Callable[[Mapping[str, Any]], str]) -> OfModel:
    """The results of a spec's model, filed under its name or, from before it had one, under local/<short name>.

    Args:
        folder: A results folder; its results/ is looked into as well.
        spec: The model's.
        fingerprint: The revision that the model has now.
        overridden: The one that it has with these overrides.

    Raises:
        NoResultError: There is no such folder, it is empty, or it holds other models only.
    """
    names = [spec.name.replace("/", "__"), f"local__{spec.short_name}"]
    held = [model for root in roots(folder) for model in models(root)]
    own = [model for name in dict.fromkeys(names) for model in held if model.name == name]
    if not own:
        there = ", ".join(dict.fromkeys(model.name.replace("__", "/", 1) for model in held))
        what = f"no result of {spec.name}, only of {there}" if held else "no result of mteb's in it"
        raise NoResultError(
            Fault(
                shown(folder),
                what if folder.is_dir() else "there is no such folder",
                f"Run `mteb run -m {spec.short_name} -t TASK --output-folder .`, or name its results folder with -r",
            )
        )
    every = [one for model in own for revision in sorted(model.iterdir()) for one in of_revision(revision)]
    plain = [one for one in every if one.experiment is None and one.revision == fingerprint]
    experiments = [one for one in every if one.experiment is not None and is_of(one, overridden)]
    others: dict[str, list[str]] = {}
    for one in every:
        if one not in plain and one not in experiments:
            others.setdefault(one.revision, []).append(one.task)
    left = {revision: tuple(dict.fromkeys(tasks)) for revision, tasks in others.items()}
    return OfModel(tuple(plain), tuple(experiments), left)


def is_of(experiment: Found, overridden: Callable[[Mapping[str, Any]], str]) -> bool:
    """Whether an experiment is of the model as it is now: its revision is the one with these overrides."""
    meta = json_of(experiment.path.parent / META)
    overrides = meta.get("experiment_kwargs") if isinstance(meta, dict) else None
    return isinstance(overrides, dict) and overridden(overrides) == experiment.revision


def of_revision(folder: Path) -> Iterator[Found]:
    """The results of one revision's folder, plain and of its experiments."""
    places = [(folder, None), *((one, one.name) for one in sorted((folder / EXPERIMENTS).glob("*")) if one.is_dir())]
    for place, experiment in places:
        for path in sorted(place.glob("*.json")):
            if path.name != META:
                record = provenance(path)
                yield Found(path, path.stem, folder.parent.name, folder.name, record, experiment)


def provenance(path: Path) -> dict[str, Any] | None:
    """What the evaluation wrote beside a result; None where it wrote nothing, or it is damaged."""
    record = json_of(path.parent / BESIDE / path.name)
    return record if is_record(record) else None


def json_of(path: Path) -> Any:
    """A JSON file's content; None where there is none or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):  # The last of thousands of brackets.
        return None
