"""What every retrieving stage promises, on corpora in which most documents stand several times."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from table_stage import TEXTS

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.values.run import PAD, Run

WITH_EVIDENCE = ("bm25", "tfidf", "lucene", "sparse", "inference-free")
"""Stages that return nothing that scores 0."""

POINTWISE = (*WITH_EVIDENCE, "static", "bi-encoder", "late-interaction", "cross-encoder", "table")
COMPOSED = (
    "hybrid",
    "hybrid of three",
    "hybrid by min-max",
    "hybrid by z-score",
    "hybrid by dbsf",
    "hybrid by rrf",
    "funnel",
    "cascade of a funnel",
    "hybrid of a funnel",
    "cascade",
    "cascade of three",
    "nested cascade",
    "hybrid of cascades",
    "cascade of models",
    "hybrid with sparse",
    "cascade with sparse",
)
every_stage = pytest.mark.parametrize("name", POINTWISE + COMPOSED)
pointwise_stage = pytest.mark.parametrize("name", POINTWISE)
pointwise_score = pytest.mark.parametrize("name", (*POINTWISE, "hybrid", "hybrid of three"))
"""A linear hybrid's scores depend on their pairs alone; what it retrieves depends on its members' pools."""

NETWORKS = (
    "lucene",
    "sparse",
    "inference-free",
    "bi-encoder",
    "late-interaction",
    "cross-encoder",
    "cascade of a funnel",
    "cascade of models",
    "hybrid with sparse",
    "cascade with sparse",
)

StageOf = Callable[[str], Stage]


def examples(name: str) -> settings:
    """Fewer where a network has to run, or an index is written to disk."""
    return settings(max_examples=settings.default.max_examples // (6 if name in NETWORKS else 2))


def everything(queries: Queries, corpus: Corpus) -> Run:
    docs = np.tile(np.arange(len(corpus), dtype=np.int32), (len(queries), 1))
    return Run(queries.ids, corpus, docs, np.zeros(docs.shape, np.float32))


def assert_prefix(short: Run, long: Run, k: int) -> None:
    assert short.depth <= k
    np.testing.assert_array_equal(short.widened(k).docs, long.widened(k).cut(k).docs)
    np.testing.assert_array_equal(short.widened(k).scores, long.widened(k).cut(k).scores)


def trec_ranking(scores: dict[str, float]) -> list[str]:
    """The order in which trec_eval sees these documents: each by itself relevant, rank = 1 / reciprocal rank."""
    qrels = {doc: {doc: 1} for doc in scores}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(dict.fromkeys(scores, scores))
    return sorted(scores, key=lambda doc: 1 / found[doc]["recip_rank"])


@every_stage
def test_a_longer_list_starts_with_the_shorter_one(name: str, stage_of: StageOf, any_world: Any) -> None:
    stage = stage_of(name)

    @examples(name)
    @given(any_world, st.integers(1, 8), st.integers(1, 8))
    def check(world: Any, k: int, more: int) -> None:
        stage.index(world.corpus)
        assert_prefix(stage.retrieve(world.queries, k), stage.retrieve(world.queries, k + more), k)

    check()


@given(st.data())
def test_prefix_law_of_a_run_file(
    tmp_path_factory: pytest.TempPathFactory, any_world: Any, data: st.DataObject
) -> None:
    world = data.draw(any_world)
    ids = world.corpus.ids.to_pylist()
    level = st.sampled_from([-1.0, 0.0, 0.1, 2.0])
    lists = {query: data.draw(st.dictionaries(st.sampled_from(ids), level)) for query in world.queries.ids}
    path = tmp_path_factory.getbasetemp() / "drawn.trec"
    path.write_text("".join(f"{q} Q0 {d} 1 {s} x\n" for q, scored in lists.items() for d, s in scored.items()))
    stage = RunFile(file=str(path))
    stage.index(world.corpus)
    k, more = data.draw(st.integers(1, 6)), data.draw(st.integers(1, 6))
    long = stage.retrieve(world.queries, k + more)
    assert_prefix(stage.retrieve(world.queries, k), long, k)
    for row, query in enumerate(world.queries.ids):
        expected = sorted(lists[query], key=lambda doc: (np.float32(lists[query][doc]), doc), reverse=True)
        assert long.ids(row) == expected[: k + more]


@pointwise_stage
def test_retrieval_is_the_sorted_full_ranking(name: str, stage_of: StageOf, any_world: Any) -> None:
    stage = stage_of(name)

    @examples(name)
    @given(any_world, st.integers(1, 12))
    def check(world: Any, k: int) -> None:
        stage.index(world.corpus)
        scores = stage.score(world.queries, everything(world.queries, world.corpus))
        run = stage.retrieve(world.queries, k)
        ids = world.corpus.ids.to_pylist()
        for row in range(len(world.queries)):
            evidence = 0 if name in WITH_EVIDENCE else -np.inf
            scored = {doc: score for doc, score in zip(ids, scores[row], strict=True) if score > evidence}
            expected = sorted(scored, key=lambda doc: (scored[doc], doc), reverse=True)[:k]
            assert run.ids(row) == expected
            assert run.scores[row, : len(expected)].tolist() == [scored[doc] for doc in expected]

    check()


@pointwise_score
def test_restricted_to_candidates_equals_the_full_ranking_filtered(
    name: str, stage_of: StageOf, any_world: Any
) -> None:
    warm = stage_of(name)
    assert warm.pointwise

    @examples(name)
    @given(any_world, st.data())
    def check(world: Any, data: st.DataObject) -> None:
        size = len(world.corpus)
        full = warm.score(world.queries, everything(world.queries, world.corpus))
        docs = np.full((len(world.queries), size + 1), PAD, np.int32)
        for row in docs:
            some = data.draw(st.lists(st.integers(0, size - 1), unique=True))
            row[: len(some)] = some
        candidates = Run(world.queries.ids, world.corpus, docs, np.zeros(docs.shape, np.float32))
        # A stage that has seen nothing else encodes only these candidates, in other batches.
        restricted = stage_of(name) if name in ("bm25", "tfidf", "static", "table") else warm
        scores = restricted.score(world.queries, candidates)
        assert scores.dtype == np.float32
        assert (scores[docs == PAD] == -np.inf).all()
        rows, columns = np.nonzero(docs != PAD)
        np.testing.assert_allclose(scores[rows, columns], full[rows, docs[rows, columns]], rtol=1e-5, atol=1e-5)

    check()


@every_stage
def test_what_mteb_gets_reproduces_the_ranking(name: str, stage_of: StageOf, any_world: Any) -> None:
    stage = stage_of(name)

    @examples(name)
    @given(any_world, st.integers(1, 12))
    def check(world: Any, k: int) -> None:
        corpus, queries = world.corpus, world.queries
        stage.index(Dataset.from_dict({"id": corpus.ids.to_pylist(), "text": corpus.texts.to_pylist()}))
        found = stage.search(Dataset.from_dict({"id": list(queries.ids), "text": list(queries.texts)}), top_k=k)
        run = stage.retrieve(queries, k)
        assert list(found) == list(queries.ids)
        for row, query in enumerate(queries.ids):
            assert list(found[query]) == run.ids(row)
            rounded = {doc: float(np.float32(score)) for doc, score in found[query].items()}
            assert rounded == found[query]
            assert sorted(rounded, key=lambda doc: (rounded[doc], doc), reverse=True) == run.ids(row)
            if rounded:
                assert trec_ranking(rounded) == run.ids(row)

    check()


@every_stage
def test_candidates_given_by_mteb_come_back_ranked_and_whole(name: str, stage_of: StageOf, any_world: Any) -> None:
    stage = stage_of(name)

    @examples(name)
    @given(any_world, st.data())
    def check(world: Any, data: st.DataObject) -> None:
        ids = world.corpus.ids.to_pylist()
        ranked = {query: data.draw(st.lists(st.sampled_from(ids), unique=True)) for query in world.queries.ids}
        stage.index(world.corpus)
        found = stage.search(world.queries, top_k=len(ids), top_ranked=ranked)
        assert {query: set(docs) for query, docs in found.items()} == {q: set(docs) for q, docs in ranked.items()}
        assert all(np.isfinite(list(docs.values())).all() for docs in found.values())

    check()


@every_stage
def test_eight_threads_give_what_one_gives(name: str, stage_of: StageOf) -> None:
    corpus = Corpus.of([f"d{row}" for row in range(40)], [TEXTS[row % 7] + " tree" * (row % 5) for row in range(40)])
    asked = [Queries((f"q{n}", f"p{n}"), (TEXTS[n % 7], TEXTS[(n + 3) % 7] + " stone" * n)) for n in range(12)]
    alone, shared = stage_of(name), stage_of(name)
    alone.index(corpus)
    shared.index(corpus)
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(lambda queries: shared.retrieve(queries, 9), asked))
    for queries, run in zip(asked, together, strict=True):
        expected = alone.retrieve(queries, 9)
        np.testing.assert_array_equal(run.docs, expected.docs)
        np.testing.assert_allclose(run.scores, expected.scores, rtol=1e-6)


@pytest.mark.parametrize("name", ["late-interaction", "cross-encoder", "table"])
def test_a_reranker_alone_scores_the_whole_corpus(name: str, stage_of: StageOf) -> None:
    corpus = Corpus.of(["a", "b", "c"], ["red fox", "blue whale", "red whale"])
    queries = Queries(("q", "p"), ("red fox", "green tree"))
    stage = stage_of(name)
    stage.index(corpus)
    run = stage.retrieve(queries, 2)
    scores = stage.score(queries, everything(queries, corpus))
    for row in range(2):
        best_first = sorted((0, 1, 2), key=lambda doc: (scores[row, doc], doc), reverse=True)
        kept = [doc for doc in best_first if scores[row, doc] > -np.inf][:2]
        assert run.ids(row) == ["abc"[doc] for doc in kept]
