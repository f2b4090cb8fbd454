"""Depths and blends of a cascade for a latency budget: chosen on development queries, confirmed on test once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.dev_split import check_fraction, refuse_without_dev, with_dev
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.engine.latency import CALLS, Latency, Limit, machine
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.confirm import confirmation
from mteb_cascade.experiments.depth_figures import refuse_without_positives
from mteb_cascade.experiments.handed_on import handed_on
from mteb_cascade.experiments.sweep_files import refuse_unwritable, write_result
from mteb_cascade.experiments.tuning_choices import expected, tried, with_last_blend
from mteb_cascade.experiments.within_budget import Choice, confirmed, frontier
from mteb_cascade.progress import Progress, silent
from mteb_cascade.spec import shown
from mteb_cascade.spec_edit import new_path, write_as
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.latency import K, timed
from mteb_cascade.stages.load import load
from mteb_cascade.stages.provenance import record_of
from mteb_cascade.stages.token_counts import counted_by
from mteb_cascade.values.measures import Measure

DEPTH = 100
"""The deepest that is looked at, unless the spec or the caller goes deeper."""

METRIC = "success@1"
OUTPUT = Path("results/tune")


@dataclass(frozen=True)
class Aim:
    """What is wanted.

    Args:
        metric: A measure, which shall be best.
        budget: Milliseconds.
        percentile: 50, 95 or 99: the share of queries, in percent, that shall keep the budget.
        keep: Documents handed on to a language model; None where nobody asked.
        calls: Calls timed.
    """

    metric: str
    budget: float
    percentile: int
    keep: int | None
    calls: int

    @classmethod
    def of(cls, metric: str | None, budget: float, percentile: int, keep: int | None, calls: int) -> Aim:
        """An aim, each part checked.

        Raises:
            InputError: The metric is unknown or does not fit `keep`, or a number is none that can be meant.
        """
        if not budget > 0:
            raise InputError(f"budget: expected more than 0 milliseconds, got {budget:g}")
        if percentile not in (50, 95, 99):
            raise InputError(f"percentile: expected 50, 95 or 99, got {percentile}")
        if calls < 1:
            raise InputError(f"calls: expected at least 1, got {calls}")
        if keep is not None:
            if keep < 1:
                raise InputError(f"keep: expected at least 1 document, got {keep}")
            if metric not in (None, f"recall@{keep}"):
                raise InputError(f"--keep {keep} is judged by recall@{keep}, not by {metric}; leave --metric out")
            metric = f"recall@{keep}"
        metric = metric or METRIC
        Measure.parse(metric)
        return cls(metric, float(budget), percentile, keep, calls)

    @property
    def k(self) -> int:
        """Documents that a search is asked for while it is timed."""
        return max(K, self.keep or 0)

    @property
    def limit(self) -> Limit:
        """The budget, as timing knows it."""
        return Limit(self.percentile, self.budget)

    def of_latency(self, latency: Latency | Mapping[str, float]) -> float:
        """The percentile of a latency, in milliseconds."""
        figures = latency.as_json() if isinstance(latency, Latency) else latency
        return float(figures[f"p{self.percentile}"])


def tune(
    name: str | Path | Stage,
    task: str | Path,
    *,
    budget_ms: float,
    metric: str | None = None,
    percentile: int = 95,
    keep: int | None = None,
    depth: int | None = None,
    split: str | None = None,
    subset: str | None = None,
    dev_fraction: float | None = None,
    seed: int = 0,
    calls: int = CALLS,
    relevance_level: int | None = None,
    allow_empty: bool = False,
    write: str | None = None,
    output: Path | None = OUTPUT,
    say: Callable[[str], object] = lambda text: None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Choose depths and blends on development queries under a latency budget, and confirm them on a split once.

    With two stages every depth and several blends of the last one are looked at; a last step that is not pointwise is
    run at a few depths. With more stages, all combinations of a small grid of depths at the spec's blends, and then
    the last step's blend at the chosen depths.

    Args:
        name: A cascade.
        task: PythonDocs, a BEIR folder, or a task of mteb.
        budget_ms: Milliseconds a query may take, end to end, everything loaded and nothing from the store.
        metric: What shall be best; success@1 by default.
        percentile: Percent of the queries that shall keep the budget: 50, 95 or 99.
        keep: Documents handed on to a language model: the metric is recall at that many, and tokens are counted.
        depth: The deepest looked at; 100 by default, or the spec's own where that is more.
        split: Split that confirms; the collection's default split where none is named.
        subset: hf_subset of a multilingual task.
        dev_fraction: Where there is no dev split: this share of the split's queries.
        seed: Of `dev_fraction` and of all resampling.
        calls: Calls timed at each of a few depths, and of what is chosen.
        relevance_level: A grade of at least this is relevant; by default what is known of the task.
        allow_empty: Accept documents without text.
        write: Short name of a new spec, written beside the old one with what was chosen.
        output: Folder of the result JSON; None writes none.
        say: Told what is going on.
        progress: Told of the pairs scored.

    Returns:
        What the JSON holds.

    Raises:
        InputError: `name` is no cascade, a number or name is none that can be meant, there are no development queries,
            or nothing keeps the budget.
    """
    aim = Aim.of(metric, budget_ms, percentile, keep, calls)
    check_fraction(dev_fraction)
    if seed < 0:
        raise InputError(f"seed: expected 0 or more, got {seed}")
    cascade = load(name)
    if not isinstance(cascade, Cascade) or not cascade.steps:
        raise InputError(
            f"{cascade.label} is no cascade (kind {cascade.kind}): it has no depth to tune. Name a cascade"
        )
    if write is not None:
        if cascade.spec is None:
            raise InputError(f"--write {write}: {cascade.label} has no spec to be written beside")
        new_path(cascade.spec, write)
    collection = load_collection(task, split, subset=subset, relevance_level=relevance_level, allow_empty=allow_empty)
    collection, split, dev = with_dev(collection, split or collection.default_split, dev_fraction, seed)
    dev = refuse_without_dev(collection, split, dev)
    for part in (split, dev):
        refuse_unfit(collection, part)
    deepest = depth_of(cascade, collection, depth)
    if output is not None:
        refuse_unwritable(output)
    cascade.prepare()
    cascade.index(collection.corpus, **collection.context(dev))
    result = tuned(cascade, collection, split, dev, deepest, aim, seed, say, progress)
    result["source"] = str(task)
    if write is not None and cascade.spec is not None:
        chosen = result["chosen"]
        note = f"Depths and blends for {budget_ms:g} ms, chosen on {collection.name} {dev} by `mteb-cascade tune`."
        tables = [{}, *({"depth": d, "blend": b} for d, b in zip(chosen["depths"], chosen["blends"], strict=True))]
        result["written"] = shown(write_as(cascade.spec, write, "stage", tables, note))
    if output is not None:
        beside = "" if collection.subset == "default" else f".{collection.subset}"
        file = f"{cascade.label.replace('/', '__')}.{cascade.fingerprint[:8]}.{collection.name}{beside}.{split}.json"
        result["path"] = str(output / file)
        write_result(result, output / file)
    return result


def tuned(
    cascade: Cascade,
    collection: Collection,
    split: str,
    dev: str,
    deepest: int,
    aim: Aim,
    seed: int,
    say: Callable[[str], object],
    progress: Progress,
) -> dict[str, Any]:
    """The result, but for where it came from and where it goes; arguments as for `tune`, checked."""
    part = collection.split(dev)
    queries = part.queries.within(**collection.context(dev))
    say(f"timing {cascade.label} a query at a time, up to depth {deepest}")
    times = expected(cascade, queries, deepest, aim.k, aim.calls, aim.limit)
    first = times.of_stage(0, 1, aim.percentile)
    if first > aim.budget:
        raise InputError(
            f"no depth keeps {aim.budget:g} ms: the first stage alone, {cascade.first.label}, takes {first:.1f} ms "
            f"(p{aim.percentile}, measured here). Raise --budget-ms or take a faster first stage"
        )
    say(f"scoring {len(queries):,} queries of {dev}")
    on_dev = tried(
        cascade, queries, part, deepest, aim.metric, times.at(aim.percentile),
        ignore_identical_ids=collection.ignore_identical_ids, keep=aim.keep or 0, progress=progress,
    )  # fmt: skip
    measured: dict[tuple[int, ...], Latency] = {}

    def measure(choice: Choice) -> float:
        if choice.depths not in measured:
            at = cascade.at(*choice.depths, blends=choice.blends)
            measured[choice.depths] = timed(at, queries, aim.k, aim.calls, aim.limit)[0]
        return aim.of_latency(measured[choice.depths])

    say("timing what was chosen, end to end")
    chosen, broken = confirmed(on_dev.choices, aim.budget, measure)
    if chosen is None:
        least = min([*on_dev.choices, *broken], key=lambda one: (not one.is_measured, one.latency))
        depths = ", ".join(map(str, least.depths))
        raise InputError(
            f"no depth keeps {aim.budget:g} ms: the first stage alone, {cascade.first.label}, takes {first:.1f} ms, "
            f"depth {depths} {least.latency:.1f} ms (p{aim.percentile}, measured here). Raise --budget-ms"
        )
    chosen = with_last_blend(cascade, chosen, queries, part, aim.metric, collection.ignore_identical_ids)
    spec_latency = timed(cascade, queries, aim.k, aim.calls, aim.limit)[0]
    handed: dict[str, Any] = {}
    if aim.keep is not None:
        last = cascade.steps[-1].stage
        handed = {"handed_on": handed_on(on_dev, last, part, aim.keep, chosen), "tokens_are": counted_by(last)}
    say(f"confirming on {split}, once")
    return {
        "kind": "tune",
        "title": f"{collection.title}, {split}",
        "cascade": cascade.label,
        "fingerprint": cascade.fingerprint,
        "stages": [stage.label for stage in cascade],
        "task": collection.name,
        "subset": collection.subset,
        "split": split,
        "dev": dev,
        "dev_queries": len(queries),
        "relevance_level": collection.split(split).qrels.relevance_level,
        "dev_relevance_level": part.qrels.relevance_level,
        "metric": aim.metric,
        "budget_ms": aim.budget,
        "percentile": aim.percentile,
        "keep": aim.keep,
        "deepest": deepest,
        "looked_at": on_dev.how,
        "front": [one.as_json() for one in frontier(on_dev.choices)],
        "chosen": chosen.as_json(),
        "over_budget": [one.as_json() for one in broken],
        "confirmed": confirmation(
            cascade, chosen, collection, split, aim.metric, keep=aim.keep, seed=seed, progress=progress
        ),
        "latency": {
            "first stage": {f"p{aim.percentile}": first},
            "spec": spec_latency.as_json(),
            "chosen": measured[chosen.depths].as_json(),
            "machine": machine(),
            **times.as_json(),
        },
        **handed,
        "provenance": record_of(cascade, collection, split, seed=seed),
    }


def refuse_unfit(collection: Collection, split: str) -> None:
    """Raise InputError where a split brings its own candidates, or no query of it has a relevant document."""
    part = collection.split(split)
    if part.candidates is not None:
        raise InputError(
            f"{collection.title} is a reranking task: it brings its candidates, and no depth can be chosen"
        )
    refuse_without_positives(part, f"{collection.title}, {split}")


def depth_of(cascade: Cascade, collection: Collection, depth: int | None) -> int:
    """The deepest depth to look at.

    Raises:
        InputError: It is below 1 or over the corpus.
    """
    if depth is None:
        return min(max(DEPTH, *cascade.depths), len(collection.corpus))
    if not 1 <= depth <= len(collection.corpus):
        raise InputError(
            f"depth: expected 1 to {len(collection.corpus):,}, the documents of {collection.title}, got {depth:,}"
        )
    return depth
