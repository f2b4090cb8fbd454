"""What is no result of a sweep is said in one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mteb_cascade.cli.main import app
from mteb_cascade.errors import InputError
from mteb_cascade.report.results import Result, by_task, read_all


def test_results_of_one_task_belong_together(results: list[Result], swept: Path) -> None:
    assert [result.reranker for result in results] == ["coarse1", "coarse2"]
    assert [len(group) for group in by_task(results)] == [2]
    assert read_all([results[1].path])[0].pipeline == "coarse0 > coarse2"
    assert results[0].candidates.is_file()
    assert results[0].lines == {"alone": 0.0, "blended": 0.7}
    other = Result(results[0].path, {**results[0].found, "corpus_digest": "another"})
    assert [len(group) for group in by_task([other, *results])] == [1, 2]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "x.json: cannot be read (Expecting property name"),
        ('{"kind": "evaluation"}', "x.json: no result of a sweep; expected a JSON with kind 'sweep'"),
        ("[1]", "x.json: no result of a sweep"),
        ('{"kind": "sweep", "title": "t"}', "x.json: a sweep's result without pipeline, task, source,"),
        (None, "x.json: there is no such file"),
    ],
)
def test_a_file_that_is_no_result(
    content: str | None, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if content is not None:
        Path("x.json").write_text(content)
    with pytest.raises(InputError) as raised:
        read_all([Path("x.json")])
    assert str(raised.value).startswith(said) and "\n" not in str(raised.value)


def test_other_json_in_a_folder_is_left_alone_and_none_at_all_is_said(
    results: list[Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="no result of a sweep in results/sweeps; `mteb-cascade sweep` writes"):
        read_all()
    (tmp_path / "results" / "sweeps").mkdir(parents=True)
    (tmp_path / "results" / "sweeps" / "other.json").write_text(json.dumps({"kind": "first stages"}))
    with pytest.raises(InputError, match="no result of a sweep in results/sweeps"):
        read_all()
    (tmp_path / "results" / "sweeps" / "one.json").write_text(json.dumps(results[0].found))
    assert len(read_all()) == 1


def test_the_command_writes_page_and_figures(swept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke(app, ["report", str(swept / "sweeps")])
    assert run.exit_code == 0, run.output
    assert run.stdout == "report.html\n" and Path("report.html").read_text().startswith("<!doctype html>")
    run = CliRunner().invoke(app, ["report", str(swept / "sweeps"), "--figures", "drawn", "-m", "success@1"])
    assert run.exit_code == 0, run.output
    assert run.stdout.splitlines() == [
        f"drawn/data.test.success@1{part}.{kind}" for part in ("", ".each") for kind in ("png", "pdf", "svg")
    ]
    run = CliRunner().invoke(app, ["report", str(swept / "sweeps"), "--figures", "drawn", "-m", "sucess@1"])
    assert str(run.exception) == "'sucess@1' was not swept. Swept: ndcg@10, success@1. Did you mean 'success@1'?"
