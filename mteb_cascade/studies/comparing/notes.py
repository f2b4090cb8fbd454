"""What a reader of a comparison must know."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mteb_cascade.engine.latency import machine
from mteb_cascade.publish.leaderboard import Published
from mteb_cascade.stages.latency import K
from mteb_cascade.studies.comparing.comparison import Model, PairedTest
from mteb_cascade.studies.comparing.contenders import Contender
from mteb_cascade.studies.comparing.standings import LEVELLED, published_scores
from mteb_cascade.studies.comparing.tasks import Compared
from mteb_cascade.values.measures import Measure


def notes_of(
    found: Sequence[Contender],
    rows: Sequence[Model],
    compared: Sequence[Compared],
    measures: Sequence[str],
    baseline: str,
    tests: Sequence[PairedTest],
    calls: int,
) -> Iterator[str]:
    """Tests, published figures, blanks, and what was timed, one sentence or two each."""
    yield of_tests(rows, compared, measures[0], baseline, tests)
    if "recall@1" in measures and (highest := [one.task for one in compared if one.task.highest_recall_at_1]):
        told = ", ".join(f"{task.name} {task.highest_recall_at_1:.3f}" for task in highest)
        yield f"Highest possible recall@1: {told}."
    published = [one.model for one in found if isinstance(one.model, Published)]
    if published:
        yield (
            "Figures of published models are those of the public leaderboard, rounded there to 5 digits and at "
            "relevance level 1, of the task that task.toml or the task's own name says."
        )
    yield from (one.note for one in found if one.note)
    for one in compared:
        yield from of_blanks(one, published, measures)
    tasks = [one.task.name for one in compared]
    lacking = [row.label for row in rows if any(row.score(task, name) is None for task in tasks for name in measures)]
    if lacking:
        means = "; then there is no mean over tasks" if len(tasks) > 1 else ""
        yield f"–: the results of {', '.join(lacking)} do not have the figure{means}."
    if any(part.note for one in compared for part in one.parts):
        yield from dict.fromkeys(f"{part.note}." for one in compared for part in one.parts if part.note)
    if calls:
        here = ", ".join(f"{name} {value}" for name, value in machine().items())
        yield f"Latency: of one query, end to end, k = {K}, {calls} calls, store bypassed, warm. {here}."
    if any(one.latency for row in rows if row.source != "evaluated" for one in row.standings.values()):
        yield "Latency of a model that was read from a file is of the machine that the file names."


def of_tests(
    rows: Sequence[Model], compared: Sequence[Compared], measure: str, baseline: str, tests: Sequence[PairedTest]
) -> str:
    """Which test, on what, and who is not tested."""
    untested = [row.label for row in rows if row.label not in {one.model for one in tests} | {baseline}]
    if not tests:
        return f"Nothing is tested: no figures of each query of {baseline} and another model."
    clusters = [one.task.name for one in compared if one.task.clusters]
    units = "queries" if not clusters else f"queries, and over the sums of clusters of queries in {', '.join(clusters)}"
    several = " Subsets of a task count the same." if any(len(one.parts) > 1 for one in compared) else ""
    many = f"{len(tests)} tests" if len(tests) > 1 else "1 test"
    without = f" Not tested, for want of figures of each query: {', '.join(untested)}." if untested else ""
    shown = any(one.is_shown for one in tests)
    told = (
        f"† differs from {baseline} in {measure}" if shown else f"No difference from {baseline} in {measure} is shown"
    )
    return f"{told}: paired t-test over {units}, two-sided, Holm-corrected over {many}, p < .05.{several}{without}"


def of_blanks(one: Compared, published: Sequence[Published], measures: Sequence[str]) -> Iterator[str]:
    """Why published figures are not beside ours on this task."""
    task = one.task
    if published and not task.published:
        yield f"{task.name} has no published figures here. {one.source.remedy}."
        return
    levelled = [name for name in measures if Measure.parse(name).kind in LEVELLED]
    off = {}
    for model in published:
        scores = published_scores(model, task)
        if scores is None and model.scores(task.published) is not None:
            yield f"{model.name} has no published result of {task.published}'s split {task.split}."
        elif scores is not None and scores.level(task.split) != task.relevance_level:
            off[model.name] = scores.level(task.split)
    if off and levelled:
        yield (
            f"{task.name}: published {', '.join(levelled)} count grades from {', '.join(map(str, set(off.values())))} "
            f"on, those here from {task.relevance_level} on: left blank."
        )
