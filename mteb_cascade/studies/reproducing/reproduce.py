"""A result, run again: is the model what it was, are the data, and are the figures?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mteb_cascade.stages.provenance import parts_of, tree_of
from mteb_cascade.store.switch import off
from mteb_cascade.studies.reproducing.changes import (
    ChangedStage,
    Difference,
    changed_figures,
    changed_stages,
    changed_surroundings,
)
from mteb_cascade.studies.reproducing.kept_results import Kept, read
from mteb_cascade.studies.reproducing.rerun import Rerun, model_of, rerun_of

DIGESTS = ("corpus_digest", "queries_digest", "qrels_digest", "relevance_level")


@dataclass(frozen=True)
class Reproduction:
    """What came of running a result again.

    Args:
        kept: The result.
        models: Names of its models.
        stages: Stages that are not what they were.
        data: Digests that differ.
        ran: Whether it was run.
        compared: Number of figures compared.
        largest: How far two of them are apart at most.
        figures: Those that differ by more than the tolerance, the farthest first.
        surroundings: Versions and parts of the machine that differ: information, no fault.
    """

    kept: Kept
    models: tuple[str, ...]
    stages: tuple[ChangedStage, ...]
    data: tuple[Difference, ...]
    ran: bool
    compared: int = 0
    largest: float = 0.0
    figures: tuple[Difference, ...] = ()
    surroundings: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether everything is as it was."""
        return self.ran and not (self.stages or self.data or self.figures)


def reproduce(
    path: Path, *, anyway: bool = False, task: str | None = None, say: Callable[[str], object] = lambda text: None
) -> Reproduction:
    """Run a result again, every score computed anew, and compare.

    Where a model or its data are not what they were, nothing is run.

    Args:
        path: A result of mteb, or the JSON that `evaluate -o`, `sweep` or `demo` wrote.
        anyway: Run it all the same.
        task: Where the collection is now; as the result says by default.
        say: Told what is going on.

    Raises:
        InputError: The file is no result, or its model or its task is not here.
    """
    kept = read(path)
    models = tuple(str(record["model"]) for record in kept.records)
    stages = {record["model"]: model_of(kept, record) for record in kept.records}
    changed: dict[str, ChangedStage] = {}
    for record in kept.records:
        stage = stages[record["model"]]
        if stage.fingerprint != record["fingerprint"]:
            then = record.get("stages") or [{"label": record["model"], "fingerprint": record["fingerprint"]}]
            for one in changed_stages(then, tree_of(stage)):
                changed.setdefault(one.label, one)
    in_order = tuple(sorted(changed.values(), key=lambda one: not one.why))
    if in_order and not anyway:
        return Reproduction(kept, models, in_order, (), ran=False)
    rerun = rerun_of(kept, stages, task)
    data = changed_data(kept, rerun)
    device = next(iter(stages.values())).device
    if data and not anyway:
        return Reproduction(kept, models, in_order, data, ran=False)
    for stage in stages.values():
        stage.prepare()
    say(f"running {', '.join(models)} on {task or kept.task} again")
    with off():
        now = rerun.now()
    compared, largest, figures = changed_figures(rerun.then, now)
    told = tuple(changed_surroundings(kept.records[0], device))
    return Reproduction(kept, models, in_order, data, True, compared, largest, tuple(figures), told)


def changed_data(kept: Kept, rerun: Rerun) -> tuple[Difference, ...]:
    """Digests that a result says and the data here do not have."""
    found = {}
    here = {(part["split"], part["subset"]): part for part in rerun.parts}
    for record in kept.records:
        for part in parts_of(record):
            now = here.get((part["split"], part["subset"]), {})
            where = part["split"] if part["subset"] == "default" else f"{part['split']}, {part['subset']}"
            for key in DIGESTS:
                if now and part.get(key) not in (None, now[key]):
                    found[where, key] = Difference(f"{key.replace('_', ' ')} of {where}", part[key], now[key])
    then = kept.content.get("revision" if kept.kind == "demo" else "dataset_revision")
    if rerun.text is not None and then not in (None, rerun.text):
        found["", "revision"] = Difference("revision of the text", then, rerun.text)
    return tuple(found.values())
