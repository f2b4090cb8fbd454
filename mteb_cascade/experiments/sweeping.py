"""One pipeline at work on one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from mteb_cascade.corpora.collection import Split
from mteb_cascade.corpora.dev_split import DEV
from mteb_cascade.experiments import depth_grid
from mteb_cascade.experiments.depth_figures import DepthFigures
from mteb_cascade.experiments.expectations import Expectation
from mteb_cascade.experiments.pipelines import Pipeline
from mteb_cascade.experiments.sweep_files import write_candidates, write_result
from mteb_cascade.experiments.sweep_tasks import Task
from mteb_cascade.experiments.swept import Swept
from mteb_cascade.progress import Progress
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import hash_of
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.full_corpus import ranked_in_full
from mteb_cascade.stages.latency import latency_at_depths
from mteb_cascade.stages.provenance import record_of
from mteb_cascade.values.measures import Measure, evaluate, mean
from mteb_cascade.values.pareto import front
from mteb_cascade.values.run import PAD, Run


@dataclass(frozen=True, eq=False)
class Sweep:
    """One pipeline on one task.

    Args:
        result: As in its JSON.
        figures: Every query's figures at every depth.
        path: The JSON; None where nothing was written.
    """

    result: dict[str, Any]
    figures: DepthFigures
    path: Path | None

    @property
    def summary(self) -> str:
        """One line on where its files are."""
        where = f": {shown(self.path)}" if self.path else ""
        return f"{self.result['pipeline']} on {self.result['title']}{where}"


@dataclass(frozen=True, eq=False)
class Sweeping:
    """One pipeline at work on one task."""

    task: Task
    pipeline: Pipeline
    first_runs: Mapping[str, Run]
    depth: int
    measures: tuple[str, ...]
    full_corpus: bool
    latency: int
    seed: int
    progress: Progress

    def swept(self, split: str) -> Swept:
        """The last step's scores of what the steps before it hand on."""
        cascade, queries = self.pipeline.cascade, self.task.queries(split)
        run = self.first_runs[split]
        *_, received = Cascade(cascade.first, *cascade.steps[:-1]).reranked(
            queries, run, cascade.depths[:-1], self.progress
        )
        return Swept.of(
            self.pipeline.last,
            queries,
            received,
            min([self.depth, *cascade.depths[:-1]]),
            ignore_identical_ids=self.task.collection.ignore_identical_ids,
            progress=self.progress,
        )

    def sweep(
        self, expectations: Sequence[Expectation] = (), first_stages: list[dict[str, Any]] | None = None
    ) -> Sweep:
        """Score, and say what every depth buys.

        Args:
            expectations: Get a verdict each.
            first_stages: How this first stage compares with the others, where there are several.
        """
        begun = perf_counter()
        collection, pipeline = self.task.collection, self.pipeline
        parts = {split: collection.split(split) for split in self.task.splits}
        swept = {split: self.swept(split) for split in self.task.splits}
        dev = self.task.dev
        if pipeline.blend is None and dev is not None:
            pipeline = pipeline.with_chosen_blend(swept[dev], parts[dev], self.measures[0])
        figures = {
            split: DepthFigures(swept[split], parts[split], self.measures, pipeline.blend, seed=self.seed)
            for split in self.task.splits
        }
        scored = perf_counter()
        told = figures[self.task.split]
        figured = told.as_json(self.task.slices, figures[dev] if dev else None)
        result = {
            **self.described(pipeline, told),
            **figured,
            "as_good_why_not": None if figured["as_good_as_best"] else why_not(self.task),
            "first_stages": first_stages,
            "grid": self.grid(parts[self.task.split]) if len(pipeline.cascade.steps) > 1 else None,
            "latency": self.latencies(told) if self.latency else None,
        }
        if self.full_corpus:
            for name, value in self.in_full(parts[self.task.split]).items():
                result["curves"][name]["full corpus"] = value
        result["timings"] = {
            "scoring_s": round(scored - begun, 3),
            "figures_s": round(perf_counter() - scored, 3),
        }
        result["expectations"] = [{**asdict(one.verdict(result)), "line": one.line} for one in expectations]
        return Sweep(result, told, None)

    def described(self, pipeline: Pipeline, told: DepthFigures) -> dict[str, Any]:
        """What was swept: every digest and choice behind the figures, and their provenance."""
        collection, split = self.task.collection, self.task.split
        part = collection.split(split)
        counts = part.qrels.relevant_counts(part.queries.ids)
        cascade, head = pipeline.cascade, told.swept.received.cut(told.swept.depth)
        steps = [
            {"label": step.stage.label, "depth": step.depth, "blend": step.blend, **step.stage.identified()}
            for step in cascade.steps
        ]
        steps[-1] |= {"depth": told.swept.depth, "blend": pipeline.blend or 0.0}
        blends = [*cascade.blends[:-1], pipeline.blend or 0.0]
        swept = cascade.at(*cascade.depths[:-1], told.swept.depth, blends=blends)
        return {
            "kind": "sweep",
            "title": self.task.title,
            "pipeline": pipeline.title,
            "label": pipeline.label,
            "task": collection.name,
            "source": self.task.source,
            "subset": collection.subset,
            "split": split,
            "dev": self.task.dev,
            "queries": len(part.queries),
            "without_positives": int((counts == 0).sum()),
            "relevance_level": part.qrels.relevance_level,
            "documents": len(collection.corpus),
            "corpus_digest": collection.corpus.digest,
            "queries_digest": part.queries.digest,
            "ignore_identical_ids": collection.ignore_identical_ids,
            "first": {"label": cascade.first.label, **cascade.first.identified()},
            "steps": steps,
            "fingerprint": pipeline.fingerprint,
            "pointwise": pipeline.last.pointwise,
            "depth": told.swept.depth,
            "depths": list(told.swept.depths),
            "blend": pipeline.blend,
            "blend_from": pipeline.blend_from,
            "measures": list(self.measures),
            "highest_recall@1": float(np.where(counts > 0, 1 / np.maximum(counts, 1), 0).mean()),
            "unscored": int((np.isneginf(told.swept.deepest) & (head.docs != PAD)).sum()),
            "pairs": int((head.docs != PAD).sum()),
            "seed": self.seed,
            "provenance": record_of(swept, collection, split, seed=self.seed) | {"model": pipeline.label},
        }

    def grid(self, part: Split) -> list[dict[str, Any]]:
        """Every combination of depths, with the pairs a query that it costs and whether none cheaper is as good."""
        grid = depth_grid.grid_of(self.depth)
        cascade = self.pipeline.cascade
        blends = [*cascade.blends[:-1], self.pipeline.blend or 0.0]
        cascade = cascade.at(*cascade.depths, blends=blends)
        queries = self.task.queries(self.task.split)
        first = self.first_runs[self.task.split]
        found: list[dict[str, Any]] = []
        for depths, run in depth_grid.combinations(cascade, queries, first, grid, self.progress):
            ranked = run.without_identical_ids() if self.task.collection.ignore_identical_ids else run
            values = {name: float(mean(one)) for name, one in evaluate(ranked, part.qrels, self.measures).items()}
            found.append({"depths": list(depths), "pairs": sum(depths), **values})
        best = set(front([one["pairs"] for one in found], [one[self.measures[0]] for one in found]))
        return [{**one, "on_front": number in best} for number, one in enumerate(found)]

    def in_full(self, part: Split) -> dict[str, float]:
        """The measures of the reranker over the whole corpus."""
        queries = self.task.queries(self.task.split)
        k = max(Measure.parse(name).cutoff for name in self.measures)
        run = ranked_in_full(self.pipeline.last, queries, self.task.collection.corpus, k + 1, self.progress)
        if self.task.collection.ignore_identical_ids:
            run = run.without_identical_ids()
        return {name: float(mean(values)) for name, values in evaluate(run, part.qrels, self.measures).items()}

    def latencies(self, told: DepthFigures) -> dict[str, Any]:
        """Latency against depth, a query at a time; per line the depths for which no faster one is as good."""
        cascade, queries = self.pipeline.cascade, self.task.queries(self.task.split)
        cascade.index(self.task.collection.corpus, **queries.context)
        depths = [depth for depth in depth_grid.grid_of(self.depth) if depth in told.swept.depths]
        found = latency_at_depths(cascade, queries, depths or told.swept.depths, calls=self.latency)
        columns = [told.swept.depths.index(depth) for depth in found["depths"]]
        fronts = {
            line: front(found["whole"]["p95"], mean(per_query[self.measures[0]])[columns])
            for line, per_query in told.per_query.items()
        }
        found["front"] = {line: [found["depths"][row] for row in rows] for line, rows in fronts.items()}
        return found

    def written(self, made: Sweep, output: Path | None) -> Sweep:
        """The same, as files."""
        if output is None:
            return made
        subset = "" if made.result["subset"] == "default" else f".{made.result['subset']}"
        # Another depth, blend or measure is another file: a small sweep never takes the place of a large one.
        asked = [
            made.result[key] for key in ("fingerprint", "depth", "blend", "measures", "relevance_level", "dev", "seed")
        ]
        name = f"{self.pipeline.label.replace('/', '__')}.{hash_of(asked)[:8]}"
        path = output / f"{name}.{made.result['task']}{subset}.{self.task.split}.json"
        write_candidates(made.figures.swept, made.figures.split.qrels, path.with_suffix(".parquet"))
        write_result(made.result, path)
        return replace(made, path=path)


def why_not(task: Task) -> str:
    """Why no depth is called as good as the best."""
    title, split = task.collection.title, task.split
    if task.dev:
        return f"{title}: no depth was looked at on {split} and on {task.dev}, whose lists differ in length"
    if split != DEV and DEV in task.collection.splits:
        return f"the dev split of {title} was not to choose the best (--no-dev)"
    return f"{title} has no dev split to choose the best on; --dev-fraction 0.2 makes one of {split}"
