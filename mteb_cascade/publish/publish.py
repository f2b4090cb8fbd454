"""From results/ to a publication: the model as mteb describes it, its results, and what a reviewer would send back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mteb_cascade import spec as specs
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.publish.commits import how_to_get, is_commit
from mteb_cascade.publish.found import NoResultError, OfModel, found, json_of
from mteb_cascade.publish.leaderboard import META
from mteb_cascade.publish.meta import reviewed
from mteb_cascade.publish.publication import Fault, Found, Publication
from mteb_cascade.publish.tasks import published_tasks
from mteb_cascade.publish.validation import in_meta, result_faults, unknown_task
from mteb_cascade.spec import Spec, shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.load import build
from mteb_cascade.stages.model_stage import ModelStage


def prepared(name: str, results: Path, *, commit: str | None = None, tasks: Sequence[str] = ()) -> Publication:
    """Everything that a publication consists of; nothing is written.

    Args:
        name: The model's spec.
        results: A folder of mteb's results; its results/ is looked into as well.
        commit: The hub's commit that holds the model's weights, instead of the one on its card.
        tasks: Those to publish; all of the results by default.

    Raises:
        InputError: No such spec; a commit that is none; a task that the leaderboard does not have.
    """
    spec = specs.required(name)
    stage = build(spec, fetch=False)
    if commit is not None:
        check_commit(commit, spec, stage)
    for task in tasks:
        if task not in published_tasks():
            raise InputError(unknown_task(task))
    try:
        of_model = found(results, spec, stage.fingerprint, lambda overrides: overridden(stage, overrides))
        plain, faults, notes = chosen(of_model, spec, results, tasks)
    except NoResultError as nothing:
        of_model, plain, faults, notes = OfModel((), (), {}), [], [nothing.fault], []
    experiments = [one for one in of_model.experiments if one.task in published_tasks() and wanted(one, tasks)]
    for one in [*plain, *experiments]:
        faults += result_faults(one, published_tasks()[one.task], spec.short_name)
    faults += mixed([*plain, *experiments])
    about = reviewed(spec, stage, commit, files_of(plain))
    return Publication(
        spec, stage, about.meta, tuple(plain), tuple(experiments), tuple(about.faults + faults), tuple(notes)
    )


def check_commit(commit: str, spec: Spec, stage: Stage) -> None:
    """Raise InputError where a commit is none, or the model has no weights of its own."""
    if not isinstance(stage, ModelStage):
        raise InputError(
            f"--commit: {spec.short_name} (kind {spec.kind}) has no weights of its own and keeps its fingerprint as "
            "revision; write the commits of its stages into their specs, [card] commit"
        )
    if not is_commit(commit):
        raise InputError(
            f"--commit: '{commit}' is no commit of 40 hexadecimal digits, and a branch or tag can move; "
            f"{how_to_get(spec.name)}"
        )


def overridden(stage: Stage, overrides: Mapping[str, Any]) -> str:
    """The fingerprint with overrides: other depths and blends make another cascade, mteb's own overrides do not."""
    if not isinstance(stage, Cascade) or not {"depths", "blends"} & set(overrides):
        return stage.fingerprint
    try:
        depths = overrides.get("depths") or stage.depths
        return stage.at(*depths, blends=overrides.get("blends")).fingerprint
    except (InputError, TypeError):
        return ""


def wanted(one: Found, tasks: Sequence[str]) -> bool:
    """Whether a result is of one of these tasks, or no task was named."""
    return not tasks or one.task in tasks


def chosen(
    of_model: OfModel, spec: Spec, results: Path, tasks: Sequence[str]
) -> tuple[list[Found], list[Fault], list[str]]:
    """The plain results to publish, what is wrong with the choice, and what was left out."""
    where = shown(results)
    run = f"`mteb run -m {spec.short_name} -t TASK --output-folder .`"
    notes = [
        f"left out revision {revision[:12]} ({', '.join(held)}): it is not of the model as it is now"
        for revision, held in of_model.others.items()
    ]
    ours = sorted({one.task for one in of_model.plain if one.task not in published_tasks()})
    notes += [f"left out {task}: the leaderboard does not have this task" for task in ours]
    here: dict[str, Found] = {}
    faults = []
    for one in of_model.plain:
        if one.task in ours or not wanted(one, tasks):
            continue
        if one.task in here and scores(one) != scores(here[one.task]):
            what = f"says otherwise than {shown(here[one.task].path)}, of the same model and task"
            faults.append(Fault(shown(one.path), what, "Keep the one that is right"))
        here.setdefault(one.task, one)
    faults += [
        Fault(where, f"no result of {spec.name} on {task}", f"Run it: {run.replace('TASK', task)}")
        for task in tasks
        if task not in here
    ]
    if not of_model.plain and of_model.others:
        what = f"no result of {spec.name} as it is now, only of what it was before"
        faults.append(Fault(where, what, f"Run it again: {run}"))
    elif not here and not tasks:
        plain = next((name for task in ours if (name := task.removesuffix("Cascade")) in published_tasks()), "SciFact")
        what = f"no result of {spec.name} on a task that the leaderboard has" + (
            f", only {', '.join(ours)}" * bool(ours)
        )
        faults.append(Fault(where, what, f"Run a plain one: {run.replace('TASK', plain)}"))
    return list(here.values()), faults, notes


def scores(one: Found) -> str:
    """The scores of a result file as text, for a NaN equals no other; "" where it is damaged."""
    content = json_of(one.path)
    return json.dumps(content.get("scores"), sort_keys=True) if isinstance(content, dict) else ""


def mixed(results: Iterable[Found]) -> list[Fault]:
    """A fault for each folder whose description is of another model, revision or experiment than its results."""
    places = {one.path.parent: (one.folder, one.revision, one.experiment) for one in results}
    remedy = "It mixes results: keep those of one model and revision in a folder, or run them again"
    return [
        Fault(shown(place / META), text, remedy)
        for place, filed in places.items()
        for text in in_meta(place / META, *filed)
    ]


def files_of(results: Iterable[Found]) -> dict[str, dict[str, str]]:
    """{fingerprint: {file: SHA-256}} of every stage, as the provenance of results has it."""
    files: dict[str, dict[str, str]] = {}
    for one in results:
        for stage in (one.provenance or {}).get("stages") or ():
            if isinstance(stage, dict) and isinstance(stage.get("files"), dict) and stage["files"]:
                files[str(stage.get("fingerprint"))] = stage["files"]
    return files


def submit(publication: Publication, folder: Path) -> str:
    """Hand the published results to mteb's own submission.

    Returns:
        What became of it, in one line.

    Raises:
        InputError: mteb refuses, or its repository of results cannot be reached.
    """
    from mteb import ResultCache

    try:
        done = ResultCache(folder).submit_results([str(publication.meta.name)])
    except (RuntimeError, ValueError, OSError, subprocess.SubprocessError) as error:
        raise InputError(f"mteb submit-results: {in_one_line(error)}; the results are in {shown(folder)}") from None
    count = done["result_count"]
    return f"{done['status']}: {count} results" + (f", committed in {done['path']}" if count else "")
