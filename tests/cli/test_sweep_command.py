"""`mteb-cascade sweep` as a user runs it, and every mistake that a user can make."""

from __future__ import annotations

import json
import re
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mteb_cascade.cli import main as command_line

WORDS = ("red", "fox", "blue", "whale", "green", "tree", "old", "stone")


@pytest.fixture
def house(write_spec: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with three models and a BEIR folder of 40 documents and 8 queries."""
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "cache"))
    write_spec("our-bm25", 'kind = "bm25"\n')
    write_spec("our-tfidf", 'kind = "tfidf"\n')
    write_spec(
        "our-cascade",
        'kind = "cascade"\n[[stage]]\nmodel = "our-bm25"\n[[stage]]\nmodel = "our-tfidf"\ndepth = 10\nblend = 0.5\n',
    )
    data = tmp_path / "data"
    (data / "qrels").mkdir(parents=True)
    texts = [" ".join(WORDS[(row * step) % 8] for step in (1, 3, 5, row)) for row in range(40)]
    lines = [json.dumps({"_id": f"d{row}", "text": text}) for row, text in enumerate(texts)]
    (data / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    asked = [json.dumps({"_id": f"q{row}", "text": f"{WORDS[row]} {WORDS[row - 3]}"}) for row in range(8)]
    (data / "queries.jsonl").write_text("\n".join(asked) + "\n")
    judged = [f"q{row}\td{(7 * row + step) % 40}\t{step}" for row in range(8) for step in (1, 2)]
    (data / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n")
    return tmp_path


@pytest.fixture
def run(house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple]:
    """Runs the command line in this process: exit code, stdout, stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mteb-cascade", "sweep", *arguments])
        monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
        monkeypatch.setenv("COLUMNS", "80")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command_line.main()
            sys.exit(0)
        code = ended.value.code
        out, err = capsys.readouterr()
        return (code if isinstance(code, int) else 1), out, err

    return run


def test_a_matrix_of_first_stages_and_rerankers(run, house):
    code, out, err = run("--first", "our-bm25", "our-tfidf", "--rerank", "our-tfidf", "-t", "data", "--depth", "20")
    assert code == 0, err
    assert max(map(len, out.splitlines())) <= 80
    files = sorted(path.name for path in (house / "results" / "sweeps").iterdir())
    stems = [re.sub(r"\.[0-9a-f]{8}\.", ".*.", name) for name in files]
    assert stems == [
        "our-bm25+our-tfidf.*.data.test.json",
        "our-bm25+our-tfidf.*.data.test.parquet",
        "our-tfidf+our-tfidf.*.data.test.json",
        "our-tfidf+our-tfidf.*.data.test.parquet",
    ]
    result = json.loads((house / "results" / "sweeps" / files[0]).read_text())
    assert result["depths"] == list(range(1, 21))
    assert result["as_good_as_best"] is None
    assert "--dev-fraction" in result["as_good_why_not"]
    candidates = pq.read_table(house / "results" / "sweeps" / files[1])
    assert candidates.num_rows == result["pairs"]
    assert "our-bm25 > our-tfidf" in out
    whole = result["first_stages"][0]
    assert whole["queries"] == 8
    assert set(whole["stages"]) == {"our-bm25", "our-tfidf"}
    assert "alone gets right" in out


def test_a_cascade_with_dev_queries_cut_from_test(run, house):
    code, out, err = run("our-cascade", "-t", "data", "--depth", "15", "--dev-fraction", ".25", "--seed", "3")
    assert code == 0, err
    assert "test[dev=.25,seed=3]" in out
    (path,) = (house / "results" / "sweeps").glob("*.json")
    result = json.loads(path.read_text())
    assert result["blend"] == 0.5
    assert result["blend_from"] == "spec"
    assert set(result["curves"]["success@1"]) >= {"alone", "blended", "oracle", "random order", "first stage"}
    assert result["as_good_as_best"]["success@1"]["alone"]["says"]


def test_a_dry_run_scores_and_writes_nothing(run, house):
    code, _, err = run("our-cascade", "-t", "data", "--depth", "20", "--dry-run")
    assert code == 0
    assert "our-bm25 > our-tfidf on data, test: at most 160 pairs" in err
    assert not (house / "results").exists()


def test_the_second_sweep_is_the_first_but_for_timings(run, house):
    def swept() -> dict:
        assert run("our-cascade", "-t", "data", "--depth", "15")[0] == 0
        (path,) = (house / "results" / "sweeps").glob("*.json")
        result = json.loads(path.read_text())
        del result["timings"], result["provenance"]["date"]
        return result

    assert swept() == swept()


def test_expectations_are_judged_and_logged(run, house):
    code, out, err = run(
        "our-cascade",
        "-t",
        "data",
        "--depth",
        "15",
        "--expect",
        "peak(success@1) < 50",
        "--expect",
        "best(ndcg@10) > 2",
    )
    assert code == 0, err
    assert "Expected, alone, peak(success@1) < 50: holds" in out
    assert "Expected, alone, best(ndcg@10) > 2: does not hold" in out
    log = (house / "results" / "LOG.md").read_text()
    assert "peak(success@1) < 50" in log
    assert "our-cascade" in log


def test_a_reranker_over_the_whole_corpus(run, house):
    code, out, err = run("our-cascade", "-t", "data", "--depth", "15", "--full-corpus")
    assert code == 0, err
    assert "whole corpus" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["our-cascade", "-t", "Nowhere"], "Nowhere"),
        (["our-cascade", "-t", "data", "--depth", "41"], "40 documents"),
        (["our-cascade", "-t", "data", "--expect", "peak(success@1) <"], "peak(success@1) <"),
        (["our-cascade", "-t", "data", "--expect", "peak(recall@7) < 5"], "-m recall@7"),
        (["our-cascade", "-t", "data", "-m", "precision@5"], "precision@5"),
        (["our-bm25", "-t", "data"], "is no cascade"),
        (["--first", "our-bm25", "-t", "data"], "--rerank is missing"),
        (["our-cascade"], "no task"),
        (["-t", "data"], "nothing to sweep"),
        (["our-cascade", "-t", "data", "--split", "validation"], "validation"),
        (["our-cascade", "-t", "data", "--depth", "9", "--dev-fraction", "1.5"], "between 0 and 1"),
        (["our-cascade", "-t", "data", "--depth", "9", "--slices", "nowhere.tsv"], "nowhere.tsv"),
        (["our-cascade", "-t", "data", "--depth", "9", "--blend", "nan"], "finite"),
        (["our-cascade", "-t", "data", "--depth", "9", "--seed", "-1"], "seed: expected 0 or more"),
        (["our-cascade", "-t", "data", "-t", "data", "--depth", "9"], "two tasks are called data, test"),
        (["our-cascade", "-t", "data", "--depth", "9", "-o", "data/corpus.jsonl"], "expected a folder"),
        (["our-cascade", "-t", "data", "--depth", "9", "-o", "data/corpus.jsonl/x"], "expected a folder"),
    ],
)
def test_mistakes_are_one_line_before_any_work(run, house, arguments, expected):
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert expected in err
    assert len(err.strip().splitlines()) == 1, err
    assert not (house / "results").exists()


def test_judgements_that_name_no_query(run, house):
    (house / "data" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nstranger\td1\t1\n")
    code, _, err = run("our-cascade", "-t", "data")
    assert code == 2
    assert "judges no query of" in err


def test_a_run_file_of_other_documents_is_counted_by_name(run, house):
    (house / "first.trec").write_text("q0 Q0 d1 1 2.0 x\nq0 Q0 stranger 2 1.0 x\nq1 Q0 stranger 1 1.0 x\n")
    code, _, err = run("--first", "first.trec", "--rerank", "our-tfidf", "-t", "data", "--depth", "5")
    assert code == 0, err
    assert "1 of its documents" in err
    assert "stranger" in err


def test_slices_of_the_users_own(run, house):
    (house / "kind.tsv").write_text("query-id\tcolour\n" + "".join(f"q{row}\t{'ab'[row % 2]}\n" for row in range(8)))
    code, _, err = run("our-cascade", "-t", "data", "--depth", "15", "--slices", "kind.tsv")
    assert code == 0, err
    (path,) = (house / "results" / "sweeps").glob("*.json")
    slices = json.loads(path.read_text())["slices"]
    assert [(one["slice"], one["queries"]) for one in slices if one["by"] == "colour"] == [("a", 4), ("b", 4)]


def test_sweeps_that_end_at_other_depths_say_so_in_the_table(run, write_spec):
    stages = "".join(
        f'[[stage]]\nmodel = "{name}"\ndepth = {deep}\n' for name, deep in (("our-tfidf", 12), ("our-bm25", 5))
    )
    write_spec("our-three", f'kind = "cascade"\n[[stage]]\nmodel = "our-bm25"\n{stages}')
    code, out, err = run("our-three", "our-cascade", "-t", "data", "--depth", "20")
    assert code == 0, err
    assert "at the deepest" in out
    assert "at 20" not in out
    assert "12: ." in out
    assert "20: ." in out
    assert max(map(len, out.splitlines())) <= 80


def test_a_column_of_slices_called_as_ours_is_refused_before_any_work(run, house):
    (house / "own.tsv").write_text("query-id\tlength\nq0\ta\n")
    code, _, err = run("our-cascade", "-t", "data", "--depth", "9", "--slices", "own.tsv")
    assert code == 2
    assert "'length'" in err
    assert not (house / "results").exists()
