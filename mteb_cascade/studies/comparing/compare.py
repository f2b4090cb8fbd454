"""Several models on several tasks: means, paired tests, size and latency, local models among published ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.progress import Progress, silent
from mteb_cascade.publish.leaderboard import Leaderboard, Published, default_folder
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.model_meta import facts_of
from mteb_cascade.studies.comparing import standings
from mteb_cascade.studies.comparing.comparison import Comparison, Model, PairedTest, Standing
from mteb_cascade.studies.comparing.contenders import Contender, Files, contenders, tasks_of
from mteb_cascade.studies.comparing.earlier import Earlier, in_folder
from mteb_cascade.studies.comparing.notes import notes_of
from mteb_cascade.studies.comparing.tasks import Compared, described, loaded, source_of
from mteb_cascade.values.measures import Measure
from mteb_cascade.values.statistics import Comparison as Difference
from mteb_cascade.values.statistics import holm
from mteb_cascade.values.t_test import paired_t_test

DEFAULT_MEASURES = ("ndcg@10", "mrr@10", "success@1", "recall@100")
LEAST_CALLS = 200
"""Calls timed at least, as everywhere."""

DEPTH = 1000


def compare(
    models: Sequence[str | Stage],
    tasks: Sequence[str],
    *,
    measures: Sequence[str] = DEFAULT_MEASURES,
    against: str | None = None,
    split: str | None = None,
    subsets: Sequence[str] = (),
    relevance_level: int | None = None,
    k: int = DEPTH,
    latency: int = 0,
    leaderboard: Path | None = None,
    results: Sequence[Path] = (),
    allow_empty: bool = False,
    progress: Progress = silent,
) -> Comparison:
    """Compare models; every name is looked up before any work is done.

    Args:
        models: Names of specs, folders, hub ids, run files, JSON files of `evaluate -o`, published models as
            `org/name` or `org/name@revision`, or stages.
        tasks: PythonDocs, BEIR folders, or tasks of mteb; where none is named, those of the JSON files.
        measures: Such as ndcg@10; the first is tested.
        against: Label of the model that the others are compared with; the first by default.
        split: Split of every task; each task's own default where none is named.
        subsets: Subsets of multilingual tasks; all by default.
        relevance_level: A grade of at least this is relevant; by default what is known of each task.
        k: Documents retrieved; at least the largest cut-off of the measures.
        latency: Calls timed of each local model on each task; 0 for none.
        leaderboard: Folder of published results; mteb's own clone by default.
        results: Folders of earlier evaluations, which are read where model, texts and split are the same.
        allow_empty: Accept documents without text.
        progress: Told of each evaluation.

    Raises:
        InputError: Fewer than two models, an unknown one, a task that nobody has, or what evaluating raises.
    """
    measures = with_success(list(dict.fromkeys(measures)))
    if len(models) < 2:
        raise InputError(f"compare: expected two or more models, got {len(models)}")
    tasks = tasks or tasks_of(models)
    if not tasks:
        raise InputError("compare: expected one or more tasks: -t TASK")
    if 0 < latency < LEAST_CALLS or latency < 0:
        raise InputError(f"--latency {latency}: expected {LEAST_CALLS} calls or more, or 0 for none")
    sources = [source_of(task) for task in dict.fromkeys(tasks)]
    board = Leaderboard(default_folder(), named=False) if leaderboard is None else Leaderboard(leaderboard)
    board.models()
    found = contenders(models, sources, board)
    labels = [one.label for one in found]
    baseline = labels[0] if against is None else against
    if baseline not in labels:
        raise InputError(f"--against {baseline}: is not compared here. {suggestion(baseline, labels)}")
    for one in found:
        if isinstance(one.model, Stage):
            one.model.fetch_missing()
    earlier = [one for folder in results for one in in_folder(folder)]
    if all(isinstance(one.model, Published) for one in found):
        compared = [described(source, split, subsets, relevance_level) for source in sources]
    else:
        compared = [loaded(source, split, subsets, relevance_level, allow_empty) for source in sources]
    compared = told_apart(compared)
    refuse_other_texts(found, compared)
    rows = []
    total = len(found) * len(compared)
    for number, one in enumerate(found):
        figures = {}
        for at, task in enumerate(compared):
            progress(number * len(compared) + at, total, f"{one.label} on {task.task.name}")
            standing = standing_of(one, task, measures, max(k, deepest(measures)), latency, earlier)
            if standing is not None and standing.means:
                figures[task.task.name] = standing
        rows.append(row_of(one, figures))
    progress(total, total, "")
    refuse_without_figures(rows, compared, board)
    tests = paired_tests(rows, compared, measures[0], baseline)
    notes = notes_of(found, rows, compared, measures, baseline, tests, latency)
    tasks_shown = tuple(one.task for one in compared)
    return Comparison(tasks_shown, tuple(measures), tuple(rows), baseline, tuple(tests), tuple(notes))


def with_success(measures: list[str]) -> list[str]:
    """The measures, checked; recall@1 never appears without success@1.

    Raises:
        InputError: One is unknown.
    """
    for measure in measures:
        Measure.parse(measure)
    return [*measures, "success@1"] if "recall@1" in measures and "success@1" not in measures else measures


def deepest(measures: Sequence[str]) -> int:
    """The largest cut-off."""
    return max(Measure.parse(measure).cutoff for measure in measures)


def told_apart(compared: Sequence[Compared]) -> list[Compared]:
    """The tasks, those of one name called as they were typed."""
    counts = Counter(one.task.name for one in compared)
    return [
        one if counts[one.task.name] == 1 else replace(one, task=replace(one.task, name=one.source.name))
        for one in compared
    ]


def refuse_other_texts(found: Sequence[Contender], compared: Sequence[Compared]) -> None:
    """Raise InputError where a file that was named is of none of the tasks."""
    for one in found:
        for evaluation in one.model.evaluations if isinstance(one.model, Files) else ():
            if not any(evaluation.is_on(part, task.task.split) for task in compared for part in task.parts):
                asked = "; ".join(task.task.title for task in compared)
                raise InputError(
                    f"{shown(evaluation.path)}: was evaluated on {evaluation.of}, and no task here has these texts, "
                    f"judgements, split and level ({asked}); evaluate the model again, or give it by its name"
                )


def standing_of(
    one: Contender, compared: Compared, measures: Sequence[str], k: int, latency: int, earlier: Sequence[Earlier]
) -> Standing | None:
    """A contender's figures on a task; None where it has none."""
    if isinstance(one.model, Published):
        return standings.of_published(one.model, compared.task, measures)
    if isinstance(one.model, Files):
        return standings.of_files(one.model.evaluations, compared, measures)
    return standings.of_stage(one.model, compared, measures, k, latency, earlier)


def row_of(one: Contender, figures: dict[str, Standing]) -> Model:
    """A contender with its figures, and its size where that is known."""
    model = one.model
    if isinstance(model, Published):
        return Model(one.label, "published", model.revision, False, model.parameters, model.megabytes, figures)
    if isinstance(model, Files):
        first = model.evaluations[0]
        return Model(one.label, "file", first.fingerprint, first.untrained, None, None, figures)
    facts = facts_of(model)
    parameters, megabytes = facts["n_parameters"], facts["memory_usage_mb"]
    return Model(one.label, "evaluated", model.fingerprint, model.untrained, parameters, megabytes, figures)


def refuse_without_figures(rows: Sequence[Model], compared: Sequence[Compared], board: Leaderboard) -> None:
    """Raise InputError where a model has a figure of no task, or a task of no model."""
    asked = ", ".join(f"{one.task.name} ({one.task.split})" for one in compared)
    for row in rows:
        if not row.standings:
            where = f" in {shown(board.folder)}" if row.source == "published" else ""
            raise InputError(f"{row.label} has no result of {asked}{where}; name another --split or -t TASK")
    for one in compared:
        if not any(one.task.name in row.standings for row in rows):
            raise InputError(f"no model has a result of {one.task.name}, {one.task.split}; leave the task out")


def paired_tests(rows: Sequence[Model], compared: Sequence[Compared], measure: str, baseline: str) -> list[PairedTest]:
    """Every model against the baseline on every task where both have figures of each query, Holm-corrected together.

    A query of a small subset counts as much more as its mean over subsets does.
    """
    base = next(row for row in rows if row.label == baseline)
    found: list[tuple[str, str, Difference]] = []
    for row in rows:
        for one in compared:
            pair = [model.standings.get(one.task.name) for model in (row, base)]
            values = [each.per_query.get(measure) for each in pair if each is not None and each.per_query is not None]
            first, second, *_ = (*values, None, None)
            clusters = one.clusters if one.parts else None
            if row is base or first is None or second is None or len(set(clusters or range(len(first)))) < 2:
                continue
            weighted = [np.nan_to_num(each) * one.weights for each in (first, second)]
            found.append((row.label, one.task.name, paired_t_test(*weighted, clusters)))
    corrected = holm([difference.p_value for *_, difference in found]).tolist()
    return [PairedTest(*one, p_holm=p_holm) for one, p_holm in zip(found, corrected, strict=True)]
