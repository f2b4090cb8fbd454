from __future__ import annotations

import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.latency import latencies

CORPUS = Corpus.of(["a", "b", "c"], ["red fox", "blue whale", "green fox"])
QUERIES = Queries(("q1", "q2"), ("fox", "blue fox"))


class Counting(BM25):
    """BM25 that keeps how it was asked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked: list[tuple[str, int, int]] = []

    def retrieve(self, queries, k):
        self.asked.append(("retrieve", len(queries), k))
        return super().retrieve(queries, k)

    def score(self, queries, candidates):
        self.asked.append(("score", len(queries), candidates.depth))
        return super().score(queries, candidates)


def test_each_stage_of_a_cascade_is_timed_a_query_at_a_time():
    first, second = Counting(), Counting(k1=0.9)
    cascade = Cascade(first, Step(second, depth=2))
    cascade.index(CORPUS)
    found = latencies(cascade, QUERIES, k=1, calls=20)
    assert found["k"] == 1
    assert [set(one) for one in [found["whole"], *found["stages"]]] == [{"p50", "p95", "p99", "calls", "inputs"}] * 3
    assert all(one["calls"] == 20 and one["inputs"] == 2 for one in found["stages"])
    # 25 calls of the whole, 25 of each stage, and one trace of both queries that gives the candidates.
    assert first.asked.count(("retrieve", 1, 2)) == 50
    assert second.asked.count(("score", 1, 2)) == 50


def test_a_plain_stage_is_one_stage():
    stage = BM25()
    stage.index(CORPUS)
    found = latencies(stage, QUERIES, calls=10)
    assert found["stages"] == [found["whole"]]
    assert 0 < found["whole"]["p50"] <= found["whole"]["p95"] <= found["whole"]["p99"]


def test_a_corpus_is_needed():
    with pytest.raises(ValueError, match="has no corpus yet"):
        latencies(BM25(), QUERIES, calls=1)
