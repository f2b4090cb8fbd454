from __future__ import annotations

import random

import numpy as np
import pytest

import mteb_cascade
from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.mteb_plugin.registry import register
from mteb_cascade.values.measures import evaluate
from mteb_cascade.values.qrels import Qrels

pytestmark = pytest.mark.usefixtures("clean_registry")

MEASURES = {"recall@1": "recall_at_1", "recall@10": "recall_at_10", "ndcg@10": "ndcg_at_10", "mrr@10": "mrr_at_10"}
DEPTHS = (5, 20, 100)


def drawn() -> Collection:
    """150 documents and 40 queries of few words; one to three answers each, at any place of BM25's list."""
    rng = random.Random(0)
    words = [
        "work",
        "license",
        "copyright",
        "notice",
        "grant",
        "patent",
        "contribution",
        "derivative",
        "form",
        "source",
    ]
    texts = [" ".join(rng.choices(words, k=12)) for _ in range(150)]
    corpus = Corpus.of([f"d{row}" for row in range(len(texts))], texts)
    queries = Queries(tuple(f"q{row}" for row in range(40)), tuple(" ".join(rng.sample(words, 3)) for _ in range(40)))
    grades = {query: {f"d{row}": 1 for row in rng.sample(range(150), rng.randint(1, 3))} for query in queries.ids}
    return Collection("TinyWords", corpus, {"test": Split(queries, Qrels(grades))}, revision="1")


@pytest.fixture(scope="module")
def collection() -> Collection:
    return drawn()


@pytest.fixture
def task(collection):
    from mteb_cascade.mteb_plugin.tasks import CollectionTask, PythonDocsRetrieval

    class TinyWords(CollectionTask):
        metadata = PythonDocsRetrieval.metadata.model_copy(update={"name": "TinyWords"})

        def collection(self) -> Collection:
            return collection

    return TinyWords()


@pytest.fixture
def cache(tmp_path):
    from mteb.cache import ResultCache

    return ResultCache(tmp_path / "cache")


def scores_of(model, task, cache) -> dict[str, float]:
    import mteb

    (result,) = mteb.evaluate(model, task, cache=cache, show_progress_bar=False).task_results
    (scores,) = result.scores["test"]
    return {ours: scores[theirs] for ours, theirs in MEASURES.items()}


def expected(cascade, collection) -> dict[str, float]:
    split = collection.split("test")
    cascade.index(collection.corpus)
    figures = evaluate(cascade.retrieve(split.queries, 1000), split.qrels, tuple(MEASURES))
    return {name: float(np.mean(values)) for name, values in figures.items()}


def test_every_depth_has_a_result_of_its_own_through_mtebs_cache(house, task, collection, cache):
    cascade = mteb_cascade.load("our-cascade")
    found = {depth: scores_of(cascade.at(depth), task, cache) for depth in DEPTHS}
    for depth in DEPTHS:
        assert found[depth] == pytest.approx(expected(cascade.at(depth), collection), abs=1e-5)
    assert len({tuple(scores.values()) for scores in found.values()}) == len(DEPTHS)
    for depth in reversed(DEPTHS):
        assert scores_of(cascade.at(depth), task, cache) == pytest.approx(found[depth], abs=1e-4)


def test_overrides_have_results_of_their_own_too(house, task, collection, cache):
    import mteb

    register()
    cascade = mteb_cascade.load("our-cascade")
    written = scores_of(mteb.get_model("our-cascade"), task, cache)
    found = {depth: scores_of(mteb.get_model("our-cascade", depths=[depth]), task, cache) for depth in DEPTHS}
    for depth in DEPTHS:
        assert found[depth] == pytest.approx(expected(cascade.at(depth), collection), abs=1e-5)
    assert len({tuple(scores.values()) for scores in found.values()}) == len(DEPTHS)
    assert written == pytest.approx(found[100], abs=1e-5)
    results = cache.get_cache_paths(load_experiments="match_name")
    assert len(results) == len(set(results)) == 4
    assert sum("experiments" in path.parts for path in results) == 3


def test_a_changed_spec_has_another_result(house, task, cache):
    import mteb

    register()
    before = scores_of(mteb.get_model("our-cascade"), task, cache)
    spec = house / "models" / "our-cascade.toml"
    spec.write_text(spec.read_text().replace("depth = 100", "depth = 5"))
    register()
    assert scores_of(mteb.get_model("our-cascade"), task, cache) != before
    assert len(cache.get_cache_paths()) == 2


def test_load_results_finds_a_model_by_both_of_its_names(house, task, cache):
    import mteb

    register()
    model = mteb.get_model("our-bm25")
    scores_of(model, task, cache)
    (loaded,) = cache.load_results(models=["ours/lexical"], tasks=["TinyWords"]).model_results
    assert (loaded.model_name, loaded.model_revision) == ("ours/lexical", model.fingerprint)


def test_a_collection_reaches_mteb_whole(task, collection):
    task.load_data()
    data = task.dataset["default"]["test"]
    split = collection.split("test")
    assert data["corpus"]["id"][:] == collection.corpus.ids.to_pylist()
    assert data["corpus"]["text"][:] == collection.corpus.texts.to_pylist()
    assert tuple(data["queries"]["text"][:]) == split.queries.texts
    assert data["relevant_docs"] == {query: dict(split.qrels.of(query)) for query in split.queries.ids}
    assert task.metadata.dataset["revision"] == collection.revision


def test_pythondocs_is_found_by_name_and_is_in_nobodys_list():
    import mteb

    register()
    task = mteb.get_task("PythonDocsRetrieval")
    assert task.metadata.dataset["revision"] == mteb_cascade.load_collection("PythonDocs").revision
    assert [one.metadata.name for one in mteb.get_tasks(tasks=["PythonDocsRetrieval"])] == ["PythonDocsRetrieval"]
    assert "PythonDocsRetrieval" not in {one.metadata.name for one in mteb.get_tasks(task_types=["Retrieval"])}


def test_our_loader_reads_our_task_back(task, collection):
    from mteb_cascade.corpora.mteb_task import collection_of

    again = collection_of(task, "test")
    assert again.corpus.digest == collection.corpus.digest
    assert again.split("test").queries == collection.split("test").queries
    assert dict(again.split("test").qrels.grades) == dict(collection.split("test").qrels.grades)
