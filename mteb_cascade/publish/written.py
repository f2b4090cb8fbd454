"""A publication as a folder: results as mteb lays them out, the model card, and the ModelMeta as Python."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.errors import InputError
from mteb_cascade.publish import card
from mteb_cascade.publish.found import json_of
from mteb_cascade.publish.leaderboard import EXPERIMENTS, META
from mteb_cascade.publish.meta import with_beside
from mteb_cascade.publish.publication import Found, Publication
from mteb_cascade.publish.snippet import snippet
from mteb_cascade.publish.validation import mistakes
from mteb_cascade.spec import shown

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

SETTINGS = "run_settings.jsonl"
SNIPPET = "model_meta.py"


def write(publication: Publication, output: Path) -> Path:
    """Write a publication into output/NAME, whole or not at all; what was there is replaced.

    Returns:
        The folder.

    Raises:
        InputError: It has faults, or the folder is something else than an earlier publication.
    """
    if publication.faults:
        raise InputError("\n".join(map(str, publication.faults)))
    folder = output / publication.spec.short_name
    check_free(folder)
    beside, before = (output / f".{folder.name}.{os.getpid()}.{what}" for what in ("new", "old"))
    try:
        beside.mkdir(parents=True)
        write_results(publication, beside / "results")
        card.write(publication, beside)
        (beside / SNIPPET).write_text(snippet(publication), encoding="utf-8")
        if wrong := mistakes(beside):
            raise InputError("\n".join(wrong))
        if folder.exists():
            folder.rename(before)
        try:
            beside.rename(folder)
        except OSError:
            if folder.exists():
                raise InputError(f"{shown(folder)}: another process wrote it at the same time; publish again") from None
            if before.exists():
                before.rename(folder)
            raise
        finally:
            if folder.exists():
                shutil.rmtree(before, ignore_errors=True)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder


def check_free(folder: Path) -> None:
    """Raise InputError where a file is in the way, or a folder that no publication made: it would be lost."""
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise InputError(f"-o: {shown(place)} is a file; name a folder for what is published")
    if folder.is_symlink() or (folder.is_dir() and any(folder.iterdir()) and not (folder / SNIPPET).is_file()):
        raise InputError(
            f"-o: {shown(folder)} is there already and was not published before; name another folder, or remove it"
        )


def place_of(meta: ModelMeta) -> Path:
    """Where mteb files results, below results/: org__name/revision, and experiments/<overrides> where there are any."""
    place = Path(meta.model_name_as_path()) / str(meta.revision)
    return place / EXPERIMENTS / meta.experiment_name if meta.experiment_name else place


def write_results(publication: Publication, root: Path) -> None:
    """Copy the results under the published name and revision, each folder with its own description."""
    write_place(publication.meta, publication.results, root)
    places: dict[Path, list[Found]] = {}
    for one in publication.experiments:
        places.setdefault(one.path.parent, []).append(one)
    for place, results in places.items():
        write_place(of_experiment(publication.meta, json_of(place / META)), results, root)


def of_experiment(meta: ModelMeta, told: Mapping[str, Any]) -> ModelMeta:
    """The published ModelMeta with an experiment's overrides, and with the pipeline that they made."""
    options = with_beside(told.get("loader_kwargs") or {}, dict(commits_in(meta.loader_kwargs)))
    return meta.model_copy(update={"experiment_kwargs": told["experiment_kwargs"], "loader_kwargs": options})


def commits_in(pipeline: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """(fingerprint, its repository and commit) of every stage of a pipeline that names them."""
    for value in pipeline.values() if isinstance(pipeline, dict) else pipeline if isinstance(pipeline, list) else ():
        yield from commits_in(value)
    if isinstance(pipeline, dict) and "commit" in pipeline:
        yield pipeline["fingerprint"], {key: pipeline[key] for key in ("repository", "commit")}


def write_place(meta: ModelMeta, results: Iterable[Found], root: Path) -> None:
    """One folder of results: model_meta.json as mteb writes it, the JSON files as they are, and how they were run."""
    place = root / place_of(meta)
    place.mkdir(parents=True)
    told = meta.to_dict()
    if told["training_datasets"] is not None:
        told["training_datasets"] = sorted(told["training_datasets"])
    (place / META).write_text(json.dumps(told, default=str, indent=4) + "\n", encoding="utf-8")
    settings: dict[str, None] = {}
    for one in results:
        shutil.copyfile(one.path, place / one.path.name)
        settings |= dict.fromkeys(settings_of(one))
    if settings:
        (place / SETTINGS).write_text("".join(f"{line}\n" for line in settings), encoding="utf-8")


def settings_of(one: Found) -> list[str]:
    """The lines of run_settings.jsonl that are about a result."""
    path = one.path.parent / SETTINGS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    return [line for line in lines if task_of(line) == one.task]


def task_of(line: str) -> Any:
    """The task that a line of run_settings.jsonl is about; None where it is damaged."""
    try:
        return json.loads(line).get("task")
    except (ValueError, AttributeError):
        return None
