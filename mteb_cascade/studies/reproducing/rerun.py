"""A kept result, made again: what it takes is loaded first, so that changed data are told before any work."""

from __future__ import annotations

import logging
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from mteb_cascade import spec as specs
from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.load import load_subsets, with_part
from mteb_cascade.corpora.task_entry import is_beir
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.evaluate import evaluate_stage
from mteb_cascade.experiments.pipelines import Pipeline
from mteb_cascade.experiments.sweep import retrieved
from mteb_cascade.experiments.sweep_tasks import Task
from mteb_cascade.experiments.sweeping import Sweeping
from mteb_cascade.progress import silent
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.load import load
from mteb_cascade.stages.provenance import part_of, parts_of
from mteb_cascade.studies import demo
from mteb_cascade.studies.reproducing.kept_results import Kept
from mteb_cascade.values.measures import Measure

NOT_COMPARED = ("expectations", "first_stages", "seed", "slices")
"""What a sweep's result says of more than its own pipeline and task, or of a file of the user's."""


@dataclass(frozen=True, eq=False)
class Rerun:
    """A result that can be made again.

    Args:
        parts: Names and digests of the data that are here, one a split and subset; the same for all its models.
        then: The figures of the result.
        now: Makes them again.
        text: Digest of the text, or the data set's revision, that is here; None where the digests say it all.
    """

    parts: list[dict[str, Any]]
    then: Any
    now: Callable[[], Any]
    text: str | None = None


def model_of(kept: Kept, record: Mapping[str, Any]) -> Stage:
    """The model of a result, as it is here.

    Raises:
        InputError: It is not here, or was never one of ours.
    """
    names = [name for name in (record.get("name"), record["model"]) if name]
    spec = next((found for name in names if specs.NAME.fullmatch(name) and (found := specs.find(name))), None)
    if spec is not None:
        stage = load(spec.short_name)
    elif kept.kind == "sweep" and not record.get("name"):
        steps = [Step(part_named(kept, one), one["depth"], one["blend"]) for one in kept.content["steps"]]
        stage = Cascade(part_named(kept, kept.content["first"]), *steps)
    else:
        stage = part_named(kept, {"label": record["model"], "name": record.get("name"), **record})
    overrides = record.get("overrides")
    if not overrides:
        return stage
    if not isinstance(stage, Cascade):
        raise InputError(
            f"{shown(kept.path)}: is of a cascade with overrides, but {stage.label} is a {stage.kind} here"
        )
    depths = overrides.get("depths") or stage.depths
    return stage.at(*depths, blends=overrides.get("blends"))


def part_named(kept: Kept, told: Mapping[str, Any]) -> Stage:
    """A stage by what a result calls it: a spec of this folder, or a model of the hub.

    Raises:
        InputError: It is not here.
    """
    name = told.get("name") or told["label"]
    for one in (name, told["label"]):
        spec = specs.find(one) if specs.NAME.fullmatch(one) else None
        if spec is not None:
            return load(spec.short_name)
    needed = f"{shown(kept.path)}: its model {told['label']!r} is not here"
    if told.get("from_folder"):
        raise InputError(
            f"{needed}: expected a result of a model of ours, whose spec is in ./models or a folder of "
            "MTEB_CASCADE_MODELS"
        )
    if "/" not in name or name.startswith("local/"):
        raise InputError(f"{needed}: its spec is needed, in ./models or a folder of MTEB_CASCADE_MODELS")
    return load(name)


def rerun_of(kept: Kept, stages: Mapping[str, Stage], task: str | None) -> Rerun:
    """What it takes to make a result again.

    Args:
        kept: The result.
        stages: Its models, as they are here.
        task: Where the collection is now; as the result says by default.

    Raises:
        InputError: The task or its split is not here.
    """
    if kept.kind == "demo":
        return of_demo(kept)
    (stage,) = stages.values()
    if kept.kind == "mteb":
        return of_mteb(kept, stage, task)
    return of_evaluation(kept, stage, task) if kept.kind == "evaluation" else of_sweep(kept, stage, task)


def collection_of(kept: Kept, split: str, task: str | None) -> Collection:
    """The collection of a result, with its split.

    Raises:
        InputError: It is not where the result says.
    """
    content = kept.content
    try:
        (found,) = load_subsets(
            task or kept.task,
            split,
            subsets=[content["subset"]],
            relevance_level=content.get("relevance_level"),
            allow_empty=True,
        )
    except InputError as error:
        raise InputError(f"{error}. Say where the collection of {shown(kept.path)} is: --task TASK") from None
    return found


def of_evaluation(kept: Kept, stage: Stage, task: str | None) -> Rerun:
    """An evaluation, by the same measures."""
    content = kept.content
    split, measures = content["split"], tuple(content["scores"])
    collection = collection_of(kept, split, task)
    k = content.get("k") or max([1000, *(Measure.parse(name).cutoff for name in measures)])
    return Rerun(
        [part_of(collection, split)],
        content["scores"],
        lambda: evaluate_stage(stage, collection, split, measures, k).means,
    )


def of_sweep(kept: Kept, stage: Stage, task: str | None) -> Rerun:
    """A sweep of one pipeline; a blend that was chosen on development queries is chosen again.

    Raises:
        InputError: The model is no cascade here, or the collection is not there.
    """
    content = kept.content
    split, dev = content["split"], content.get("dev")
    collection = collection_of(kept, split, task)
    if dev:
        collection = with_part(collection, dev, kept.task)
        collection.split(dev)
    if not isinstance(stage, Cascade) or not stage.steps:
        raise InputError(f"{shown(kept.path)}: is of a cascade, but {stage.label} is a {stage.kind} here")
    chosen = content.get("blend_from") == "dev"
    pipeline = Pipeline(stage, None if chosen else content["blend"], None if chosen else content["blend_from"])
    whole = Task(kept.task, collection, split, dev, {})
    measures = tuple(content["measures"])
    pool = max([content["depth"], *stage.depths[:-1], *(Measure.parse(name).cutoff for name in measures)])
    in_full = any(lines.get("full corpus") is not None for lines in content["curves"].values())

    def now() -> Any:
        wanted = whole.wanted(pool)
        runs = {one: retrieved(stage.first, whole, one, wanted) for one in whole.splits}
        at_work = Sweeping(whole, pipeline, runs, content["depth"], measures, in_full, 0, content["seed"], silent)
        return compared(at_work.sweep().result)

    def compared(result: Mapping[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in result.items() if key not in NOT_COMPARED}

    return Rerun([part_of(collection, split)], compared(content), now)


def of_demo(kept: Kept) -> Rerun:
    """The demo's four models as they are on this disk, through mteb; nothing is trained."""
    from mteb_cascade.corpora import pythondocs

    collection = pythondocs.load()
    compared = ("scores", "comparisons", "sweep")

    def now() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            steps = demo.Steps(Console(quiet=True), time.monotonic())
            made = demo.measured(collection, Path(folder) / "results", steps)
        return {key: made[key] for key in compared}

    then = {key: kept.content.get(key) for key in compared}
    return Rerun([part_of(collection, "test")], then, now, collection.revision)


def of_mteb(kept: Kept, stage: Stage, task: str | None) -> Rerun:
    """A result of mteb's, by mteb, without its cache.

    Raises:
        InputError: Its task is not here.
    """
    import mteb

    from mteb_cascade.corpora import mteb_task
    from mteb_cascade.mteb_plugin.registry import TASKS, add_folder, register

    register()
    logging.getLogger("mteb").setLevel(logging.ERROR)
    name, scores = kept.task, kept.content["scores"]
    if task is not None and is_beir(Path(task).expanduser()):
        known = add_folder(Path(task).expanduser(), sys.modules[TASKS])
        if name not in (known, f"{known}Cascade"):
            raise InputError(f"--task {task}: is the task {known}; {shown(kept.path)} is of {name}")
    try:
        found = {split: [one["hf_subset"] for one in several] for split, several in scores.items()}
        subsets = list(dict.fromkeys(subset for several in found.values() for subset in several))
        multilingual = mteb.get_task(name).metadata.is_multilingual
        again = mteb.get_task(name, eval_splits=list(found), hf_subsets=subsets if multilingual else None)
    except KeyError:
        raise InputError(
            f"{shown(kept.path)}: its task {name} is not here; of a BEIR folder, say where it is: --task PATH"
        ) from None
    except (TypeError, AttributeError):
        raise InputError(f"{shown(kept.path)}: its scores are not as mteb writes them; evaluate again") from None
    parts = []
    for part in parts_of(kept.records[0]):
        if part.get("corpus_digest") is not None:
            level = part.get("relevance_level")
            (one,) = mteb_task.load(name, part["split"], subsets=[part["subset"]], relevance_level=level)
            parts.append(part_of(one, part["split"]))

    def now() -> Any:
        result = mteb.evaluate(stage, again, cache=None, show_progress_bar=False).task_results[0]
        return named(result.scores)

    return Rerun(parts, named(scores), now, str(again.metadata.dataset["revision"]))


def named(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Scores of mteb as {split: {subset: figures}}."""
    return {split: {one["hf_subset"]: one for one in several} for split, several in scores.items()}
