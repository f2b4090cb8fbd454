"""Every figure that a sweep prints, at 50 depths of random and of real rankings, against ir-measures on each ranking.

The rerankings are sorted here in plain Python, so neither `rerank` nor `evaluate` vouches for `curves`.
"""

from __future__ import annotations

from pathlib import Path

import ir_measures
import numpy as np
import pytest
from numpy.typing import NDArray

from mteb_cascade.corpora import beir
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.values.curves import curves
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

KINDS = {"recall": ir_measures.R, "success": ir_measures.Success, "mrr": ir_measures.RR, "ndcg": ir_measures.nDCG}
NAMES = ("recall@1", "recall@5", "recall@10", "recall@100", "success@1", "mrr@10", "ndcg@5", "ndcg@10")
COLUMNS, DEPTHS, QUERIES = 150, 50, 12


def of_ir_measures(name: str, level: int) -> ir_measures.measures.Measure:
    kind, cutoff = name.split("@")
    base = KINDS[kind] if kind == "ndcg" else KINDS[kind](rel=level)
    return base @ int(cutoff)


def reranked(run: Run, row: int, scores: NDArray[np.float32], depth: int, blend: float) -> list[str]:
    """Ids of one query's first candidates sorted by score, then by id, both descending; the others after them."""
    ids = run.ids(row)
    total = scores + np.float32(blend) * run.scores[row, : len(scores)] if blend else scores
    head = sorted(zip(total[:depth].tolist(), ids[:depth], strict=False), reverse=True)
    return [doc for _, doc in head] + ids[depth:]


def compare(run: Run, qrels: Qrels, blend: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores = rng.integers(-3, 4, run.docs.shape).astype(np.float32) / 2
    got = curves(run, scores, qrels, NAMES, blend)
    wanted = {of_ir_measures(name, qrels.relevance_level): name for name in NAMES}
    depths = sorted(rng.choice(np.arange(1, run.depth + 1), DEPTHS, replace=False).tolist())
    rankings, judgements = {}, {}
    for depth in depths:
        for row, query in enumerate(run.query_ids):
            ids = reranked(run, row, scores[row], depth, blend)
            rankings[f"{row} {depth}"] = {doc: len(ids) - rank for rank, doc in enumerate(ids)}
            judgements[f"{row} {depth}"] = dict(qrels.of(query))
    compared = 0
    for figure in ir_measures.iter_calc(list(wanted), judgements, rankings):
        row, depth = map(int, figure.query_id.split())
        value = np.nan_to_num(got[wanted[figure.measure]][row, depth - 1])
        assert value == pytest.approx(figure.value, abs=1e-6), (wanted[figure.measure], run.query_ids[row], depth)
        compared += 1
    assert compared == DEPTHS * len(run.query_ids) * len(NAMES)


def random_world(seed: int) -> tuple[Run, Qrels]:
    """Coarse scores, so that ties abound; several grades, some of documents outside the pool and the corpus."""
    rng = np.random.default_rng(seed)
    ids = [f"d{number}" for number in rng.permutation(400)]
    corpus = Corpus.of(ids, ["text"] * len(ids))
    docs = np.stack([rng.choice(len(ids), COLUMNS, replace=False) for _ in range(QUERIES)]).astype(np.int32)
    run = Run.ranked([f"q{row}" for row in range(QUERIES)], corpus, docs, rng.integers(0, 20, docs.shape) / 4)
    judged = {query: rng.choice([*ids, "outside1", "outside2"], 40, replace=False) for query in run.query_ids}
    grades = {query: {str(doc): int(rng.integers(0, 4)) for doc in found} for query, found in judged.items()}
    return run, Qrels(grades, relevance_level=1 + seed % 2)


@pytest.mark.parametrize("blend", [0.0, 0.5])
@pytest.mark.parametrize("seed", [0, 1])
def test_random_worlds(seed: int, blend: float) -> None:
    compare(*random_world(seed), blend, seed)


@pytest.fixture(scope="module", params=["scifact", "nfcorpus", "dl20"])
def real_world(shared_data: Path, request: pytest.FixtureRequest) -> tuple[Run, Qrels]:
    folder, graded = shared_data / request.param, request.param == "dl20"
    collection = beir.load(folder, relevance_level=2 if graded else 1)
    split = collection.split("test_full_official" if graded else "test").judged()
    queries = split.queries.rows(range(0, len(split.queries), max(1, len(split.queries) // QUERIES)))
    stage = RunFile(file=str(folder / "runs" / "bm25.trec")) if graded else BM25()
    stage.index(collection.corpus)
    return stage.retrieve(queries, COLUMNS), split.qrels


@pytest.mark.filterwarnings("ignore:.*that the folder does not hold")
@pytest.mark.parametrize("blend", [0.0, 0.3])
def test_real_collections(real_world: tuple[Run, Qrels], blend: float) -> None:
    compare(*real_world, blend, seed=5)
