"""A sweep of depths: one scoring pass of ours against mteb's recipe, which scores again for every depth.

mteb's recipe is `task.convert_to_reranking(folder, top_k=depth)` and `mteb.evaluate` for each depth, its cache off,
since with it the first depth's figures come back for all (its key has no depth); BM25's lists are given to it. Ours
is `mteb_cascade.sweep` from BM25 on, in float32 and with our defaults, the store bypassed; what our defaults need once
for a model (a probe, a conversion) is paid before and told apart. Loading is in every time. The model has MiniLM-L6's
shape and weights and a random head, so what it ranks is no matter; the figures of both have to agree at every depth:
first for one query and two depths, which also warms everyone, and at the end for all.

    python benchmarks/sweep_speed.py [--size bench] [--queries 20] [--depths 10 20 ... 100]
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import mteb
import numpy as np
from minilm import beir, random_head
from sentence_transformers import CrossEncoder as Network
from turns import Row, alternate, parser, write

from mteb_cascade.corpora.beir import load as load_beir
from mteb_cascade.experiments.sweep import sweep
from mteb_cascade.mteb_plugin.folder_tasks import folder_task
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.store.switch import bypassed

NAMES = {"recall@1": "recall_at_1", "mrr@10": "mrr_at_10", "ndcg@10": "ndcg_at_10"}
WANTED = {"ours, float32": 6.0, "ours, our defaults": 18.0}
SIZES = {"small": (1, 2), "bench": (4, 1), "full": (20, 1), "gpu": (100, 3)}
"""Queries, rounds: in one, mteb scores for minutes, which even a machine's moods out."""

Figures = dict[str, list[float]]


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--queries", type=int)
    options.add_argument("--depths", type=int, nargs="+", default=list(range(10, 101, 10)))
    given = options.parse_args()
    queries, rounds = SIZES[given.size]
    queries, depths = given.queries or queries, sorted(given.depths)
    source = beir("scifact")
    with tempfile.TemporaryDirectory() as place:
        model = random_head(Path(place) / "minilm-cross-encoder")
        start = perf_counter()
        chosen = prepared(model)
        print(f"prepared (probe and conversion where they were not kept) in {perf_counter() - start:.1f} s: {chosen}")
        agree({name: way() for name, way in ways_of(source, Path(place) / "one", model, 1, [5, 10]).items()})
        ways = ways_of(source, Path(place) / "all", model, queries, depths)
        taken = alternate(ways, given.rounds or rounds, warm=0)
    apart = agree(taken.values)
    work = f"sweep, {len(depths)} depths to {max(depths)}, {queries} SciFact queries"
    taken.show(work, "ours, float32")
    notes = {"ours, our defaults": f"{chosen}; figures move by {apart:.4f} at most"}
    rows = [
        Row(
            f"{work}, {name.removeprefix('ours, ')}",
            "mteb's recipe",
            taken.ratio("mteb", name),
            wanted,
            note=notes.get(name, ""),
        )
        for name, wanted in WANTED.items()
    ]
    write("sweep_speed", given, rows, depths=depths, chosen=chosen, **taken.as_json())


def ways_of(
    source: Path, place: Path, model: Path, queries: int, depths: list[int]
) -> dict[str, Callable[[], Figures]]:
    """The three ways over so many queries of SciFact."""
    folder = few_queries(source, place / "scifact", queries)
    collection = load_beir(folder)
    first = BM25()
    first.index(collection.corpus)
    lists = write_candidates(first, collection.split("test").queries, max(depths), place / "candidates")
    return {
        "mteb": partial(mteb_recipe, folder, model, lists, depths),
        "ours, float32": partial(our_sweep, folder, model, depths, dtype="float32"),
        "ours, our defaults": partial(our_sweep, folder, model, depths),
    }


def prepared(model: Path) -> str:
    """What our defaults compute in, once that is found and made ready."""
    stage = CrossEncoder(model=str(model))
    stage.prepare()
    return str(stage.number_format)


def agree(found: dict[str, Figures]) -> float:
    """mteb's figures and ours in float32 are the same; how far those of our defaults are."""

    def apart(name: str) -> float:
        return max(float(np.abs(np.subtract(found[name][one], found["ours, float32"][one])).max()) for one in NAMES)

    print(f"figures of mteb and ours in float32 differ by {apart('mteb'):.1e} at most", flush=True)
    if apart("mteb") > 1e-4:
        raise SystemExit("the figures do not agree")
    return apart("ours, our defaults")


def few_queries(source: Path, folder: Path, count: int) -> Path:
    """The BEIR folder with the first judged queries of its test split alone."""
    (folder / "qrels").mkdir(parents=True)
    head, *rows = (source / "qrels" / "test.tsv").read_text().splitlines()
    kept = list(dict.fromkeys(row.split("\t")[0] for row in rows))[:count]
    own = [row for row in rows if row.split("\t")[0] in kept]
    (folder / "qrels" / "test.tsv").write_text("\n".join([head, *own]) + "\n")
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / name).symlink_to((source / name).resolve())
    return folder


def write_candidates(first: Stage, queries: Any, depth: int, folder: Path) -> Path:
    """The first stage's lists as mteb's prediction file, which is what its recipe starts from."""
    folder.mkdir(parents=True)
    task = folder_task(folder.parent / "scifact")()
    lists = {"default": {"test": first.retrieve(queries, depth).as_dict()}}
    meta = {"mteb_model_meta": {"model_name": "bm25", "revision": "1"}}
    (folder / f"{task.metadata.name}_predictions.json").write_text(json.dumps(meta | lists))
    return folder


def mteb_recipe(folder: Path, model: Path, lists: Path, depths: list[int]) -> Figures:
    """mteb's way: a reranking task of each depth, scored each time; the cross-encoder is loaded once."""
    import torch

    network = Network(str(model), activation_fn=torch.nn.Identity(), local_files_only=True)
    found: Figures = {name: [] for name in NAMES}
    for depth in depths:
        task = folder_task(folder)().convert_to_reranking(lists, top_k=depth)
        result = mteb.evaluate(network, task, cache=None, overwrite_strategy="always", show_progress_bar=False)
        scores = result.task_results[0].scores["test"][0]
        for name, theirs in NAMES.items():
            found[name].append(scores[theirs])
    return found


def our_sweep(folder: Path, model: Path, depths: list[int], **options: Any) -> Figures:
    """Our way: every depth from one scoring pass, BM25's index and search included."""
    with bypassed():
        stage = CrossEncoder(model=str(model), **options)
        (found,) = sweep(first=[BM25()], rerank=[stage], tasks=[folder], depth=max(depths), dev=False, output=None)
    curves = found.result["curves"]
    return {name: [curves[name]["alone"][depth - 1] for depth in depths] for name in NAMES}


if __name__ == "__main__":
    main()
