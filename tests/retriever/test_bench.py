from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from mteb_cascade.cli.bench import bench as command
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.evaluate import evaluate_models
from mteb_cascade.report.benched import tables
from mteb_cascade.retriever.bench import COLD, bench
from mteb_cascade.retriever.calibrating import calibrate
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step

SPEC = """
kind = "cascade"
{budget}
[[stage]]
model = "first"
[[stage]]
model = "second"
depth = 3
"""

DOCUMENTS = ["red fox", "blue whale", "green fox", "old stone", "red whale and fox", "stone"]
QUERIES = ["fox", "whale", "stone fox", "red", "green"]
GRADES = [("q0", "d0", 1), ("q0", "d4", 1), ("q1", "d1", 1), ("q2", "d3", 1), ("q3", "d0", 1), ("q4", "gone", 1)]


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A BEIR folder; the one answer to the last query is in no corpus."""
    folder = tmp_path / "small"
    (folder / "qrels").mkdir(parents=True)
    rows = [json.dumps({"_id": f"d{row}", "text": text}) for row, text in enumerate(DOCUMENTS)]
    (folder / "corpus.jsonl").write_text("\n".join(rows))
    rows = [json.dumps({"_id": f"q{row}", "text": text}) for row, text in enumerate(QUERIES)]
    (folder / "queries.jsonl").write_text("\n".join(rows))
    (folder / "qrels" / "test.tsv").write_text("".join("\t".join(map(str, line)) + "\n" for line in GRADES))
    return folder


@pytest.fixture
def index(collection: Path, write_spec, tmp_path: Path) -> Path:
    write_spec("first", 'kind = "bm25"')
    write_spec("second", 'kind = "bm25"\nk1 = 0.5')
    write_spec("both", SPEC.format(budget="budget_ms = 500.0"))
    Retriever("both", tmp_path / "index").embed_and_store_corpus(str(collection))
    return tmp_path / "index"


@pytest.mark.filterwarnings("ignore:.*names 1 documents")
def test_quality_is_that_of_evaluation(index: Path, collection: Path) -> None:
    found = bench(index, task=str(collection), clients=3)
    evaluation = evaluate_models(["both"], str(collection), k=10)[0]
    quality = found["quality"]
    assert quality["scores"]["recall@1"] == pytest.approx(evaluation.means["recall@1"])
    assert quality["scores"]["mrr@10"] == pytest.approx(evaluation.means["mrr@10"])
    # One query has two answers, and of one the answer is not there, which is a miss.
    assert quality["highest_recall@1"] == pytest.approx((0.5 + 1 + 1 + 1 + 1) / 5) == evaluation.highest_recall_at_1
    assert (quality["relevant"], quality["absent"], quality["without_relevant"]) == (5, 1, 0)


@pytest.mark.filterwarnings("ignore:.*names 1 documents")
def test_what_is_timed_and_what_is_kept(index: Path, collection: Path) -> None:
    told: list[str] = []
    found = json.loads(json.dumps(bench(index, task=str(collection), limit=4, k=2, clients=2, say=told.append)))
    assert (found["queries"], found["of_queries"], found["k"]) == (4, 5, 2)
    assert found["warm"]["whole"]["calls"] == found["warm"]["whole"]["inputs"] == found["clients"]["calls"] == 4
    assert found["cold"]["next"]["calls"] == COLD
    assert list(found["warm"]["stages"]) == ["first", "second"]
    assert found["clients"]["clients"] == 2 and found["clients"]["queries_per_second"] > 0
    # Measures that look deeper than what is asked for are not told.
    assert list(found["quality"]["scores"]) == ["recall@1", "success@1"]
    assert found["index"]["documents"] == 6 and found["index"]["precision"] == "float32"
    assert (found["depths"], found["capped"], found["flips"]) == ([3], 0, None)
    assert found["calibration"]["cap"] == 3
    record = found["provenance"]
    assert (record["task"], record["split"], record["model"]) == ("small", "test", "both")
    assert record["stages"][0]["fingerprint"] == found["fingerprint"]
    assert len(told) == 3
    pattern = (
        r"recall@1 [.\d]+ \(max [.\d]+\), success@1 [.\d]+, p95 [\d,]+ ms: both, small test, 4 queries, 6 documents, "
        r"batch 1, \d+ (thread|core)s?, .+"
    )
    assert re.fullmatch(pattern, found["headline"])


def test_a_file_of_queries_has_no_answers(index: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "asked.txt").write_text("fox\nno such word\nwhale\n")
    found = bench(index, queries=tmp_path / "asked.txt", clients=1)
    assert found["quality"] is None and found["clients"] is None
    assert found["headline"].startswith("p95 ") and "asked.txt, 3 queries" in found["headline"]
    tables(found)
    shown = capsys.readouterr().out.splitlines()
    assert any(line.startswith("Nothing is known of the right answers") for line in shown)
    assert shown[-1] == found["headline"]


@pytest.mark.filterwarnings("ignore:.*names ")
def test_another_collection_is_refused_before_it_is_asked(index: Path, collection: Path) -> None:
    said: list[str] = []
    (collection / "qrels" / "test.tsv").write_text("q0\tother\t1\nq1\tanother\t1\n")
    with pytest.raises(
        InputError, match="none of the 2 relevant documents of small test is in the index, such as 'other'"
    ):
        bench(index, task=str(collection), say=said.append)
    assert not any("asking" in line for line in said)


def test_mistakes_are_named_before_any_work(index: Path, collection: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="either a file"):
        bench(index)
    with pytest.raises(InputError, match="and not both"):
        bench(index, task="PythonDocs", queries=tmp_path / "x")
    with pytest.raises(InputError, match="clients: expected at least 1, got 0"):
        bench(index, task=str(collection), clients=0)
    with pytest.raises(InputError, match="limit: expected at least 1"):
        bench(index, task=str(collection), limit=0)
    with pytest.warns(UserWarning), pytest.raises(InputError, match="no such folder"):
        bench(tmp_path / "none", task=str(collection))


def test_a_query_that_is_a_document_does_not_find_itself(tmp_path: Path, collection: Path, monkeypatch) -> None:
    """Query d4 asks for its own text; the answer is d0."""
    monkeypatch.chdir(tmp_path)
    (collection / "queries.jsonl").write_text(json.dumps({"_id": "d4", "text": DOCUMENTS[4]}))
    (collection / "qrels" / "test.tsv").write_text("d4\td0\t1\n")
    Retriever(BM25(), tmp_path / "index").embed_and_store_corpus(str(collection))
    found = bench(tmp_path / "index", task=str(collection), model=BM25(), k=1, clients=1)
    assert found["quality"]["scores"]["recall@1"] == 0
    (collection / "task.toml").write_text("ignore_identical_ids = true\n")
    found = bench(tmp_path / "index", task=str(collection), model=BM25(), k=1, clients=1)
    assert found["quality"]["scores"]["recall@1"] == 1


def test_calibration_is_kept_in_the_index(index: Path, write_spec, tmp_path: Path) -> None:
    before = Retriever.open(index).manifest
    assert before.facts["calibration"]["cap"] == 3
    spec = tmp_path / "models" / "both.toml"
    spec.write_text(SPEC.format(budget="budget_ms = 0.000001"))
    with pytest.warns(UserWarning, match="the index was calibrated for 500 ms, so every candidate is scored"):
        assert Retriever.open(index).search("fox", 3).depths == (3,)
    (tmp_path / "asked.txt").write_text("fox\nwhale\n")
    # A nanosecond is gone before the reranker: it scores nothing, and the first stage's order stays.
    found = calibrate(index, queries=tmp_path / "asked.txt")
    assert (found["cap"], found["keeps"], found["queries"]) == (0, False, "the first of asked.txt")
    served = Retriever.open(index).search("fox", 3)
    assert (served.depths, served.capped) == ((0,), True)
    assert [one.document_id for one in served] == [
        one.document_id for one in Retriever.open(index, "first").search("fox", 3)
    ]
    after = Retriever.open(index).manifest
    assert (after.name, after.segments, after.whole) == (before.name, before.segments, before.whole)
    assert {key for key in before.facts if before.facts[key] != after.facts[key]} == {"calibration"}
    with pytest.raises(InputError, match="has no budget"):
        calibrate(index, model=Cascade(BM25(), Step(BM25(k1=0.5), 3)))


@pytest.mark.filterwarnings("ignore:.*names 1 documents")
def test_the_command(index: Path, collection: Path, tmp_path: Path, monkeypatch) -> None:
    app = typer.Typer()
    app.command()(command)
    monkeypatch.setattr(sys, "argv", ["mteb-cascade", "bench"])
    asked = [
        str(index),
        "-t",
        str(collection),
        "-o",
        str(tmp_path / "out" / "bench.json"),
        "--clients",
        "1",
        "--calibrate",
    ]
    done = CliRunner().invoke(app, asked, catch_exceptions=False)
    assert done.exit_code == 0
    assert "Budget 500 ms: all 3 candidates are scored" in done.stderr
    kept = json.loads((tmp_path / "out" / "bench.json").read_text())
    assert done.stdout.splitlines()[-1] == kept["headline"]
    assert "1 of 5 relevant documents are not in the index" in " ".join(done.stdout.split())
    with pytest.raises(InputError, match="nothing to ask"):
        CliRunner().invoke(app, [str(index)], catch_exceptions=False)
