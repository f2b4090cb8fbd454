"""Published figures on real collections; skipped where those are not at hand."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from official_dl20 import DL20

from mteb_cascade.corpora import beir
from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.experiments.evaluate import evaluate_stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.lucene import Lucene
from mteb_cascade.stages.run_file import RunFile


@pytest.mark.parametrize(("name", "low", "high"), [("scifact", 0.68, 0.69), ("nfcorpus", 0.315, 0.325)])
def test_bm25_with_our_defaults(shared_data: Path, name: str, low: float, high: float) -> None:
    result = evaluate_stage(BM25(), beir.load(shared_data / name), "test", ("ndcg@10",), k=100)
    assert low <= result.means["ndcg@10"] <= high


@pytest.mark.skipif(importlib.util.find_spec("pyserini") is None, reason="pyserini is not installed")
@pytest.mark.parametrize(("name", "published"), [("scifact", 0.6789), ("nfcorpus", 0.3218)])
def test_lucene_by_pyserinis_published_figures_and_by_bm25s(shared_data: Path, name: str, published: float) -> None:
    collection = beir.load(shared_data / name)
    lucene, bm25s = (
        evaluate_stage(stage, collection, "test", ("ndcg@10",), k=100).means["ndcg@10"]
        for stage in (Lucene(k1=0.9, b=0.4), BM25(k1=0.9, b=0.4))
    )
    assert lucene == pytest.approx(published, abs=0.005)
    assert lucene == pytest.approx(bm25s, abs=0.01)


@pytest.fixture(scope="module")
def dl20(shared_data: Path) -> Collection:
    return beir.load(shared_data / "dl20", relevance_level=2)


@pytest.mark.filterwarnings("ignore:.*that the folder does not hold")
@pytest.mark.parametrize("name", DL20)
def test_runs_of_others_score_what_they_are_known_for(shared_data: Path, dl20: Collection, name: str) -> None:
    stage = RunFile(file=str(shared_data / "dl20" / "runs" / f"{name}.trec"))
    means = evaluate_stage(stage, dl20, "test_full_official", ("ndcg@10", "recall@100", "success@1")).means
    ndcg, recall, success = DL20[name]
    assert means["ndcg@10"] == pytest.approx(ndcg, abs=5e-5)
    assert means["recall@100"] == pytest.approx(recall, abs=5e-5)
    assert means["success@1"] == pytest.approx(success, abs=5e-4)


def first_lines(path: Path, count: int) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line, _ in zip(lines, range(count), strict=False)]


def test_a_real_encoder_gives_what_plain_sentence_transformers_gives(shared_data: Path, minilm: Path) -> None:
    from sentence_transformers import SentenceTransformer

    documents = first_lines(shared_data / "scifact" / "corpus.jsonl", 40)
    asked = first_lines(shared_data / "scifact" / "queries.jsonl", 5)
    corpus = Corpus.of(*([row[key] for row in documents] for key in ("_id", "text", "title")))
    queries = Queries(tuple(row["_id"] for row in asked), tuple(row["text"] for row in asked))
    network = SentenceTransformer(str(minilm), device="cpu")
    network.max_seq_length = 64
    vectors = network.encode([f"{row['title']} {row['text']}".strip() for row in documents])
    cosine = network.similarity(network.encode(list(queries.texts)), vectors).numpy()
    stage = BiEncoder(model=str(minilm), dtype="float32", device="cpu", max_length=64)
    stage.index(corpus)
    run = stage.retrieve(queries, 40)
    np.testing.assert_array_equal(run.docs, np.argsort(-cosine, axis=1))
    np.testing.assert_allclose(run.scores, -np.sort(-cosine, axis=1), atol=1e-5)
