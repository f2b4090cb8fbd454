from __future__ import annotations

import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine.latency import Limit
from mteb_cascade.errors import InputError
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.latency import latencies, latency_at_depths, spaced
from mteb_cascade.stages.token_counts import token_counts, tokenizer_of

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
    # The stages are timed within the 5 calls that warm up and the 20 of the whole.
    assert first.asked == [("retrieve", 1, 2)] * 25
    assert second.asked == [("score", 1, 2)] * 25


def test_a_plain_stage_is_one_stage():
    stage = BM25()
    stage.index(CORPUS)
    found = latencies(stage, QUERIES, calls=10)
    assert found["stages"] == [found["whole"]]
    assert 0 < found["whole"]["p50"] <= found["whole"]["p95"] <= found["whole"]["p99"]


def test_a_corpus_is_needed():
    with pytest.raises(ValueError, match="has no corpus yet"):
        latencies(BM25(), QUERIES, calls=1)


def cascade_of(depth: int = 3, **options) -> tuple[Counting, Counting, Cascade]:
    first, second = Counting(), Counting(k1=0.9)
    cascade = Cascade(first, Step(second, depth=depth), **options)
    cascade.index(CORPUS)
    return first, second, cascade


def test_latency_against_depth():
    first, second, cascade = cascade_of(depth=1)
    found = latency_at_depths(cascade, QUERIES, [3, 1, 2, 2], k=2, calls=6, points=2)
    assert found["depths"] == [1, 2, 3]
    # Depths 1 and 3 are timed, each 5 + 6 times; the pool is what the cascade asks for at that depth, k at least.
    assert [one["depth"] for one in found["measured"]] == [1, 3]
    assert first.asked[-22:] == [("retrieve", 1, 2)] * 11 + [("retrieve", 1, 3)] * 11
    assert len(second.asked) == 22
    assert second.asked[:11] == [("score", 1, 1)] * 11
    assert set(second.asked[11:]) <= {("score", 1, 2), ("score", 1, 3)}
    for name in ("whole", "last"):
        for values in found[name].values():
            assert len(values) == 3
            assert values == sorted(values)
            assert values[1] == pytest.approx((values[0] + values[2]) / 2, abs=2e-3)
    for one in found["measured"]:
        assert one["whole"]["calls"] == 6
        assert len(one["stages"]) == 2
        assert one["whole"]["p50"] >= max(part["p50"] for part in one["stages"])
    assert found["machine"]["cores"] >= 1
    assert found["stages"] == ["bm25", "bm25"]


def test_pairs_and_tokens_of_a_query_by_hand():
    _, _, cascade = cascade_of()
    found = latency_at_depths(cascade, QUERIES, [1, 2, 3], calls=2)
    # "fox" finds two documents of two words; "blue fox" all three: the pool of 3 is not filled by the first.
    assert found["pairs"] == [1.0, 2.0, 2.5]
    # A pair is query and document: 1 + 2 and 2 + 2 words.
    assert found["tokens"] == [3.5, 7.0, 9.0]
    assert found["tokens_are"] == "words"


def test_nothing_comes_from_the_store():
    first, second, cascade = cascade_of()
    singles = [QUERIES.rows([row]) for row in range(2)]
    for single in singles:
        cascade.retrieved(single, 10)
    first.asked.clear()
    for single in singles:
        cascade.retrieved(single, 10)
    assert first.asked == []  # these runs are stored
    second.asked.clear()
    latency_at_depths(cascade, QUERIES, [3], calls=4)
    assert first.asked.count(("retrieve", 1, 10)) == len(second.asked) == 9


def test_a_depth_that_breaks_the_limit_takes_fewer_calls():
    _, second, cascade = cascade_of()
    found = latency_at_depths(cascade, QUERIES, [2, 3], calls=40, limit=Limit(95, 1e-6))
    assert [one["whole"]["calls"] for one in found["measured"]] == [3, 3]
    assert len(second.asked) == 2 * (5 + 3)


def test_the_tokenizer_of_a_model_counts(tiny_cross_encoder):
    cascade = Cascade(BM25(), Step(CrossEncoder(model=str(tiny_cross_encoder)), depth=3))
    cascade.index(CORPUS)
    found = latency_at_depths(cascade, QUERIES, [1], calls=1)
    tokenizer = cascade.steps[0].stage.network.tokenizer
    assert tokenizer_of(cascade.steps[0].stage) is tokenizer
    expected = [len(tokenizer.tokenize(text)) for text in ("fox", "zebra crossing", "")]
    assert token_counts(cascade.steps[0].stage, ["fox", "zebra crossing", ""]).tolist() == expected
    assert found["tokens_are"].startswith("tokens of ")


@pytest.mark.parametrize("depths", [[], [0, 1]])
def test_nothing_to_time_at_depths(depths):
    _, _, cascade = cascade_of()
    with pytest.raises(InputError, match="nothing to time"):
        latency_at_depths(cascade, QUERIES, depths, calls=1)


def test_depths_that_are_timed_are_log_spaced_and_among_those_asked():
    assert spaced(range(1, 1001), 4) == [1, 10, 100, 1000]
    assert spaced([2, 3], 5) == [2, 3]
    assert spaced([1, 50, 51, 52, 100], 3) == [1, 50, 100]
