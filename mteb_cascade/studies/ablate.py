"""An ablation: one model trained in several ways and with several seeds, and which differences are more than chance."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mteb_cascade.atomic import make_writable, replaced
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.base import Stage, hash_of
from mteb_cascade.stages.files import digests, model_files
from mteb_cascade.stages.load import build, load
from mteb_cascade.stages.provenance import record_of
from mteb_cascade.store.switch import bypassed
from mteb_cascade.studies.ablation_plan import RERANKER, Ablation, Cell, read
from mteb_cascade.studies.ablation_table import Table, markdown, tabled
from mteb_cascade.training.train import train
from mteb_cascade.training.watching.collapse import Collapse, Spread, of_stage, spread
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.measures import Measure, evaluate
from mteb_cascade.values.run import Run

OUTPUT = Path("results/ablations")
SAMPLE = 256
"""Documents whose vectors tell a collapse."""


def ablate(
    file: Path,
    *,
    output: Path = OUTPUT,
    keep_models: bool = False,
    dry_run: bool = False,
    say: Callable[[str], object] = lambda text: None,
    progress: Progress = silent,
) -> Table | None:
    """Train and evaluate every cell of an ablation that is not done yet, and compare them all.

    A cell that fails is kept as failed, with its reason, and tried again the next time. A killed ablation goes on with
    the cell that it was at.

    Args:
        file: The TOML file.
        output: Folder of one folder an ablation.
        keep_models: Keep the cells' models once they are evaluated.
        dry_run: Say what there is to do, and train nothing.
        say: Told what is going on.
        progress: Told of each training.

    Returns:
        The table, which `<output>/<name>.md` and `.json` hold, too; None on a dry run.

    Raises:
        InputError: Before any training: with every mistake of the file; after it: every cell failed.
    """
    ablation = read(file)
    folder = output / ablation.name
    jobs = [
        (cell, seed, folder / cell.name / f"seed-{seed}", key_of(ablation, cell, seed)) for cell, seed in ablation.runs
    ]
    done = sum(finished(where, key) is not None for _, _, where, key in jobs)
    say(f"{ablation.name}: {len(jobs)} trainings of {ablation.spec.short_name}, {done} done")
    if dry_run:
        for cell, seed, where, key in jobs:
            say(f"{cell.name}, seed {seed}: {'done' if finished(where, key) else 'to do'}")
        return None
    make_writable(folder)
    results = []
    for number, (cell, seed, where, key) in enumerate(jobs, 1):
        result = finished(where, key)
        if result is None:
            say(f"{number} of {len(jobs)}: {cell.name}, seed {seed}")
            result = tried(ablation, cell, seed, where, key, progress)
            if "failed" in result:
                say(f"{cell.name}, seed {seed}: failed: {result['failed']}")
        if not keep_models and "failed" not in result:
            forget(where)
        results.append(result)
    table = tabled(ablation, results)
    keep(output / f"{ablation.name}.json", table.as_json())
    with replaced(output / f"{ablation.name}.md") as beside:
        beside.write_text(markdown(table), encoding="utf-8")
    return table


def key_of(ablation: Ablation, cell: Cell, seed: int) -> str:
    """What decides a cell's result: spec, overrides, data, and the models that either names."""
    split = ablation.collection.split(ablation.split)
    training = dict(ablation.spec.training)
    named = [ablation.first, *named_in(training), *named_in(dict(cell.overrides))]
    return hash_of(
        {
            "kind": ablation.spec.kind,
            "options": dict(ablation.spec.options),
            "training": training,
            "overrides": dict(cell.overrides),
            "seed": seed,
            "corpus": ablation.collection.corpus.digest,
            "queries": split.queries.digest,
            "qrels": hash_of({query: dict(grades) for query, grades in split.qrels.grades.items()}),
            "relevance_level": split.qrels.relevance_level,
            "split": ablation.split,
            "measures": ablation.measures,
            "depth": ablation.depth,
            "named": {name: state_of(name) for name in sorted(set(named)) if name},
        }
    )


def named_in(table: dict[str, Any]) -> list[str]:
    """Every text in a table, the tables below it included: some name models, files or folders."""
    found: list[str] = []
    for value in table.values():
        if isinstance(value, dict):
            found += named_in(value)
        elif isinstance(value, list):
            found += [one for one in value if isinstance(one, str)]
        elif isinstance(value, str):
            found.append(value)
    return found


def state_of(name: str) -> Any:
    """Digests of the file or folder of this name, or the spec of this name and its weights; None for anything else."""
    from mteb_cascade import spec as specs

    path = Path(name).expanduser()
    if path.is_file():
        return digests([path])
    if path.is_dir():
        return digests(sorted(one for one in path.rglob("*") if one.is_file()))
    spec = specs.find(name) if specs.NAME.fullmatch(name) else None
    if spec is None:
        return None
    parts = [part.get("model", "") for table in ("stage", "member") for part in spec.options.get(table, [])]
    return [spec.kind, dict(spec.options), digests(model_files(spec.weights)), [state_of(part) for part in parts]]


def finished(where: Path, key: str) -> dict[str, Any] | None:
    """The result of a cell, where it is whole, of this very key, and no failure."""
    try:
        result: dict[str, Any] = json.loads((where / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result if isinstance(result, dict) and result.get("key") == key and "failed" not in result else None


def tried(ablation: Ablation, cell: Cell, seed: int, where: Path, key: str, progress: Progress) -> dict[str, Any]:
    """Train and evaluate one cell, and write what came of it.

    Raises:
        OSError: The disk is full, or the like: the next cell would fail, too.
    """
    result: dict[str, Any] = {
        "key": key,
        "cell": cell.name,
        "overrides": dict(cell.overrides),
        "seed": seed,
        "spec": ablation.spec.name,
    }
    try:
        result["train_seconds"] = trained(ablation, cell, seed, where, key, progress)
        result |= evaluated(ablation, where / "model", seed, progress)
    except OSError:
        raise
    except Exception as error:  # whatever a cell fails with is its result; the others are still tried
        reason = in_one_line(error) or "no reason given"
        result["failed"] = reason if isinstance(error, InputError) else f"{type(error).__name__}: {reason}"
    keep(where / "result.json", result)
    return result


def trained(ablation: Ablation, cell: Cell, seed: int, where: Path, key: str, progress: Progress) -> float:
    """Train a cell's model, unless the one of this very key is there; the seconds that it took, the last time."""
    state = where / "training.json"
    before = json.loads(state.read_text(encoding="utf-8")) if state.is_file() else {}
    if before.get("key") != key:
        forget(where)
    elif "seconds" in before and (where / "model").is_dir():
        return float(before["seconds"])
    keep(state, {"key": key})
    start = time.perf_counter()
    train(ablation.spec.short_name, overrides=cell.overrides, seed=seed, folder=where / "model", progress=progress)
    seconds = round(time.perf_counter() - start, 1)
    keep(state, {"key": key, "seconds": seconds})
    return seconds


def keep(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all."""
    with replaced(path) as beside:
        beside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")


def evaluated(ablation: Ablation, model: Path, seed: int, progress: Progress) -> dict[str, Any]:
    """What a trained cell is worth: every measure of every query, and whether the model collapsed."""
    stage = build(replace(ablation.spec, options={**ablation.spec.options, "model": str(model)}))
    run, reading = reranked(ablation, stage, progress) if stage.kind == RERANKER else retrieved(ablation, stage)
    if ablation.collection.ignore_identical_ids:
        run = run.without_identical_ids()
    found = evaluate(run, ablation.collection.split(ablation.split).qrels, ablation.measures)
    per_query = {
        query: {name: None if np.isnan(values[row]) else round(float(values[row]), 6) for name, values in found.items()}
        for row, query in enumerate(run.query_ids)
    }
    return {
        "fingerprint": stage.fingerprint,
        "collapse": {name: rounded(value) for name, value in reading.figures.items()} | {"verdict": reading.verdict},
        "queries": per_query,
        "provenance": record_of(stage, ablation.collection, ablation.split, seed=seed),
    }


def rounded(value: float) -> float | None:
    """A figure as JSON has it."""
    return round(value, 4) if np.isfinite(value) else None


def retrieved(ablation: Ablation, stage: Stage) -> tuple[Run, Collapse]:
    """What an encoder retrieves, and what its vectors have in common. Nothing is stored of a model that goes away."""
    collection = ablation.collection
    context = collection.context(ablation.split)
    queries = collection.split(ablation.split).queries.within(**context)
    drawn = np.random.default_rng(0).permutation(len(collection.corpus))[:SAMPLE]
    with bypassed():
        stage.index(collection.corpus, **context)
        run = stage.retrieved(queries, deepest(ablation))
        return run, of_stage(stage, collection.corpus.texts_at(np.sort(drawn)))


def reranked(ablation: Ablation, stage: Stage, progress: Progress) -> tuple[Run, Spread]:
    """The first stage's candidates as a reranker ranks them, and how its scores spread."""
    collection = ablation.collection
    context = collection.context(ablation.split)
    queries = collection.split(ablation.split).queries.within(**context)
    first = load(ablation.first)
    first.index(collection.corpus, **context)
    received = first.retrieved(queries, deepest(ablation))
    with bypassed():
        scores = stage.scored(queries, received.cut(ablation.depth), progress)
    return rerank(received, scores, ablation.depth), spread(scores)


def deepest(ablation: Ablation) -> int:
    """Documents that are retrieved: the depth, or the largest cut-off of the measures."""
    return max(ablation.depth, *(Measure.parse(measure).cutoff for measure in ablation.measures))


def forget(where: Path) -> None:
    """Take a cell's model away, and the folder that it was trained in."""
    for folder in (where / "model", where / ".model.training"):
        shutil.rmtree(folder, ignore_errors=True)
