"""The table, the spec and the figure of a funnel's study, from a result made by hand."""

from __future__ import annotations

import io
import tomllib
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mteb_cascade.report import funnel_figure, funnel_table


def point(family: str, keep: int, kept: float, milliseconds: float, front: bool) -> dict[str, Any]:
    codes, _, dimensions = family.partition("@")
    step = {"codes": codes, **({"dimensions": int(dimensions)} if dimensions else {}), "keep": keep}
    return {
        "label": f"{family} {keep}",
        "family": family,
        "origin": "grid",
        "steps": [step],
        "rescored": keep,
        "rescored_share": keep / 1000,
        "scanned": 48,
        "kept": {"top": kept, "first": 1.0, "least": 0.5},
        "latency": {"p50": milliseconds, "calls": 200},
        "bytes": {"vectors": 1_536_000_000, "codes": 48_000_000},
        "front": front,
    }


@pytest.fixture
def result() -> dict[str, Any]:
    points = [point("hamming", 20, 0.95, 1.0, True), point("int8@64", 20, 0.5, 3.0, False)]
    points.append(point("binary", 20, 0.9951, 2.0, True))
    return {
        "title": "da$ta, test",
        "model": 'our-"biencoder"\x1b[31m',
        "split": "test",
        "dev": "dev",
        "dev_queries": 1234,
        "documents": 1000,
        "dimensions": 384,
        "depth": 100,
        "goal": 0.99,
        "precision": "float32",
        "exact": {"latency": {"p50": 9.0, "calls": 200}, "scanned": 1536, "bytes": {"vectors": 1_536_000_000}},
        "encoding": {"p50": 0.5},
        "alone": [
            {"label": "hamming", "kept": {"top": 0.7, "first": 0.9}},
            {"label": "float32@64", "kept": {"top": 0.4, "first": 0.8}},
        ],
        "points": points,
        "chosen": points[2],
        "confirmed": {
            "queries": 77,
            "chosen": {"top": 0.9932, "first": 1.0, "least": 0.6, "low": 0.99, "high": 0.9964},
        },
        "machine": {"processor": "CPU", "cores": 2, "threads": 1},
    }


def printed(result: dict[str, Any]) -> str:
    console = Console(file=io.StringIO(), width=80)
    funnel_table.tables(result, console)
    return console.file.getvalue()  # type: ignore[attr-defined,no-any-return]


def test_the_table(result: dict[str, Any]) -> None:
    text = printed(result)
    lines = [line.split() for line in text.splitlines()]
    assert ["hamming", "20", "2", "%", "48", "1.00", ".950", "1.000", "1.58"] in lines
    assert ["binary", "20", "(proposed)", "2", "%", "48", "2.00", ".995", "1.000", "1.58"] in lines
    assert ["exact", "search", "1,536", "9.00", "1.000", "1.000", "1.54"] in lines
    assert not any(line[:1] == ["int8@64"] for line in lines)  # not on the front
    flowing = " ".join(text.split())
    assert "64: .600" in flowing and "Matryoshka" in flowing
    assert "Exact search compares in float64" in flowing
    assert "Proposed, on test (77 queries): .993 [.990, .996] of the top 100" in flowing
    assert "\x1b" not in text
    assert max(map(len, text.split("# Keeps")[0].splitlines())) <= 80


def test_what_is_proposed_is_a_spec(result: dict[str, Any]) -> None:
    spec = tomllib.loads(funnel_table.toml(result))
    assert spec == {
        "kind": "funnel",
        "model": 'our-"biencoder" [31m',
        "step": [{"codes": "binary", "keep": 20}],
    }
    assert "# Keeps .993 of the exact top 100 of da$ta, test; chosen on dev." in funnel_table.toml(result)


def test_where_nothing_is_proposed(result: dict[str, Any]) -> None:
    text = " ".join(printed({**result, "chosen": None, "confirmed": {"queries": 77}}).split())
    assert "No setting keeps .990 of the top 100; the most is .995." in text
    assert "[[step]]" not in text


def test_the_figure_is_the_same_each_time(result: dict[str, Any], tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg", "one.png"):
        funnel_figure.draw(result, tmp_path / name)
    text = (tmp_path / "one.svg").read_text()
    for word in ("hamming", "int8@64", "binary", "exact search", "proposed", "kept of the exact top 100"):
        assert f">{word}</text>" in text
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")
    funnel_figure.draw({**result, "chosen": None, "goal": 1.0}, tmp_path / "none.png")
