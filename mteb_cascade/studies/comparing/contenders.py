"""Who is compared: models of this disk, evaluations of earlier days, and published models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mteb_cascade import spec as specs
from mteb_cascade.errors import InputError
from mteb_cascade.publish.leaderboard import Leaderboard, Published
from mteb_cascade.spec import NAME, shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.load import load, run_path
from mteb_cascade.stages.weights import local_folder
from mteb_cascade.studies.comparing.earlier import Earlier, read
from mteb_cascade.studies.comparing.tasks import AskedTask


@dataclass(frozen=True, eq=False)
class Files:
    """A model by the evaluations that it left.

    Args:
        evaluations: One or more, of one model.
    """

    evaluations: tuple[Earlier, ...]


@dataclass(frozen=True, eq=False)
class Contender:
    """A model, by what a table calls it.

    Args:
        label: Its name.
        model: Where its figures come from.
        note: What a reader must know of how it was found; "" where nothing.
    """

    label: str
    model: Stage | Files | Published
    note: str = ""


def tasks_of(names: Sequence[str | Stage]) -> list[str]:
    """What the JSON files of `evaluate -o` among these were evaluated on, as it was typed then.

    Raises:
        InputError: One cannot be read.
    """
    files = [Path(name).expanduser() for name in names if isinstance(name, str) and name.endswith(".json")]
    found = [read(path) for path in files if path.is_file()]
    return list(dict.fromkeys(one.source for one in found if one is not None))


def contenders(names: Sequence[str | Stage], tasks: Sequence[AskedTask], board: Leaderboard) -> list[Contender]:
    """All that are named, in their order; JSON files of one model are one contender.

    Raises:
        InputError: A name is unknown, stands twice, or its file cannot be read.
    """
    found: list[Contender] = []
    for name in names:
        one = contender(name, tasks, board)
        twin = next((at for at, other in enumerate(found) if same(one, other)), None)
        if twin is None:
            found.append(one)
        elif isinstance(one.model, Files) and isinstance(found[twin].model, Files):
            both = Files((*found[twin].model.evaluations, *one.model.evaluations))  # type: ignore[union-attr]
            found[twin] = Contender(one.label, both)
    labels = [one.label for one in found]
    # A file of a model that is compared as it is now, too, is called by its path.
    found = [
        Contender(f"{one.label} ({one.model.evaluations[0].path.stem})", one.model, one.note)
        if isinstance(one.model, Files) and labels.count(one.label) > 1
        else one
        for one in found
    ]
    labels = [one.label for one in found]
    for label in labels:
        if labels.count(label) > 1:
            raise InputError(f"'{label}' is named {labels.count(label)} times; expected different models")
    return found


def same(one: Contender, other: Contender) -> bool:
    """Whether both are files of one model."""
    if not isinstance(one.model, Files) or not isinstance(other.model, Files):
        return False
    a, b = one.model.evaluations[0], other.model.evaluations[0]
    return (a.model, a.fingerprint) == (b.model, b.fingerprint)


def contender(name: str | Stage, tasks: Sequence[AskedTask], board: Leaderboard) -> Contender:
    """One model by what a person typed.

    A JSON of `evaluate -o`; else a spec; else a published model; else whatever `load` finds.

    Raises:
        InputError: Nothing has that name, or the file is no evaluation.
    """
    if isinstance(name, Stage):
        return Contender(name.label, name)
    path = Path(name).expanduser()
    if path.suffix == ".json" and (path.is_file() or "/" in name):
        if (evaluation := evaluation_of(path)) is not None:
            return Contender(evaluation.model, Files((evaluation,)))
        return of_stage(name)
    is_name = NAME.fullmatch(name.partition("@")[0]) is not None and not run_path(name)
    spec = specs.find(name) if is_name and "@" not in name else None
    if spec is None and is_name and "/" in name and (found := published(name, tasks, board)):
        older = f"; passed over as older: {', '.join(found.passed_over)}" if found.passed_over else ""
        return Contender(name, found, f"{name}: revision {found.revision}, the newest{older}." if older else "")
    if spec is not None:
        note = f"{name}: the local model, not the published one of that name." if name in board.models() else ""
        return Contender(spec.short_name, load(name), note)
    if "@" in name:
        raise InputError(
            f"unknown model '{name}': {shown(board.folder)} has no such published model, and a local one has no "
            f"revision. {held_by(board)}"
        )
    return of_stage(name, board)


def published(name: str, tasks: Sequence[AskedTask], board: Leaderboard) -> Published | None:
    """The published model of this name; None where there is none, or a hub model of this disk can stand in.

    Raises:
        InputError: It has none of the tasks, or no task says which published one it is.
    """
    if name.partition("@")[0] not in board.models():
        return None
    names = [task.published for task in tasks if task.published]
    here = "@" not in name and local_folder(name) is not None
    if not names:
        if here:
            return None
        raise InputError(f"{name} is a published model, and no task is matched to a published one. {tasks[0].remedy}")
    try:
        return board.find(name, names)
    except InputError:
        if here:
            return None
        raise


def of_stage(name: str, board: Leaderboard | None = None) -> Contender:
    """A model that `load` knows.

    Raises:
        InputError: It knows none; where the name might be a published one, says where that was looked for.
    """
    try:
        stage = load(name)
    except InputError as error:
        if board is None or "/" not in name or not NAME.fullmatch(name):
            raise
        raise InputError(f"{error}. Nor is it published in {shown(board.folder)}. {held_by(board)}") from None
    return Contender(stage.label, stage)


def held_by(board: Leaderboard) -> str:
    """Some of the models of a leaderboard's folder, or how to get one."""
    held = sorted(board.models())
    if not held:
        return (
            "No published results are there: fetch them with mteb.ResultCache().download_from_remote(), or name a "
            "folder with --leaderboard"
        )
    return f"There: {', '.join(held[:8])}{', ...' if len(held) > 8 else ''}"


def evaluation_of(path: Path) -> Earlier | None:
    """The evaluation of a JSON; None of mteb's predictions, which are a run.

    Raises:
        InputError: The file is not there, cannot be read, or holds another kind of result.
    """
    found = read(path)
    if found is None and not path.name.endswith("_predictions.json"):
        raise InputError(
            f"{shown(path)}: holds no evaluation; expected the JSON that `mteb-cascade evaluate -o` wrote. A result "
            "of mteb is read as ORG/NAME from --leaderboard FOLDER"
        )
    return found
