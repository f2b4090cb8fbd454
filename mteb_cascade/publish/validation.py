"""Whether results are what the public leaderboard takes: laid out as mteb reads them, whole, of its own tasks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.corpora.query_figures import BESIDE
from mteb_cascade.errors import in_one_line
from mteb_cascade.publish.found import json_of, models, roots
from mteb_cascade.publish.leaderboard import EXPERIMENTS, META
from mteb_cascade.publish.publication import Fault, Found
from mteb_cascade.publish.tasks import nearest, published_tasks
from mteb_cascade.spec import shown

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask
    from mteb.results import TaskResult

ROUNDED = 1e-5
"""How far apart mteb's rounding leaves one figure that stands in a file twice."""


def mistakes(folder: Path) -> list[str]:
    """What in a results folder is not laid out as mteb reads it and as the leaderboard has it; [] where all is.

    Args:
        folder: Holds <org__name>/<revision>/<Task>.json and model_meta.json, or its results/ does.

    Raises:
        InputError: There is no such folder, or no result in it.
    """
    said = []
    for root in roots(folder):
        for model in models(root):
            for revision in sorted(one for one in model.iterdir() if one.is_dir()):
                said += [f"{shown(place)}: {text}" for place, text in in_revision(revision)]
    return said


def in_revision(folder: Path) -> Iterator[tuple[Path, str]]:
    """(path, what is wrong there) in a revision's folder and its experiments."""
    experiments = sorted(one for one in (folder / EXPERIMENTS).glob("*") if one.is_dir())
    if any(folder.glob("*.json")):
        yield from in_place(folder, folder.parent.name, folder.name, None)
    for one in experiments:
        yield from in_place(one, folder.parent.name, folder.name, one.name)


def in_place(folder: Path, model: str, revision: str, experiment: str | None) -> Iterator[tuple[Path, str]]:
    """(path, what is wrong there) in a folder of results."""
    path = folder / META
    if not path.is_file():
        yield path, "missing; mteb does not find results without it"
    yield from ((path, text) for text in in_meta(path, model, revision, experiment))
    results = [path for path in sorted(folder.glob("*.json")) if path.name != META]
    if not results:
        yield folder, "holds no result"
    for path in results:
        for text in in_result(path):
            yield path, text


def in_meta(path: Path, model: str, revision: str, experiment: str | None) -> Iterator[str]:
    """What a model_meta.json says otherwise than its folder; nothing where there is none."""
    from mteb.models.model_meta import _serialize_experiment_kwargs_to_name

    if not path.is_file():
        return
    meta = json_of(path)
    if not isinstance(meta, dict):
        yield "is no JSON object"
        return
    if str(meta.get("name")).replace("/", "__").replace(" ", "_") != model:
        yield f"is of {meta.get('name')}, in a folder of {model}"
    if str(meta.get("revision")) != revision:
        yield f"is of revision {meta.get('revision')}, in a folder of {revision}"
    # Only the name of the folder: mteb has no public function for it.
    overrides = meta.get("experiment_kwargs")
    if not isinstance(overrides, dict | None):
        yield "its experiment_kwargs are no table"
        return
    named = _serialize_experiment_kwargs_to_name(overrides)
    if named != experiment:
        yield f"is of experiment {named}, in a folder of {experiment}"


def in_result(path: Path) -> Iterator[str]:
    """What is wrong with a result file, whichever task of the leaderboard's it is of."""
    result, reason = read(path)
    if result is None:
        yield reason
        return
    task = published_tasks().get(result.task_name)
    if task is None:
        yield f"the leaderboard has no task '{result.task_name}'"
    if result.task_name != path.stem:
        yield f"is of task '{result.task_name}', in a file of {path.stem}"
    yield from without_score(result)
    if task is not None:
        yield from contradicting(result, task.metadata.main_score)


def read(path: Path) -> tuple[TaskResult | None, str]:
    """A result as mteb reads it; else None and why."""
    from mteb.results import TaskResult

    try:
        return TaskResult.from_disk(path), ""
    except Exception as error:  # Old formats fail in many ways.
        return None, f"mteb cannot read it ({in_one_line(error)[:200]})"


def without_score(result: TaskResult) -> Iterator[str]:
    """The splits and subsets that have no main score."""
    if not result.scores:
        yield "holds no score"
    for split, entries in result.scores.items():
        if not entries:
            yield f"holds no score of split '{split}'"
        for entry in entries:
            score: Any = entry.get("main_score")
            if not isinstance(score, int | float) or not math.isfinite(score):
                yield f"has no main_score of split '{split}', subset '{entry.get('hf_subset')}'"


def contradicting(result: TaskResult, main: str) -> Iterator[str]:
    """The splits and subsets whose main score is not the measure that the task has for it, where that is there too."""
    for split, entries in result.scores.items():
        for entry in entries:
            score, measure = entry.get("main_score"), entry.get(main)
            if not isinstance(score, int | float) or not isinstance(measure, int | float):
                continue
            if abs(score - measure) > ROUNDED:
                yield f"main_score of split '{split}', subset '{entry.get('hf_subset')}' is {score}, {main} {measure}"


def result_faults(found: Found, task: type[AbsTask], model: str) -> Iterator[Fault]:
    """What a reviewer would send back of one result.

    Args:
        found: The file.
        task: The task that its name says it is of.
        model: What `mteb run -m` calls the model.
    """
    again = f"Run `mteb run -m {model} -t {found.task}` again"
    where = shown(found.path)
    result, reason = read(found.path)
    if result is None:
        yield Fault(where, reason, f"Remove the file, then: {again[0].lower()}{again[1:]}")
        return
    if result.task_name != found.task:
        yield Fault(where, f"is of task '{result.task_name}'", "Give the file its task's name")
        return
    for text in [*without_score(result), *contradicting(result, task.metadata.main_score)]:
        yield Fault(where, text, again)
    now = task.metadata.revision
    if result.dataset_revision != now:
        what = f"was made on revision {result.dataset_revision} of the data, and the leaderboard's is {now}"
        yield Fault(where, what, again)
    for split, subsets in result.get_missing_evaluations(task()).items():
        whole = "" if set(subsets) == {"default"} else f", subset {', '.join(sorted(subsets))}"
        yield Fault(where, f"split '{split}'{whole} is missing", f"{again}, with every split of the task")
    beside = found.path.parent / BESIDE / found.path.name
    if found.provenance is None and beside.is_file():
        yield Fault(shown(beside), "is no record of how the result came about, or a damaged one", again)
    recorded = (found.provenance or {}).get("fingerprint")
    if recorded not in (None, found.revision):
        yield Fault(where, f"its provenance is of another model, {str(recorded)[:12]}", again)


def unknown_task(name: str) -> str:
    """What to say of a task that the leaderboard does not have."""
    close = nearest(name, published_tasks())
    return f"the leaderboard has no task '{name}'" + (f". Did you mean {' or '.join(close)}?" if close else "")
