"""The main job on real text: train, compose, choose on dev, evaluate through mteb, and say what the reranker bought."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from mteb_cascade import spec as specs
from mteb_cascade.atomic import replaced
from mteb_cascade.corpora import pythondocs, run_files
from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.choose import choose_depth_and_blend, choose_weight, scored
from mteb_cascade.progress import bar
from mteb_cascade.report.depth_curve import draw
from mteb_cascade.report.tables import figure, significance, table
from mteb_cascade.spec_edit import write_values
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.stages.load import load
from mteb_cascade.stages.provenance import record_of
from mteb_cascade.training.train import train
from mteb_cascade.values.curves import OUTCOMES, curves, oracle_scores, outcomes
from mteb_cascade.values.measures import REPORTED, evaluate, mean
from mteb_cascade.values.statistics import holm, interval, paired_bootstrap

MODELS = ("our-bm25", "our-biencoder", "our-hybrid", "our-cascade")
SHOWN = ("success@1", "recall@1", "recall@10", "recall@100", "ndcg@10")
PANELS = ("success@1", "recall@10")
CLAIMS = (
    ("our-biencoder", "our-bm25", "recall@100"),
    ("our-hybrid", "our-bm25", "recall@10"),
    ("our-hybrid", "our-biencoder", "recall@10"),
    ("our-cascade", "our-hybrid", "success@1"),
    ("our-cascade", "our-bm25", "success@1"),
)
"""(better, worse, measure): tested on test, Holm-corrected together."""

TASK = "PythonDocsRetrieval"
DEPTH = 100
RESAMPLES = 10_000
BAND_RESAMPLES = 1_000

S = TypeVar("S", bound=Stage)
PerQuery = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Steps:
    """Says which step has begun, and how long each took."""

    console: Console
    begun: float

    def say(self, text: str) -> None:
        """One line with the time so far."""
        self.console.print(Text(f"{time.monotonic() - self.begun:5.0f} s  {text}"))

    def doing(self, text: str) -> AbstractContextManager[object]:
        """A sign of life on a terminal while something without steps of its own goes on."""
        return self.console.status(Text(text))


def run(output: Path, *, seeds: int = 3) -> dict[str, Any]:
    """Do everything, print the tables, and write results and figure.

    Args:
        output: Folder for `demo.json`, `demo.png` and mteb's own result files.
        seeds: Seeds of the bi-encoder, for mean and spread.

    Returns:
        What demo.json holds.

    Raises:
        InputError: The specs of the demo are not in ./models.
    """
    missing = [name for name in (*MODELS, "our-reranker") if specs.find(name) is None]
    if missing:
        raise InputError(f"no spec of {', '.join(missing)} in ./models; run the demo from a checkout of mteb-cascade")
    steps = Steps(Console(), time.monotonic())
    collection = pythondocs.load()
    test = collection.split("test")
    steps.say(
        f"PythonDocs ({collection.note}): {len(collection.corpus):,} documents, {len(test.queries):,} test queries"
    )
    spread = seeds_of_biencoder(collection, seeds, steps)
    with bar("training our-reranker") as progress:
        train("our-reranker", progress=progress)
    steps.say("trained our-reranker on the train split")
    with steps.doing("choosing weight, depth and blend on dev"):
        choices = chosen_on_dev(collection, steps)
    result = {
        "task": TASK,
        "note": collection.note,
        "revision": collection.revision,
        "split": "test",
        "queries": len(test.queries),
        "relevance_level": test.qrels.relevance_level,
        "first_stage": "our-hybrid",
        "chosen_on_dev": choices,
        **measured(collection, output, steps),
        "biencoder_seeds": spread,
        "highest_recall@1": float(np.mean(1 / test.qrels.relevant_counts(test.queries.ids))),
    }
    with replaced(output / "demo.json") as beside:
        beside.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    title = f"PythonDocs test ({collection.note}, {len(test.queries):,} queries): our-hybrid, then our-reranker"
    sweep = result["sweep"]
    draw(sweep["curves"], output / "demo.png", title=title, bands=sweep["bands"], chosen=choices["depth"])
    show(result, steps.console)
    steps.say(f"wrote {output / 'demo.json'} and {output / 'demo.png'}")
    return result


def seeds_of_biencoder(collection: Collection, seeds: int, steps: Steps) -> dict[str, dict[str, Any]]:
    """Train the bi-encoder with several seeds; the spec's own stays, the others are measured and dropped.

    Returns:
        {measure: {"seeds": a figure each, "mean", "spread"}}, the spread as a standard deviation.
    """
    test = collection.split("test")
    found: dict[str, list[float]] = {measure: [] for measure in REPORTED}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(seeds):
            with bar(f"our-biencoder, seed {seed}") as progress:
                where = train(
                    "our-biencoder", seed=seed, folder=Path(folder) / str(seed) if seed else None, progress=progress
                )
            stage = load(where)
            stage.index(collection.corpus)
            for measure, values in evaluate(stage.retrieve(test.queries, DEPTH), test.qrels, REPORTED).items():
                found[measure].append(float(mean(values)))
    steps.say(f"trained our-biencoder from scratch with {seeds} seeds")
    return {
        measure: {
            "seeds": values,
            "mean": float(np.mean(values)),
            "spread": float(np.std(values, ddof=min(1, seeds - 1))),
        }
        for measure, values in found.items()
    }


def chosen_on_dev(collection: Collection, steps: Steps) -> dict[str, Any]:
    """Choose the hybrid's weight, then the cascade's depth and blend, on dev, and write them into the specs."""
    dev = collection.split("dev")
    hybrid = indexed("our-hybrid", Hybrid, collection)
    weight, _ = choose_weight(hybrid, dev)
    changed = write_values(specs.required("our-hybrid"), "member", 0, {"weight": weight})
    cascade = indexed("our-cascade", Cascade, collection)
    given = scored(cascade, dev, DEPTH)
    depth, blend, tried = choose_depth_and_blend(given, dev)
    changed |= write_values(specs.required("our-cascade"), "stage", 1, {"depth": depth, "blend": blend})
    steps.say(
        f"chosen on dev: BM25 weight {weight:g}, depth {depth}, blend {blend:g}"
        + (" (written to models/)" if changed else "")
    )
    return {"weight": weight, "depth": depth, "blend": blend, "dev_mrr@10": tried[depth, blend]}


def indexed(name: str, kind: type[S], collection: Collection) -> S:
    """A stage of the demo over the collection's corpus.

    Raises:
        InputError: Somebody made its spec another kind.
    """
    stage = load(name)
    if not isinstance(stage, kind):
        raise InputError(f"{name}: the demo needs a {kind.kind}, its spec says {stage.kind}")
    stage.index(collection.corpus)
    return stage


def measured(collection: Collection, output: Path, steps: Steps) -> dict[str, Any]:
    """What the models that are on this disk reach on test.

    Returns:
        `scores` of every model, `comparisons`, `sweep`, and `provenance` of every model.
    """
    test = collection.split("test")
    with steps.doing("evaluating through mteb"):
        per_query = through_mteb(test, output, steps)
    with steps.doing("testing the claims, and scoring every depth on test"):
        return {
            "scores": {
                name: {measure: float(mean(values[measure])) for measure in REPORTED}
                for name, values in per_query.items()
            },
            "comparisons": tested(per_query, test),
            "sweep": swept(collection, test),
            "provenance": {name: record_of(load(name), collection, "test") for name in MODELS},
        }


def through_mteb(split: Split, output: Path, steps: Steps) -> dict[str, PerQuery]:
    """Evaluate every model with mteb, and measure the very predictions that mteb wrote, query by query.

    Raises:
        RuntimeError: mteb's figures and ours differ.
    """
    import logging

    import mteb

    from mteb_cascade.mteb_plugin.registry import register

    register()
    logging.getLogger("mteb").setLevel(logging.ERROR)
    corpus = pythondocs.load().corpus
    found = {}
    for name in MODELS:
        task = mteb.get_task(TASK)
        model = mteb.get_model(name)
        with tempfile.TemporaryDirectory() as predictions:
            results = mteb.evaluate(
                model,
                task,
                cache=mteb.ResultCache(output.absolute().parent if output.name == "results" else output),
                overwrite_strategy="always",
                prediction_folder=predictions,
                show_progress_bar=False,
            )
            (file,) = Path(predictions).glob("*.json")
            ranked = run_files.read(file).run(split.queries, corpus)
        found[name] = evaluate(ranked, split.qrels, REPORTED)
        theirs = results.task_results[0].scores["test"][0]["ndcg_at_10"]
        ours = float(mean(found[name]["ndcg@10"]))
        if abs(theirs - ours) > 1e-4:
            raise RuntimeError(
                f"{name}: mteb says nDCG@10 {theirs:.5f}, ir-measures {ours:.5f} for the same predictions"
            )
    steps.say(f"evaluated {len(MODELS)} models through mteb; its nDCG@10 equals ir-measures'")
    return found


def tested(per_query: Mapping[str, PerQuery], split: Split) -> list[dict[str, Any]]:
    """Each claim with its interval and Holm-corrected p-value, modules resampled."""
    pairs = [(per_query[better][measure], per_query[worse][measure]) for better, worse, measure in CLAIMS]
    compared = [paired_bootstrap(a, b, split.clusters, resamples=RESAMPLES) for a, b in pairs]
    corrected = holm([one.p_value for one in compared])
    return [
        {"better": better, "worse": worse, "measure": measure, "difference": one.difference, "low": one.low,
         "high": one.high, "p": one.p_value, "p_holm": float(p_holm)}
        for (better, worse, measure), one, p_holm in zip(CLAIMS, compared, corrected, strict=True)
    ]  # fmt: skip


def swept(collection: Collection, split: Split) -> dict[str, Any]:
    """Every depth of the cascade on a split from one scoring pass: curves, intervals, and what became of rank 1."""
    cascade = indexed("our-cascade", Cascade, collection)
    given = scored(cascade, split, DEPTH)
    blend = cascade.steps[-1].blend
    lines = {
        "reranker alone": curves(given.run, given.scores, split.qrels, PANELS),
        "blended": curves(given.run, given.scores, split.qrels, PANELS, blend),
        "oracle": curves(given.run, oracle_scores(given.run.cut(DEPTH), split.qrels), split.qrels, PANELS),
    }
    if not blend:
        del lines["blended"]
    drawn: dict[str, dict[str, list[float]]] = {measure: {} for measure in PANELS}
    bands: dict[str, dict[str, tuple[list[float], list[float]]]] = {measure: {} for measure in PANELS}
    for measure in PANELS:
        for name, values in lines.items():
            drawn[measure][name] = np.round(mean(values[measure]), 5).tolist()
            if name != "oracle":
                low, high = interval(values[measure], split.clusters, resamples=BAND_RESAMPLES)
                bands[measure][name] = (np.round(low, 5).tolist(), np.round(high, 5).tolist())
        first = float(mean(evaluate(given.run, split.qrels, [measure])[measure]))
        drawn[measure]["first stage"] = [round(first, 5)] * DEPTH
    became = outcomes(given.run, given.scores, split.qrels, blend)
    counts = {name: (became == number).sum(axis=0).tolist() for number, name in enumerate(OUTCOMES)}
    return {"blend": blend, "curves": drawn, "bands": bands, "outcomes": counts}


def show(result: Mapping[str, Any], console: Console) -> None:
    """The tables, readable at 80 columns."""
    title = f"{result['task']}, {result['queries']:,} test queries, {result['note']}"
    rows = [[name, *(figure(scores[measure]) for measure in SHOWN)] for name, scores in result["scores"].items()]
    console.print(table(title, ["model", *SHOWN], rows))
    seeds = result["biencoder_seeds"]
    spread = [f"{name} {figure(seeds[name]['mean'])} ± {figure(seeds[name]['spread'])}" for name in SHOWN[2:4]]
    highest, level = figure(result["highest_recall@1"]), result["relevance_level"]
    for line in (
        f"our-biencoder, {len(seeds['recall@1']['seeds'])} seeds: {', '.join(spread)}.",
        f"Relevant: grade >= {level}. Highest possible recall@1: {highest}.",
        "Training read no query of test or dev, and no document relevant to one.",
    ):
        console.print(Text(line))
    rows = []
    for one in result["comparisons"]:
        change, low, high = (signed(one[key]) for key in ("difference", "low", "high"))
        claim, p_value = f"{one['better']} > {one['worse']}", significance(one["p_holm"], RESAMPLES)
        rows.append([claim, one["measure"], f"{change} [{low}, {high}]", p_value])
    heading = ["claim", "in", "by, 95 % interval", ""]
    console.print(table("Paired bootstrap over modules, Holm-corrected", heading, rows))
    depth = result["chosen_on_dev"]["depth"]
    counts = ", ".join(f"{values[depth - 1]:,} {name}" for name, values in result["sweep"]["outcomes"].items())
    console.print(Text(f"At depth {depth}: {counts}."))


def signed(value: float) -> str:
    """A difference with its sign.

    >>> signed(0.0731), signed(-0.02)
    ('+.073', '-.020')
    """
    return ("+" if value >= 0 else "") + figure(value)
