from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import mteb_cascade as mc
from mteb_cascade.corpora import beir
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.evaluate import evaluate_stage
from mteb_cascade.mteb_plugin.registry import TASKS, add_folder, register
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.stage_figures import MEASURES

pytestmark = pytest.mark.usefixtures("clean_tasks")

NAMES = (
    *("PythonDocsCascade", "MSMARCOCascade", "MSMARCOv2Cascade", "TRECDL2019Cascade", "TRECDL2020Cascade"),
    *("NanoMSMARCORetrievalCascade", "SciFactCascade", "NFCorpusCascade"),
)
DOCUMENTS = ["the red fox runs", "a blue whale swims", "green tree and red fox", "an old stone", "fox and whale", "fox"]
GRADES = {"q1": {"d0": 2, "d2": 1}, "q2": {"d1": 1}, "q3": {"d3": 2, "d9": 2}, "d4": {"d5": 3, "d4": 1}}
QUERIES = {"q1": "red fox", "q2": "whale", "q3": "old stone tree", "d4": "fox whale"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A BEIR folder in which grade 2 is relevant; one query has no positive, one is a document of the corpus."""
    made = tmp_path / "few-words"
    (made / "qrels").mkdir(parents=True)
    corpus = [json.dumps({"_id": f"d{row}", "text": text}) for row, text in enumerate(DOCUMENTS)]
    queries = [json.dumps({"_id": query, "text": text}) for query, text in QUERIES.items()]
    rows = [f"{query}\t{doc}\t{grade}" for query, judged in GRADES.items() for doc, grade in judged.items()]
    (made / "corpus.jsonl").write_text("\n".join(corpus))
    (made / "queries.jsonl").write_text("\n".join(queries))
    (made / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    (made / "task.toml").write_text("relevance_level = 2\nignore_identical_ids = true\n")
    return made


def result_of(model, name: str, cache: Path) -> dict:
    """Evaluate through mteb, read the written JSON back through mteb, and give the scores of its test split."""
    import mteb
    from mteb.cache import ResultCache
    from mteb.results import TaskResult

    mteb.evaluate(model, mteb.get_task(name), cache=ResultCache(cache), show_progress_bar=False)
    (path,) = cache.glob(f"results/*/*/{name}.json")
    read = TaskResult.from_disk(path)
    (scores,) = read.scores["test"]
    assert read.task.metadata.name == name
    assert read.get_score() == pytest.approx(scores["recall_at_1"])
    return scores


def spelled(measure: str) -> str:
    return measure.replace("@", "_at_")


def test_metadata_is_built_without_network():
    import mteb

    register()
    found = {task.metadata.name: task.metadata for task in mteb.get_tasks(tasks=list(NAMES))}
    assert set(found) == set(NAMES)
    assert {metadata.main_score for metadata in found.values()} == {"recall_at_1"}
    assert found["MSMARCOCascade"].eval_splits == found["MSMARCOv2Cascade"].eval_splits == ["dev"]
    assert found["SciFactCascade"].dataset == mteb.get_task("SciFact").metadata.dataset
    assert not set(NAMES) & {task.metadata.name for task in mteb.get_tasks(task_types=["Retrieval"])}
    assert mteb.get_task("SciFact").metadata.main_score == "ndcg_at_10"


def test_a_model_trained_on_the_base_is_not_zero_shot_on_its_cascade():
    import mteb
    from mteb.models.model_meta import ModelMeta

    register()
    meta = ModelMeta.create_empty({"name": "some/model"})
    trained = meta.model_copy(update={"training_datasets": {"MSMARCO"}})
    assert trained.is_zero_shot_on([mteb.get_task("MSMARCOCascade")]) is False
    assert trained.is_zero_shot_on(["TRECDL2019Cascade"]) is trained.is_zero_shot_on(["TRECDL2019"])
    assert trained.is_zero_shot_on(["SciFactCascade"]) is True
    assert meta.model_copy(update={"training_datasets": {"SciFact"}}).is_zero_shot_on(["SciFactCascade"]) is False


def test_by_hand(folder, tmp_path):
    name = add_folder(folder, sys.modules[TASKS])
    cascade = mc.Cascade(mc.BM25(stop_words="none"), mc.Step(Shortest(), depth=3))
    scores = result_of(cascade, f"{name}Cascade", tmp_path / "cache")
    assert scores["relevance_level"] == 2
    assert (scores["queries_without_positives"], scores["highest_recall_at_1"]) == (1, pytest.approx((1 + 0.5 + 1) / 4))
    first, second = scores["stages"]
    # q1 loses d0 to d5, the shortest that has a fox; q3 keeps d3. d4 finds itself first, which does not count, then d1,
    # and Shortest brings it d5. q2 has no positive at level 2.
    assert second["rank_1"] == {"unreachable": 1, "missed": 0, "kept": 1, "recovered": 1, "broken": 1}
    assert second["depth"] == 3 and second["blend"] == 0
    assert [one["kind"] for one in (first, second)] == ["bm25", "shortest"]
    assert (first["recall_at_1"], first["success_at_1"]) == pytest.approx(((1 + 0.5 + 0) / 4, 2 / 4))
    assert (second["recall_at_1"], second["success_at_1"]) == pytest.approx(((0 + 0.5 + 1) / 4, 2 / 4))
    assert scores["main_score"] == pytest.approx(second["recall_at_1"])
    # mteb's own level counts grade 1 as well, in the denominators too: q3's .5, and .5 for d4.
    assert scores["mteb_level_1"]["recall_at_1"] == pytest.approx((0 + 0 + 0.5 + 0.5) / 4)


class Shortest(mc.Stage):
    """The shorter the better."""

    kind = "shortest"

    def score(self, queries, candidates):
        rows, columns = mc.cells(candidates)
        return mc.scattered(
            candidates, [-len(text) for text in candidates.corpus.texts_at(candidates.docs[rows, columns])]
        )


@pytest.fixture
def cascade() -> mc.Cascade:
    steps = mc.Step(mc.BM25(k1=0.9, b=0.4), depth=50, blend=0.3), mc.Step(mc.BM25(k1=3.0), depth=7)
    return mc.Cascade(mc.BM25(), *steps)


@pytest.mark.parametrize("name", ["scifact", "nfcorpus"])
def test_every_stage_equals_our_own_evaluation_of_it(shared_data, tmp_path, cascade, name):
    copy = tmp_path / name
    shutil.copytree(shared_data / name, copy)
    add_folder(copy, sys.modules[TASKS])
    scores = result_of(cascade, f"{name}Cascade", tmp_path / "cache")
    collection = beir.load(copy)
    parts = [cascade.first, mc.Cascade(cascade.first, cascade.steps[0]), cascade]
    for part, found in zip(parts, scores["stages"], strict=True):
        own = evaluate_stage(part, collection, "test", MEASURES, 1000)
        assert {spelled(one): value for one, value in own.means.items()} == pytest.approx(
            {spelled(one): found[spelled(one)] for one in MEASURES}, abs=1e-6
        )
    for ours, theirs in {"recall_at_100": "recall_at_100", "success_at_1": "hit_rate_at_1"}.items():
        assert scores["stages"][-1][ours] == pytest.approx(scores[theirs], abs=1e-5)
    assert scores["stages"][-1]["ndcg_at_10"] == pytest.approx(scores["ndcg_at_10"], abs=1e-5)
    count = len(collection.split("test").judged().queries)
    assert all(sum(stage["rank_1"].values()) == count for stage in scores["stages"][1:])
    assert [stage.get("depth") for stage in scores["stages"]] == [None, 50, 7]
    assert scores["corpus_digest"] == collection.corpus.digest
    assert "latency_ms" not in scores


def test_a_plain_bi_encoder_of_mteb_runs_on_it(folder, tmp_path, biencoder):
    from sentence_transformers import SentenceTransformer

    name = add_folder(folder, sys.modules[TASKS])
    model = SentenceTransformer(str(biencoder), device="cpu")
    scores = result_of(model, f"{name}Cascade", tmp_path / "cache")
    stage = mc.load(biencoder)
    stage.index(beir.load(folder).corpus)
    split = beir.load(folder, relevance_level=2).split("test")
    run = stage.retrieve(split.queries, 1000).without_identical_ids()
    (found,) = scores["stages"]
    for measure, values in evaluate(run, split.qrels, MEASURES).items():
        assert found[spelled(measure)] == pytest.approx(float(mean(values)), abs=1e-6)
    assert scores["main_score"] == pytest.approx(found["recall_at_1"], abs=1e-5)


def test_latencies_where_they_are_asked_for(folder, tmp_path, monkeypatch):
    name = add_folder(folder, sys.modules[TASKS])
    cascade = mc.Cascade(mc.BM25(), mc.Step(Shortest(), depth=2))
    assert "latency_ms" not in result_of(cascade, f"{name}Cascade", tmp_path / "cache")
    monkeypatch.setenv("MTEB_CASCADE_LATENCY", "200")
    scores = result_of(cascade, f"{name}Cascade", tmp_path / "cache")
    for found in [scores["latency_ms"]["whole"], *(stage["latency_ms"] for stage in scores["stages"])]:
        assert 0 < found["p50"] <= found["p95"] <= found["p99"] and found["calls"] == 200
    assert scores["latency_ms"]["machine"]["cores"] >= 1
    assert np.isfinite(scores["main_score"])
    with pytest.warns(UserWarning, match="MTEB_CASCADE_LATENCY: only the retrieval of our own models is timed"):
        assert "latency_ms" not in result_of(SearchesByItself(), f"{name}Cascade", tmp_path / "theirs")
    monkeypatch.setenv("MTEB_CASCADE_LATENCY", "20")
    with pytest.raises(
        InputError, match="MTEB_CASCADE_LATENCY=20: expected the number of queries to time, 200 or more"
    ):
        result_of(cascade.at(1), f"{name}Cascade", tmp_path / "again")


def test_under_mtebs_command_a_mistake_is_one_line(folder, tmp_path, monkeypatch, capsys):
    name = add_folder(folder, sys.modules[TASKS])
    monkeypatch.setenv("MTEB_CASCADE_LATENCY", "²")
    monkeypatch.setattr(sys, "argv", ["mteb"])
    with pytest.raises(SystemExit, match="2"):
        result_of(mc.BM25(), f"{name}Cascade", tmp_path / "cache")
    assert "MTEB_CASCADE_LATENCY=²: expected the number of queries to time" in capsys.readouterr().err


class SearchesByItself:
    """A search model of somebody else's, which remembers what it was told."""

    def __init__(self):
        from mteb.models.model_meta import ModelMeta

        self.mteb_model_meta = ModelMeta.create_empty({"name": "some/searcher", "revision": "r1"})
        self.told = []

    def index(self, corpus, *, task_metadata, **_):
        self.told.append(task_metadata.name)

    def search(self, queries, *, task_metadata, **_):
        self.told.append(task_metadata.name)
        return {query: {"d0": 1.0} for query in queries["id"]}


def test_a_model_is_told_the_base_task_by_whose_name_it_chooses_prompts(folder, tmp_path):
    name = add_folder(folder, sys.modules[TASKS])
    model = SearchesByItself()
    result_of(model, f"{name}Cascade", tmp_path / "cache")
    assert model.told == [name, name]


def test_converted_to_reranking_a_cascade_ranks_the_candidates_alone(folder, tmp_path):
    import mteb

    name = add_folder(folder, sys.modules[TASKS])
    candidates = {"q1": ["d2", "d4"], "q2": ["d4"], "q3": ["d5", "d3"], "d4": ["d4", "d0"]}
    scored = {query: {doc: -float(rank) for rank, doc in enumerate(docs)} for query, docs in candidates.items()}
    predictions = {"mteb_model_meta": {}, "default": {"test": scored}}
    cascade = mc.Cascade(mc.BM25(stop_words="none"), mc.Step(Shortest(), depth=1))
    found = {}
    for task in (name, f"{name}Cascade"):
        path = tmp_path / f"{task}_predictions.json"
        path.write_text(json.dumps(predictions))
        converted = mteb.get_task(task).convert_to_reranking(path, top_k=2)
        (result,) = mteb.evaluate(cascade, converted, cache=None, show_progress_bar=False).task_results
        (found[task],) = result.scores["test"]
    base, own = found.values()
    assert own["mteb_level_1"]["recall_at_10"] == base["recall_at_10"]
    assert own["ndcg_at_10"] == base["ndcg_at_10"] == pytest.approx(own["stages"][-1]["ndcg_at_10"], abs=1e-5)
    # Of what is relevant at level 2, the candidates hold q3's d3 alone, which is half of it.
    assert [stage["recall_at_100"] for stage in own["stages"]] == pytest.approx([0.5 / 4] * 2)
