"""`mteb-cascade scores`: what is listed, what is deleted, what is exported."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from mteb_cascade.cli import main as command_line
from mteb_cascade.stages.load import load
from mteb_cascade.store.contents import entries, leftovers

CORPUS = ("red fox", "blue whale", "red whale")
QUERIES = ("red fox", "whale")


@pytest.fixture
def house(write_spec: Callable[[str, str], Path], tmp_path: Path, monkeypatch, tiny_cross_encoder: Path) -> Path:
    """A working folder with a cascade and a BEIR folder, and a store of its own."""
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "cache"))
    write_spec("our-bm25", 'kind = "bm25"\n')
    write_spec("our-reranker", f'kind = "cross-encoder"\nmodel = "{tiny_cross_encoder}"\n')
    stages = '[[stage]]\nmodel = "our-bm25"\n[[stage]]\nmodel = "our-reranker"\ndepth = 2\n'
    write_spec("our-cascade", f'kind = "cascade"\n{stages}')
    folder = tmp_path / "data"
    (folder / "qrels").mkdir(parents=True)
    texts = enumerate(CORPUS)
    (folder / "corpus.jsonl").write_text("".join(f'{{"_id": "d{row}", "text": "{text}"}}\n' for row, text in texts))
    texts = enumerate(QUERIES)
    (folder / "queries.jsonl").write_text("".join(f'{{"_id": "q{row}", "text": "{text}"}}\n' for row, text in texts))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\nq1\td1\t1\n")
    return tmp_path


@pytest.fixture
def run(house: Path, monkeypatch, capsys) -> Callable[..., tuple[int, list[str], list[str]]]:
    """Runs the command line in that folder: exit code, lines of stdout, lines of stderr."""

    def run(*arguments: str) -> tuple[int, list[str], list[str]]:
        monkeypatch.setattr(sys, "argv", ["mteb-cascade", *arguments])
        monkeypatch.setattr("warnings.showwarning", None)
        monkeypatch.setenv("COLUMNS", "80")
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        out, err = capsys.readouterr()
        return ended.value.code or 0, out.splitlines(), err.splitlines()

    return run


@pytest.fixture
def evaluated(run) -> None:
    assert run("evaluate", "our-cascade", "-t", "data")[0] == 0


def test_an_empty_store_says_so(run):
    assert run("scores", "list") == (0, ["cache: nothing is stored"], [])
    assert run("scores", "prune", "--all", "--yes") == (0, ["nothing to delete"], [])


def test_list_names_every_model_with_what_is_stored_of_it(run, evaluated):
    code, out, _ = run("scores", "list")
    assert code == 0
    assert out[0].endswith(" of 2 models")
    rows = {line.split()[0]: line.split() for line in out if line.strip().startswith("our-")}
    # Two queries, and BM25 finds two documents for each of them.
    assert rows["our-reranker"][1:3] == [load("our-reranker").fingerprint[:8], "4"]
    assert rows["our-bm25"][1:3] == [load("our-bm25").fingerprint[:8], "1"]
    assert max(map(len, out)) <= 80


def test_prune_deletes_one_model_by_name_another_by_fingerprint(run, evaluated, house):
    code, out, _ = run("scores", "prune", "our-bm25", "--yes")
    assert code == 0
    assert out[0].startswith(f"our-bm25 {load('our-bm25').fingerprint[:8]}: ")
    assert out[1].endswith(" deleted")
    assert not list(house.glob("cache/runs/*"))
    assert list(house.glob("cache/scores/*/*.parquet"))
    assert run("scores", "prune", load("our-reranker").fingerprint[:8], "--yes")[0] == 0
    assert not list(house.glob("cache/scores/*"))


def test_prune_spares_what_was_used_lately(run, evaluated, house):
    old = list(house.glob("cache/scores/*/*"))
    for path in old:
        os.utime(path, (0, 0))
    assert len(run("scores", "prune", "--older-than", "30", "--yes")[1]) == 2
    assert list(house.glob("cache/runs/*"))
    assert not list(house.glob("cache/scores/*"))


def test_prune_sweeps_out_what_killed_processes_left(run, evaluated, house):
    (folder,) = house.glob("cache/scores/*/")
    new, stale, damaged = folder / ".a.1.2", folder / ".b.3.4", folder / f"{'0' * 32}.parquet.damaged"
    for path in (new, stale, damaged):
        path.write_text("half")
    os.utime(stale, (0, 0))
    code, out, _ = run("scores", "prune", "--older-than", "1", "--yes")
    assert (code, out[0]) == (0, "2 leftovers of killed processes and damaged files")
    assert [path.exists() for path in (new, stale, damaged)] == [True, False, False]
    assert list(folder.glob("*.parquet"))


def test_prune_leaves_alone_what_is_not_the_stores(run, evaluated, house):
    mine = house / "cache" / "runs" / "study"
    mine.mkdir()
    for name in ("run.sh", ".hidden", ".a.1.2"):
        (mine / name).write_text("mine")
        os.utime(mine / name, (0, 0))
    gone = house / "cache" / "scores" / f".{'0' * 64}.gone"
    gone.mkdir()
    assert run("scores", "prune", "--all", "--yes")[0] == 0
    assert not gone.exists()
    assert not list(house.glob("cache/scores/*"))
    assert sorted(path.name for path in house.glob("cache/runs/*")) == ["study"]
    assert len(list(mine.iterdir())) == 3


def test_what_vanishes_while_the_store_is_looked_through_is_passed_over(evaluated, house):
    (folder,) = house.glob("cache/scores/*/")
    (folder / ".a.1.2").symlink_to(folder / "renamed")  # listed, and gone when it is asked for
    assert entries(house / "cache")
    assert not leftovers(house / "cache")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["prune"], "say what to delete"),
        (["prune", "our-bm25"], "nothing is deleted: nobody is there to ask; say --yes"),
        (["prune", "our-bm5", "--yes"], "nothing is stored of 'our-bm5'"),
        (["export", "our-bm25", "-t", "data"], "our-bm25: scores of kind 'bm25' are computed anew each time"),
        (["export", "our-reranker", "-t", "other"], "our-reranker: no scores of other are stored"),
        (["export", "our-reranker", "-t", "data", "-o", "x.csv"], "x.csv: expected a .parquet file"),
        (
            ["export", "our-reranker", "-t", "data", "-o", "data/corpus.jsonl/x.parquet"],
            "data/corpus.jsonl/x.parquet: ",
        ),
    ],
)
def test_mistakes_are_one_line_and_change_nothing(run, evaluated, house, monkeypatch, arguments, line):
    import io
    import shutil

    shutil.copytree(house / "data", house / "other")
    (house / "other" / "queries.jsonl").write_text('{"_id": "q0", "text": "x"}\n{"_id": "q1", "text": "y"}\n')
    monkeypatch.setattr("sys.stdin", io.StringIO())
    before = sorted(path for path in house.rglob("*") if "digests" not in path.parts)
    code, _, err = run("scores", *arguments)
    assert (code, len(err)) == (2, 1)
    assert err[0].startswith(line)
    assert sorted(path for path in house.rglob("*") if "digests" not in path.parts) == before


def test_export_is_a_distillation_set_of_texts_and_logits(run, evaluated, house):
    code, out, _ = run("scores", "export", "our-reranker", "-t", "data")
    assert (code, out) == (0, ["our-reranker.data.scores.parquet: 4 pairs of 2 queries"])
    rows = pq.read_table(house / "our-reranker.data.scores.parquet").to_pylist()
    assert [(row["query_id"], row["query"], row["document_id"], row["document"]) for row in rows] == [
        ("q0", "red fox", "d0", "red fox"),
        ("q0", "red fox", "d2", "red whale"),
        ("q1", "whale", "d1", "blue whale"),
        ("q1", "whale", "d2", "red whale"),
    ]
    network = load("our-reranker").network
    from torch.nn import Identity

    pairs = [(row["query"], row["document"]) for row in rows]
    expected = network.predict(pairs, activation_fn=Identity(), show_progress_bar=False)
    assert [row["logit"] for row in rows] == pytest.approx(expected.tolist(), abs=1e-4)
