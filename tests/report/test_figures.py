"""Figures for papers: which files, what they show, and that they are made anew the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from mteb_cascade.errors import InputError
from mteb_cascade.report import figures, panels
from mteb_cascade.report.results import Result


def another(results: list[Result]) -> list[Result]:
    """The same results as of another task."""
    return [Result(one.path, {**one.found, "task": "other", "title": "other, test"}) for one in results]


def test_files_of_a_task_and_of_all_tasks(results: list[Result], tmp_path: Path) -> None:
    paths = figures.write_figures([*results, *another(results)], tmp_path, ["ndcg@10"], formats=["svg"])
    assert [path.name for path in paths] == [
        "data.test.ndcg@10.svg",
        "data.test.ndcg@10.each.svg",
        "other.test.ndcg@10.svg",
        "other.test.ndcg@10.each.svg",
        "all.ndcg@10.svg",
    ]
    text = (tmp_path / "all.ndcg@10.svg").read_text()
    for word in ("coarse1", "coarse2", "oracle", "first stage", "data, test", "other, test", "ndcg@10"):
        assert f">{word}</text>" in text


def test_a_matrix_is_the_same_each_time_and_refuses_what_was_not_swept(results: list[Result], tmp_path: Path) -> None:
    for name in ("one", "two"):
        for kind in ("svg", "pdf"):
            figures.matrix(results, "success@1", tmp_path / f"{name}.{kind}")
    for kind in ("svg", "pdf"):
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"two.{kind}").read_bytes()
    assert (tmp_path / "one.pdf").read_bytes().startswith(b"%PDF")
    figures.matrix(results, "success@1", tmp_path / "one.png")
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(InputError, match="'recall@5' was not swept"):
        figures.matrix(results, "recall@5", tmp_path / "x.png")


def test_lines_of_a_panel_are_the_result_s(results: list[Result]) -> None:
    drawn = {line.name: line for line in panels.lines_of(results[0], "success@1")}
    curves = results[0]["curves"]["success@1"]
    assert list(drawn) == ["oracle", "alone", "blended", "first stage", "random order", "random retriever"]
    assert drawn["alone"].values == curves["alone"] and drawn["alone"].band is not None
    assert drawn["first stage"].values == [curves["first stage"]] * 2
    low, high = panels.ends_of(results, "success@1")
    assert low <= min(curves["random order"]) and high >= max(curves["oracle"])
    near = [line.name for line in panels.lines_of(results[0], "success@1", panels.NEAR)]
    assert near == ["alone", "blended", "first stage"]


def test_a_stage_run_depth_by_depth_is_drawn_as_points(results: list[Result], tmp_path: Path) -> None:
    found = {**results[0].found, "pointwise": False}
    line = panels.lines_of(Result(results[0].path, found), "ndcg@10")[1]
    assert line.name == "alone" and line.points
    figures.matrix([Result(results[0].path, found)], "ndcg@10", tmp_path / "points.svg")
    assert (tmp_path / "points.svg").read_text().count("<use ") > 40
