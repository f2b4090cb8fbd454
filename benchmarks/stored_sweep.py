"""A sweep of ten depths once everything is stored: ours against PyTerrier with pyterrier-caching's ScorerCache.

Nothing is scored on either side: every score of BM25's 100 candidates of 20 SciFact queries is stored before, and the
same ones are in both stores. Timed is the sweep with all its figures:

- PyTerrier: `pt.Experiment` of ten pipelines `first % depth >> cache`, BM25's lists as a transformer in memory, its
  data frames made and its cache open before; both of its caches (`ScorerCache`, which its documentation names for a
  small share of a corpus, and the dense one, which holds what it once read in memory), each with the plan that turned
  out quicker;
- ours: `mteb_cascade.sweep` from BM25 on, which gives all 100 depths with intervals, bands and the oracle where the
  other gives ten. It reads its collection from a folder; that is done before, as the other's data frames are made
  before, and told beside it with the reading.

    python benchmarks/stored_sweep.py [--size bench] [--queries 20]
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from minilm import beir, random_head
from peer import Peer, missing
from sweep_speed import few_queries
from turns import Row, alternate, parser, write

from mteb_cascade.corpora.beir import load
from mteb_cascade.corpora.load import load_subsets
from mteb_cascade.experiments.sweep import MEASURES, sweep
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.values.run import Run

WANTED = 3.0
DEPTHS = list(range(10, 101, 10))
THEIRS = {"mrr@10": "RR@10", "success@1": "Success@1"}
SIZES = {"small": (4, 3), "bench": (10, 7), "full": (20, 15), "gpu": (20, 15)}
"""Queries, rounds."""


def theirs(name: str) -> str:
    """A measure as ir-measures calls it."""
    return THEIRS.get(name) or name.replace("recall", "R").replace("ndcg", "nDCG")


def sides(folder: Path, model: Path) -> tuple[Callable[[], Any], dict[str, Any]]:
    """Our sweep, everything stored, and what the peer is to prepare: the same lists and scores."""
    collection = load(folder)
    split = collection.split("test")

    def ours() -> dict[str, list[float]]:
        stage = CrossEncoder(model=str(model))
        (found,) = sweep(first=[BM25()], rerank=[stage], tasks=[folder], depth=100, dev=False, output=None)
        curves = found.result["curves"]
        return {theirs(name): [curves[name]["alone"][depth - 1] for depth in DEPTHS] for name in MEASURES}

    ours()  # stores every score
    first = BM25()
    first.index(collection.corpus)
    run = first.retrieve(split.queries, 100)
    scores = CrossEncoder(model=str(model)).scored(split.queries, run)
    given = {
        "topics": [list(one) for one in zip(split.queries.ids, split.queries.texts, strict=True)],
        "qrels": [[query, doc, grade] for query, one in split.qrels.grades.items() for doc, grade in one.items()],
        "run": listed(run, (run.depth - np.arange(run.depth, dtype=np.float64))[None].repeat(len(run.docs), 0)),
        "scores": [[query, doc, score] for query, doc, score, _ in listed(run, scores)],
        "documents": collection.corpus.ids.to_pylist(),
        "measures": [theirs(name) for name in MEASURES],
        "depths": DEPTHS,
    }
    return ours, given


def read_before(ours: Callable[[], Any], folder: Path) -> Callable[[], Any]:
    """The same with a collection that is in memory already."""
    collections = load_subsets(folder)

    def work() -> Any:
        with mock.patch("mteb_cascade.experiments.sweep.load_subsets", lambda *source, **options: collections):
            return ours()

    return work


def listed(run: Run, scores: Any) -> list[list[Any]]:
    """[query, document, score, rank] of every candidate."""
    return [
        [query, document, float(scores[row, rank]), rank]
        for row, query in enumerate(run.query_ids)
        for rank, document in enumerate(run.corpus.ids_at(run.docs[row][run.docs[row] >= 0]))
    ]


def agree(found: dict[str, dict[str, list[float]]]) -> None:
    """Everyone's figures are the same, recall@100 aside: PyTerrier drops what lies below the depth."""
    ours = found.pop("ours")
    for name, figures in found.items():
        apart = max(float(np.abs(np.subtract(figures[one], ours[one])).max()) for one in figures if one != "R@100")
        print(f"figures of {name} and ours differ by {apart:.1e} at most, recall@100 aside", flush=True)
        if apart > 1e-4:
            raise SystemExit(f"the figures of {name} are not ours")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--queries", type=int)
    given = options.parse_args()
    queries, rounds = SIZES[given.size]
    queries = given.queries or queries
    if not Peer.is_there():
        missing("the stored sweep")
        return
    with tempfile.TemporaryDirectory() as place, ExitStack() as open_peers:
        model = random_head(Path(place) / "minilm-cross-encoder")
        folder = few_queries(beir("scifact"), Path(place) / "scifact", queries)
        ours, told = sides(folder, model)
        ways: dict[str, Callable[[], Any]] = {"ours": read_before(ours, folder), "ours, reading the collection": ours}
        for cache in ("ScorerCache", "dense"):
            for plan in ("linear", "tree"):
                name = f"PyTerrier, {cache}, {plan}"
                more = {"cache": cache, "plan": plan, "folder": str(Path(place) / name)}
                ways[name] = open_peers.enter_context(Peer("with_pyterrier.py", **told, **more))
        agree({name: getattr(value := way(), "value", value) for name, way in ways.items()})
        taken = alternate(ways, given.rounds or rounds, warm=1)
    work = f"sweep, everything stored, 10 depths, {queries} SciFact queries"
    taken.show(work, "ours")
    rows = []
    for cache, wanted in (("ScorerCache", WANTED), ("dense", None)):
        plans = [f"PyTerrier, {cache}, {plan}" for plan in ("linear", "tree")]
        for ours, more in (("ours", ""), ("ours, reading the collection", ", reading the collection")):
            quicker = min((taken.ratio(plan, ours) for plan in plans), key=lambda ratio: ratio.median)
            rows.append(Row(f"{work}{more}", f"PyTerrier, {cache}", quicker, None if more else wanted))
    write("stored_sweep", given, rows, **taken.as_json())


if __name__ == "__main__":
    main()
