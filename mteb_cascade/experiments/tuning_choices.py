"""What there is to choose from when a cascade is tuned: depths and blends, their latency and what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Split
from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.engine.latency import Limit
from mteb_cascade.experiments.depth_grid import combinations, grid_of
from mteb_cascade.experiments.pipelines import blends_of
from mteb_cascade.experiments.swept import Swept
from mteb_cascade.experiments.within_budget import Choice
from mteb_cascade.progress import Progress
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.latency import between, latency_at_depths, spaced, timed
from mteb_cascade.values.curves import curves
from mteb_cascade.values.measures import Measure, evaluate, mean
from mteb_cascade.values.run import Run

Depths = tuple[int, ...]


@dataclass(frozen=True)
class Times:
    """Latency against depth, timed at a few depths, on development queries.

    Args:
        depths: Depths that were timed, ascending; with more than two stages, every step had the same.
        wholes: End to end, {p50, p95, p99, calls, inputs} a depth.
        stages: The same for every stage, [depth][stage].
        more: What else a result keeps.
    """

    depths: Sequence[int]
    wholes: Sequence[Mapping[str, float]]
    stages: Sequence[Sequence[Mapping[str, float]]]
    more: Mapping[str, Any]

    def of_stage(self, number: int, depth: int, percentile: int) -> float:
        """Milliseconds of one stage: of the first, retrieving; of another, scoring `depth` candidates."""
        values = [of_depth[number][f"p{percentile}"] for of_depth in self.stages]
        return between([min(max(depth, self.depths[0]), self.depths[-1])], self.depths, values)[0]

    def at(self, percentile: int) -> Callable[[Depths], float]:
        """Milliseconds that a cascade of these depths is expected to take.

        With one step, what was timed, linear between; with more, the sum over the stages, each at its own depth, which
        at a high percentile is more than the whole takes.
        """

        def latency(depths: Depths) -> float:
            if len(depths) == 1:
                return between(depths, self.depths, [one[f"p{percentile}"] for one in self.wholes])[0]
            first = self.of_stage(0, depths[0], percentile)
            return first + sum(self.of_stage(number, depth, percentile) for number, depth in enumerate(depths, 1))

        return latency

    def as_json(self) -> dict[str, Any]:
        """What was timed, and how the rest comes about."""
        measured = [
            {"depth": depth, "whole": whole, "stages": list(stages)}
            for depth, whole, stages in zip(self.depths, self.wholes, self.stages, strict=True)
        ]
        return {"measured": measured, **self.more}


def expected(cascade: Cascade, queries: Queries, deepest: int, k: int, calls: int, limit: Limit) -> Times:
    """Time a cascade at a few depths, up to the deepest; a depth that breaks the limit takes fewer calls."""
    if len(cascade.steps) == 1:
        told = latency_at_depths(cascade, queries, range(1, deepest + 1), k, calls, limit=limit)
        measured = told.pop("measured")
        wholes, stages = [one["whole"] for one in measured], [one["stages"] for one in measured]
        return Times([one["depth"] for one in measured], wholes, stages, told)
    depths = spaced(grid_of(deepest), 5)
    pairs = [timed(cascade.at(*[depth] * len(cascade.steps)), queries, k, calls, limit) for depth in depths]
    return Times(
        depths,
        [whole.as_json() for whole, _ in pairs],
        [[part.as_json() for part in parts] for _, parts in pairs],
        {"k": k, "calls": calls, "between": "the sum over the stages, each linear between the depths that were timed"},
    )


@dataclass(frozen=True, eq=False)
class Tried:
    """Everything that was looked at on development queries.

    Args:
        choices: All depths and blends.
        how: What was looked at, in a line.
        swept: Of a cascade of two stages: its step at every depth.
        runs: Of a longer cascade: {depths: the ranking's head}.
    """

    choices: Sequence[Choice]
    how: str
    swept: Swept | None
    runs: Mapping[Depths, Run]


def tried(
    cascade: Cascade,
    queries: Queries,
    split: Split,
    deepest: int,
    metric: str,
    latency: Callable[[Depths], float],
    *,
    ignore_identical_ids: bool,
    keep: int = 0,
    progress: Progress,
) -> Tried:
    """Every choice, worth and latency of each; candidates are scored once, through the store.

    Args:
        cascade: Two or more stages; a corpus is indexed.
        queries: Q development queries, with what a stage may know of them.
        split: Their judgements.
        deepest: The deepest depth.
        metric: What is to be best.
        latency: Milliseconds expected at these depths.
        ignore_identical_ids: Take documents with the query's own id out of every ranking.
        keep: Documents of each ranking that are kept.
        progress: Told of the pairs scored.
    """
    columns = max(deepest, Measure.parse(metric).cutoff, keep) + 1
    first = cascade.first.retrieved(queries, columns)
    if len(cascade.steps) == 1:
        step = cascade.steps[0]
        swept = Swept.of(
            step.stage, queries, first, deepest, ignore_identical_ids=ignore_identical_ids, progress=progress
        )
        blends = sorted({0.0, step.blend, *blends_of(swept)})
        choices = [
            Choice((depth,), (blend,), float(quality), latency((depth,)))
            for blend in blends
            for depth, quality in zip(swept.depths, worth(swept, split, metric, blend), strict=True)
        ]
        how = f"{told_depths(swept)}, blends {', '.join(f'{blend:g}' for blend in blends)}"
        return Tried(choices, how, swept, {})
    grid = sorted({*grid_of(deepest), *(depth for depth in cascade.depths if depth <= deepest)})
    grid = [depth for depth in grid if depth <= first.depth]
    choices, heads = [], {}
    for depths, run in combinations(cascade, queries, first, grid, progress):
        ranked = run.without_identical_ids() if ignore_identical_ids else run
        quality = float(mean(evaluate(ranked, split.qrels, [metric])[metric]))
        choices.append(Choice(depths, tuple(cascade.blends), quality, latency(depths)))
        heads[depths] = ranked.cut(max(keep, 1))
    how = f"{len(choices)} combinations of depths {', '.join(map(str, grid))} at the spec's blends"
    return Tried(choices, f"{how}; then the last step's blend", None, heads)


def with_last_blend(
    cascade: Cascade, chosen: Choice, queries: Queries, split: Split, metric: str, ignore_identical_ids: bool
) -> Choice:
    """Of three and more stages, the same depths with the last step's best blend; two stages' was chosen already."""
    if len(cascade.steps) == 1:
        return chosen
    at = cascade.at(*chosen.depths)
    *_, received, _ = at.trace(queries, Measure.parse(metric).cutoff + 1)
    step = at.steps[-1]
    swept = Swept.of(step.stage, queries, received, step.depth, ignore_identical_ids=ignore_identical_ids)
    qualities = {blend: float(worth(swept, split, metric, blend)[-1]) for blend in {0.0, step.blend, *blends_of(swept)}}
    # The spec's own stays where no other is better.
    best = max(qualities, key=lambda blend: (qualities[blend], blend == step.blend, -blend))
    return replace(chosen, blends=(*chosen.blends[:-1], best), quality=qualities[best])


def worth(swept: Swept, split: Split, metric: str, blend: float) -> NDArray[np.float64]:
    """Mean of a metric at each depth of a step."""

    def figure(run: Run, scores: NDArray[np.float32], b: float) -> NDArray[np.float32]:
        return curves(run, scores, split.qrels, [metric], b)[metric]

    return mean(np.asarray(swept.at_depths(partial(figure, b=blend)), np.float64))


def told_depths(swept: Swept) -> str:
    """Which depths were looked at, in words."""
    if swept.pointwise and len(swept.depths) > 1:
        return f"depths 1 to {swept.depth}"
    return f"depths {', '.join(map(str, swept.depths))}"
