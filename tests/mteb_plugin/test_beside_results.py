"""Provenance, figures of every query and a TREC run beside each result that mteb writes of a model of ours."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

import mteb_cascade as mc
from mteb_cascade.corpora import run_files
from mteb_cascade.mteb_plugin.registry import TASKS, add_folder, register

pytestmark = pytest.mark.usefixtures("clean_tasks")

DOCUMENTS = ["red fox runs", "blue whale swims", "green tree and red fox", "old stone", "fox and whale", "fox", "tree"]
QUERIES = {"q1": "red fox", "q2": "whale", "q3": "old stone tree", "d4": "fox whale"}
GRADES = {"q1": {"d0": 1, "d2": 1}, "q2": {"d1": 1}, "q3": {"d3": 1, "d9": 1}, "d4": {"d5": 1, "d4": 1}}
SPELLED = {"success@1": "hit_rate_at_1", "recall@1": "recall_at_1", "recall@10": "recall_at_10"} | {
    "recall@100": "recall_at_100",
    "mrr@10": "mrr_at_10",
    "ndcg@10": "ndcg_at_10",
}


@pytest.fixture
def folder(house: Path) -> Path:
    """A BEIR folder whose task ignores documents with the query's own id: query d4 finds document d4 first."""
    made = house / "few-words"
    (made / "qrels").mkdir(parents=True)
    corpus = [json.dumps({"_id": f"d{row}", "text": text}) for row, text in enumerate(DOCUMENTS)]
    (made / "corpus.jsonl").write_text("\n".join(corpus))
    (made / "queries.jsonl").write_text("\n".join(json.dumps({"_id": q, "text": t}) for q, t in QUERIES.items()))
    rows = [f"{query}\t{doc}\t{grade}" for query, judged in GRADES.items() for doc, grade in judged.items()]
    for split in ("test", "val"):
        kept = rows if split == "test" else rows[:3]
        (made / "qrels" / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *kept]))
    (made / "task.toml").write_text('ignore_identical_ids = true\nsplits = ["test", "val"]\n')
    return made


@pytest.fixture
def cache(tmp_path: Path) -> Any:
    from mteb.cache import ResultCache

    return ResultCache(tmp_path / "cache")


def evaluated(model: Any, task: Any, cache: Any, **options: Any) -> Any:
    import mteb

    task = mteb.get_task(task) if isinstance(task, str) else task
    return mteb.evaluate(model, task, cache=cache, show_progress_bar=False, **options).task_results[0]


def beside(cache: Any) -> dict[str, Path]:
    """{name: file} of all that lies in folders called provenance."""
    return {path.name: path for path in sorted(cache.cache_path.rglob("provenance/*"))}


def equal_means(files: dict[str, Path], result: Any) -> None:
    """The means of every per-query file are mteb's figures, and so are those of the run."""
    for split, several in result.scores.items():
        for scores in several:
            subset = "" if scores["hf_subset"] == "default" else f".{scores['hf_subset']}"
            table = pq.read_table(files[f"{result.task_name}.{split}{subset}.queries.parquet"])
            assert table.column_names == ["query_id", *SPELLED]
            for ours, theirs in SPELLED.items():
                assert np.nansum(table[ours].to_numpy()) / len(table) == pytest.approx(scores[theirs], abs=1e-5), ours


def test_a_result_of_two_splits_has_both_and_one_record(folder: Path, cache: Any) -> None:
    import mteb

    register()
    name = add_folder(folder, sys.modules[TASKS])
    result = evaluated(mteb.get_model("our-cascade"), name, cache)
    files = beside(cache)
    assert set(files) == {
        "few-words.json",
        *(f"few-words.{split}{end}" for split in ("test", "val") for end in (".queries.parquet", ".trec.gz")),
    }
    equal_means(files, result)
    # The query d4 is a document, too: mteb takes it out of its own ranking, and so do we.
    lines = [
        line.split() for line in gzip.decompress(files["few-words.test.trec.gz"].read_bytes()).decode().splitlines()
    ]
    found = {query: [line[2] for line in lines if line[0] == query] for query in QUERIES}
    assert "d4" not in found["d4"] and found["d4"][0] == "d5"
    assert [line[3] for line in lines if line[0] == "q1"] == [str(rank + 1) for rank in range(len(found["q1"]))]
    assert {line[5] for line in lines} == {"local/our-cascade"}
    record = json.loads(files["few-words.json"].read_text())
    stage = mc.load("our-cascade")
    assert (record["model"], record["name"]) == ("our-cascade", "local/our-cascade")
    assert files["few-words.json"].parents[1].name == record["fingerprint"] == stage.fingerprint
    assert record["splits"] == ["test", "val"] and record["subsets"] == ["default"]
    test, val = record["parts"]
    assert test["corpus_digest"] == val["corpus_digest"] and test["qrels_digest"] != val["qrels_digest"]
    assert record["dataset_revision"] == result.dataset_revision
    assert [one["label"] for one in record["stages"]] == ["our-cascade", "our-bm25", "our-biencoder"]
    assert list(record["stages"][2]["files"]) and str(folder.parent) not in json.dumps(record)


def test_a_cached_result_writes_nothing_anew_and_a_missing_split_is_added(folder: Path, cache: Any) -> None:
    import mteb

    name = add_folder(folder, sys.modules[TASKS])
    stage = mc.BM25(name="ours/plain")
    evaluated(stage, mteb.get_task(name, eval_splits=["test"]), cache)
    before = {name: path.read_bytes() for name, path in beside(cache).items()}
    assert json.loads(before["few-words.json"])["split"] == "test"
    evaluated(stage, mteb.get_task(name, eval_splits=["test"]), cache)
    assert {name: path.read_bytes() for name, path in beside(cache).items()} == before
    result = evaluated(stage, name, cache)
    record = json.loads(beside(cache)["few-words.json"].read_text())
    assert [part["split"] for part in record["parts"]] == ["test", "val"]
    assert beside(cache)["few-words.test.trec.gz"].read_bytes() == before["few-words.test.trec.gz"]
    equal_means(beside(cache), result)


def test_overrides_have_files_of_their_own(folder: Path, cache: Any) -> None:
    import mteb

    register()
    name = add_folder(folder, sys.modules[TASKS])
    evaluated(mteb.get_model("our-cascade"), name, cache)
    evaluated(mteb.get_model("our-cascade", depths=[1]), name, cache)
    plain, other = sorted(cache.cache_path.rglob("provenance/few-words.json"), key=lambda path: len(path.parts))
    assert other.parents[2].name == "experiments"
    assert json.loads(plain.read_text())["overrides"] is None
    assert json.loads(other.read_text())["overrides"] == {"depths": [1], "blends": [0.0]}
    for load in ("no_experiments", "match_name"):
        seen = cache.get_cache_paths(load_experiments=load)
        assert seen and all("provenance" not in path.parts for path in seen)


def test_a_cascade_task_at_its_level(folder: Path, cache: Any) -> None:
    (folder / "task.toml").write_text('relevance_level = 2\nsplits = ["test"]\n')
    judged = (folder / "qrels" / "test.tsv").read_text().replace("d0\t1", "d0\t2").replace("d3\t1", "d3\t2")
    (folder / "qrels" / "test.tsv").write_text(judged)
    name = add_folder(folder, sys.modules[TASKS])
    result = evaluated(mc.load("our-cascade"), f"{name}Cascade", cache)
    table = pq.read_table(beside(cache)["few-wordsCascade.test.queries.parquet"])
    (scores,) = result.scores["test"]
    values = table["success@1"].to_numpy()
    assert np.isnan(values).sum() == 2  # grade 1 is not relevant there
    assert np.nansum(values) / 4 == pytest.approx(scores["stages"][-1]["success_at_1"], abs=1e-5)
    assert np.nansum(table["recall@1"].to_numpy()) / 4 == pytest.approx(scores["recall_at_1"], abs=1e-5)
    assert json.loads(beside(cache)["few-wordsCascade.json"].read_text())["relevance_level"] == 2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["MockMultilingualRerankingTask", "MockMultilingualInstructionRetrieval"])
def test_subsets_and_reranking_tasks(name: str, house: Path, cache: Any) -> None:
    import mteb.mocks

    task = getattr(mteb.mocks, name)()
    result = evaluated(mc.BM25(name="ours/plain"), task, cache)
    files = beside(cache)
    equal_means(files, result)
    record = json.loads(files[f"{result.task_name}.json"].read_text())
    assert record["subsets"] == list(task.metadata.hf_subsets) and len(record["parts"]) > 1
    name = f"{result.task_name}.test.{record['subsets'][0]}"
    ranked = run_files.read(files[f"{name}.trec.gz"]).query_ids.to_pylist()
    assert ranked and set(ranked) <= set(pq.read_table(files[f"{name}.queries.parquet"])["query_id"].to_pylist())


def test_other_models_and_tasks_without_a_search(house: Path, cache: Any) -> None:
    import mteb.mocks
    from mteb.models.model_implementations.random_baseline import random_encoder_baseline

    evaluated(random_encoder_baseline.load_model(), mteb.mocks.MockRetrievalTask(), cache)
    assert list(cache.cache_path.rglob("MockRetrievalTask.json")) and not beside(cache)
    evaluated(mc.load("our-biencoder"), mteb.mocks.MockSTSTask(), cache)
    (file,) = beside(cache).values()
    record = json.loads(file.read_text())
    assert (record["task"], record["split"], record["corpus_digest"]) == ("MockSTSTask", "test", None)


def test_what_cannot_be_written_is_one_warning_and_the_result_stays(folder: Path, cache: Any) -> None:
    name = add_folder(folder, sys.modules[TASKS])
    stage = mc.BM25(name="ours/plain")
    place = cache.cache_path / "results" / "ours__plain" / stage.fingerprint
    place.mkdir(parents=True)
    (place / "provenance").write_text("in the way")
    with pytest.warns(UserWarning, match="few-words: provenance and run are not beside the result: ") as warned:
        evaluated(stage, name, cache)
    assert all("\n" not in str(one.message) for one in warned)
    assert (place / "few-words.json").exists()


def test_without_a_cache_nothing_is_written(folder: Path, cache: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    name = add_folder(folder, sys.modules[TASKS])
    before = set(folder.parent.rglob("*"))
    evaluated(mc.BM25(name="ours/plain"), name, None)
    assert set(folder.parent.rglob("*")) == before
