"""What a funnel keeps of exact search, how long it takes and how large it is; a setting is proposed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.dev_split import check_fraction, refuse_without_dev, with_dev
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.engine.latency import CALLS, machine
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.funnel_points import Point, bytes_of, exact_bytes, kept_of, proposed, time_of
from mteb_cascade.experiments.funnel_settings import SHARES, Setting, alone, grid, with_faiss
from mteb_cascade.experiments.sweep_files import refuse_unwritable, write_result
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.funnel import Funnel
from mteb_cascade.stages.load import load
from mteb_cascade.stages.provenance import record_of
from mteb_cascade.store.precision import check_precision
from mteb_cascade.values.pareto import front
from mteb_cascade.values.run import Run

DEPTH = 100
GOAL = 0.99
OUTPUT = Path("results/funnel")


def study(
    name: str | Path | Stage,
    task: str | Path,
    *,
    depth: int = DEPTH,
    goal: float = GOAL,
    shares: Sequence[float] = SHARES,
    faiss: Sequence[str] = (),
    split: str | None = None,
    subset: str | None = None,
    dev_fraction: float | None = None,
    seed: int = 0,
    calls: int = CALLS,
    precision: str = "float32",
    allow_empty: bool = False,
    output: Path | None = OUTPUT,
    say: Callable[[str], object] = lambda text: None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Look at many settings of a funnel over a bi-encoder, propose one, and confirm it on a split once.

    Every setting is measured on development queries: the kept share of the exact top, the time of single queries and
    the bytes that an index keeps. Judgements are not looked at.

    Args:
        name: A bi-encoder, or a funnel, whose own setting is then one of the points.
        task: PythonDocs, a BEIR folder, or a task of mteb.
        depth: Documents of the exact ranking that shall be found.
        goal: Mean share of them that the proposed setting has to keep, in (0, 1].
        shares: Of the corpus that is rescored in full: each becomes a `keep` of the grid.
        faiss: Factory strings, perhaps with parameters: "IVF64,Flat;nprobe=8".
        split: Split that confirms; the collection's default split where none is named.
        subset: hf_subset of a multilingual task.
        dev_fraction: Where there is no dev split: this share of the split's queries.
        seed: Of `dev_fraction` and of resampling.
        calls: Single queries timed at each setting.
        precision: What an index would keep the full vectors in: it counts the bytes, nothing else.
        allow_empty: Accept documents without text.
        output: Folder of the result JSON; None writes none.
        say: Told what is going on.
        progress: Told of the settings measured.

    Returns:
        What the JSON holds.

    Raises:
        InputError: `name` is neither, a number or name is none that can be meant, or there are no development queries.
    """
    check(depth, goal, shares, calls)
    check_fraction(dev_fraction)
    if seed < 0:
        raise InputError(f"seed: expected 0 or more, got {seed}")
    check_precision(precision)
    stage = load(name)
    encoder = encoder_of(stage)
    collection = load_collection(task, split, subset=subset, allow_empty=allow_empty)
    collection, split, dev = with_dev(collection, split or collection.default_split, dev_fraction, seed)
    dev = refuse_without_dev(collection, split, dev)
    if depth >= len(collection.corpus):
        raise InputError(
            f"depth: expected fewer than the {len(collection.corpus):,} documents of {collection.title}, got {depth:,}"
        )
    if output is not None:
        refuse_unwritable(output)
    stage.prepare()
    result = studied(
        stage, encoder, collection, split, dev, depth, goal, shares, faiss, calls, precision, seed, say, progress
    )
    result["source"] = str(task)
    if output is not None:
        beside = "" if collection.subset == "default" else f".{collection.subset}"
        file = f"{stage.label.replace('/', '__')}.{stage.fingerprint[:8]}.{collection.name}{beside}.{split}.json"
        result["path"] = str(output / file)
        write_result(result, output / file)
    return result


def check(depth: int, goal: float, shares: Sequence[float], calls: int) -> None:
    """Raise InputError where a number is none that can be meant."""
    if depth < 1:
        raise InputError(f"depth: expected at least 1 document, got {depth}")
    if not 0 < goal <= 1:
        raise InputError(f"goal: expected a share of the exact top above 0 and up to 1, such as .99, got {goal:g}")
    for share in shares:
        if not 0 < share < 1:
            raise InputError(f"share: expected a share of the corpus between 0 and 1, such as .02, got {share:g}")
    if calls < 1:
        raise InputError(f"calls: expected at least 1, got {calls}")


def encoder_of(stage: Stage) -> BiEncoder:
    """The bi-encoder that a funnel stands on.

    Raises:
        InputError: The stage is neither a bi-encoder nor a funnel.
    """
    encoder = stage.model if isinstance(stage, Funnel) else stage
    if not isinstance(encoder, BiEncoder):
        raise InputError(
            f"{stage.label} is a {stage.kind}: only a bi-encoder's vectors go through a funnel. Name a bi-encoder or a "
            "funnel"
        )
    return encoder


def studied(
    stage: Stage,
    encoder: BiEncoder,
    collection: Collection,
    split: str,
    dev: str,
    depth: int,
    goal: float,
    shares: Sequence[float],
    faiss: Sequence[str],
    calls: int,
    precision: str,
    seed: int,
    say: Callable[[str], object],
    progress: Progress,
) -> dict[str, Any]:
    """The result, but for where it came from and where it goes; arguments as for `study`, checked."""
    corpus, context = collection.corpus, collection.context(dev)
    queries = collection.split(dev).queries.within(**context)
    encoder.index(corpus, **context)
    say(f"searching {len(corpus):,} documents exactly for the {len(queries):,} queries of {dev}")
    exact = encoder.retrieve(queries, depth)
    width = encoder.encode_queries([queries.texts[0]]).shape[1]
    own = [Setting(tuple(stage.steps), "spec")] if isinstance(stage, Funnel) else []
    if own and own[0].steps[-1].keep < depth:
        raise InputError(
            f"{stage.label}: its last step keeps {own[0].steps[-1].keep} documents, fewer than the {depth} that shall "
            f"be found; give --depth {own[0].steps[-1].keep}"
        )
    settings = [*own, *grid(len(corpus), width, depth, shares), *with_faiss(faiss, len(corpus), depth, shares)]
    lone = alone(width, depth)
    say(f"measuring {len(settings) + len(lone)} settings, {calls} single queries each")

    def funnel_of(setting: Setting) -> Funnel:
        funnel = Funnel(encoder, *setting.steps)
        funnel.index(corpus, **context)
        return funnel

    points: list[Point] = []
    for number, setting in enumerate(settings):
        progress(number, len(settings), setting.label())
        funnel = funnel_of(setting)
        kept = kept_of(funnel.retrieve(queries, depth), exact, depth)
        points.append(Point(setting, kept, time_of(funnel, queries, depth, calls), bytes_of(funnel, corpus, precision)))
    by_itself = [
        {"label": one.family(), "kept": kept_of(funnel_of(one).retrieve(queries, depth), exact, depth)} for one in lone
    ]
    progress(len(settings), len(settings), "")
    on_front = front([one.latency.p50 for one in points], [one.kept["top"] for one in points])
    chosen = proposed(points, goal)
    told = [one.as_json(len(corpus), width) | {"front": row in on_front} for row, one in enumerate(points)]
    say(f"confirming on {split}, once")
    return {
        "kind": "funnel",
        "title": f"{collection.title}, {split}",
        "model": encoder.label,
        "fingerprint": stage.fingerprint,
        "task": collection.name,
        "subset": collection.subset,
        "split": split,
        "dev": dev,
        "dev_queries": len(queries),
        "documents": len(corpus),
        "dimensions": width,
        "depth": depth,
        "goal": goal,
        "precision": precision,
        "exact": {
            "latency": time_of(encoder, queries, depth, calls).as_json(),
            "scanned": 4 * width,
            "bytes": exact_bytes(encoder, precision),
        },
        "encoding": encoding_time(encoder, list(queries.texts), calls),
        "alone": by_itself,
        "points": told,
        "chosen": None if chosen is None else told[chosen],
        "confirmed": confirmed(encoder, funnel_of, points, chosen, collection, split, depth, seed),
        "machine": machine(),
        "provenance": record_of(stage, collection, split, seed=seed),
    }


def confirmed(
    encoder: BiEncoder,
    funnel_of: Callable[[Setting], Funnel],
    points: Sequence[Point],
    chosen: int | None,
    collection: Collection,
    split: str,
    depth: int,
    seed: int,
) -> dict[str, Any]:
    """What the proposed setting, and the model's own, keep on queries that chose nothing."""
    part, context = collection.split(split), collection.context(split)
    queries = part.queries.within(**context)
    exact: Run | None = None
    found: dict[str, Any] = {"queries": len(queries)}
    rows = {"spec": 0 if points[0].setting.origin == "spec" else None, "chosen": chosen}
    for name, row in rows.items():
        if row is None:
            continue
        exact = exact or encoder.retrieve(queries, depth)
        run = funnel_of(points[row].setting).retrieve(queries, depth)
        found[name] = kept_of(run, exact, depth, part.clusters, seed=seed)
    return found


def encoding_time(encoder: BiEncoder, texts: Sequence[str], calls: int) -> dict[str, Any]:
    """Milliseconds that encoding a single query takes: part of every setting's time."""
    from mteb_cascade.engine.latency import latency

    singles = [[text] for text in texts[:calls]]
    return latency(lambda one: np.asarray(encoder.encode_queries(one)), singles, calls=calls).as_json()
