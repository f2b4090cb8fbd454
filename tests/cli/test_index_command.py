"""`index`, `add`, `remove`, `compact` and `verify` as they are typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from mteb_cascade.store.index.index import Index


@pytest.fixture
def run(write_spec, tmp_path, monkeypatch, command):
    """Runs the command line in this process, in a folder with a model and documents."""
    write_spec("our-bm25", 'kind = "bm25"\n')
    (tmp_path / "small.tsv").write_text("1\tred fox\n2\tblue whale\n3\tgreen tree\n")
    (tmp_path / "more.tsv").write_text("4\told stone\n1\tred fox\n")
    monkeypatch.setenv("COLUMNS", "80")

    return command


def test_an_index_is_made_changed_and_checked(run):
    code, out, err = run("index", "our-bm25", "small.tsv")
    assert code == 0, err
    assert "our-bm25 over small: 3 documents in indexes/our-bm25" in out
    assert "bytes a document" in out
    assert max(map(len, out.splitlines())) <= 80
    folder = "indexes/our-bm25"
    assert run("add", folder, "more.tsv")[1].startswith(
        f"{folder}: 4 documents now; 1 added (1 were there already), 0 removed; "
    )
    Path("gone.txt").write_text("2\n\n4\n")
    assert run("remove", folder, "1", "--ids", "gone.txt")[1].startswith(
        f"{folder}: 1 documents now; 0 added, 3 removed; "
    )
    assert run("compact", folder)[1].endswith(" in 1 segment\n")
    assert run("verify", folder)[1].startswith(f"{folder}: whole: ")
    assert Index.open(Path(folder)).corpus.ids.to_pylist() == ["3"]


def test_bad_lines_are_counted_on_request(run):
    Path("bad.jsonl").write_text('{"_id": "1", "text": "red"}\nnone\n{"_id": "2"}\n')
    code, out, err = run("index", "our-bm25", "bad.jsonl", "-o", "out")
    assert (code, out) == (2, "")
    assert [line.split(": ")[1] for line in err.splitlines()] == ["line 2", "line 3"]
    assert not Path("out").exists()
    code, out, err = run("index", "our-bm25", "bad.jsonl", "-o", "out", "--skip-bad")
    assert code == 0
    assert "2 bad lines were skipped:" in err
    assert "1 documents in out" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["index", "our-bm52", "small.tsv"], "unknown model 'our-bm52'"),
        (["index", "our-bm25", "gone.tsv"], "gone.tsv: there is no such file or folder"),
        (["index", "our-bm25", "small.tsv", "-o", "models"], "models: holds other files ('our-bm25.toml')"),
        (["index", "our-bm25", "small.tsv", "-o", "small.tsv"], "small.tsv: is a file; expected a folder"),
        (["index", "our-bm25", "small.tsv", "--precision", "int4"], "unknown precision 'int4'"),
        (["index", "our-bm25", "small.tsv", "--queries", "gone"], "gone: there is no such file"),
        (["add", "gone", "more.tsv"], "gone: there is no such folder"),
        (["add", "models", "more.tsv"], "models: is no index"),
        (["remove", "gone", "1"], "gone: there is no such folder"),
        (["remove", "gone"], "nothing to remove: give ids"),
        (["compact", "models"], "models: is no index"),
        (["verify", "models"], "models: is no index"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(run, tmp_path, arguments, message):
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1, err
    assert message in err
    assert sorted(tmp_path.rglob("*")) == before


def test_ctrl_c_says_how_it_goes_on(run, monkeypatch):
    from mteb_cascade.retriever import building

    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(building, "build", stopped)
    code, out, err = run("index", "our-bm25", "small.tsv")
    assert (code, out) == (130, "")
    assert err.splitlines() == [
        "finished segments are kept: run the same command again, it goes on from there",
        "stopped",
    ]
