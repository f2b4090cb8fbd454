"""Renderings of a comparison: names of any kind, blanks, marks, tables that go on below."""

from __future__ import annotations

import csv
import io
import re

import numpy as np
import pytest
from rich.console import Console

from mteb_cascade.report.comparison import folded, markdown, terminal
from mteb_cascade.report.comparison_csv import as_csv
from mteb_cascade.report.latex import latex
from mteb_cascade.studies.comparing.comparison import Comparison, Model, PairedTest, Standing, Task
from mteb_cascade.values.statistics import Comparison as Difference

NASTY = "a_b|c&d%\x1b[31m<i>"


def model(label: str, scores: dict[str, float], **more: object) -> Model:
    facts = {"source": "evaluated", "revision": "f", "untrained": False, "parameters": None, "megabytes": None} | more
    standings = {task: Standing({"ndcg@10": value}, {"ndcg@10": np.array([value])}) for task, value in scores.items()}
    return Model(label, standings=standings, **facts)  # type: ignore[arg-type]


def comparison(tasks: list[str]) -> Comparison:
    """The second model is better on the first task, beyond chance; the third lacks it."""
    return Comparison(
        tuple(Task(name, "test", ("default",), 5, 1, 0.5, False, "") for name in tasks),
        ("ndcg@10",),
        (
            model("base", dict.fromkeys(tasks, 0.5)),
            model(NASTY, dict.fromkeys(tasks, 0.1234567) | {tasks[0]: 0.75}, parameters=22_700_000, megabytes=87.2),
            model("=1+1", dict.fromkeys(tasks[1:], 0.5)),
        ),
        "base",
        (PairedTest(NASTY, tasks[0], Difference(0.25, -0.125, 0.375, 0.004), 0.012),),
        ("† differs from base: a test & more_.",),
    )


def printed(found: Comparison, width: int = 80) -> str:
    console = Console(width=width, file=io.StringIO(), record=True)
    terminal(found, console)
    return console.export_text()


def test_one_task_on_a_terminal() -> None:
    text = printed(comparison(["data"]))
    rows = [re.split(r" {2,}", line.strip()) for line in text.splitlines()]
    assert ["model", "ndcg@10", "params", "MB"] in rows
    assert ["base", ".500", "–", "–"] in rows
    assert ["a_b|c&d% [31m<i>", ".750†", "22.7M", "87"] in rows
    assert ["=1+1", "–", "–", "–"] in rows
    assert ["a_b|c&d% [31m<i>", "+.250", "[-.125, .375]", ".004", ".012"] in rows
    assert "\x1b" not in text
    assert text.rstrip().endswith("† differs from base: a test & more_.")


@pytest.mark.parametrize("width", [60, 80])
def test_a_wide_comparison_goes_on_below_and_no_line_is_broken(width: int) -> None:
    tasks = [f"collection-{n}" for n in range(9)]
    text = printed(comparison(tasks), width)
    assert max(map(len, text.splitlines())) <= width
    headings = [line.split() for line in text.splitlines() if line.split()[:1] == ["model"]]
    listed = [name for line in headings for name in line[1:] if name.startswith("collection") or name == "mean"]
    assert listed == [*tasks, "mean"]
    assert "ndcg@10, continued" in text
    mean = f"{(0.75 + 8 * 0.1234567) / 9:.3f}".removeprefix("0")
    assert sum(mean in line for line in text.splitlines()) == 1


def test_markdown_has_nothing_of_a_name_in_it_that_is_markup() -> None:
    lines = markdown(comparison(["data", "other"])).splitlines()
    assert lines[2] == "| model | data | other | mean | params | MB |"
    assert lines[4] == "| base | .500 | **.500** | **.500** | – | – |"
    assert lines[5] == r"| a\_b\|c\&d% \[31m\<i\> | **.750**† | .123 | .437 | 22.7M | 87 |"
    assert lines[6] == "| =1+1 | – | **.500** | – | – | – |"
    assert "| model | task | difference | 95 % interval | p | Holm |" in lines


def test_latex_is_escaped_and_uses_booktabs() -> None:
    text = latex(comparison(["data"]))
    lines = text.splitlines()
    assert r"a\_b\textbar{}c\&d\% {[}31m\textless{}i\textgreater{} & \textbf{.750}$^\dagger$ & 22.7M & 87 \\" in lines
    assert r"=1+1 & -- & -- & -- \\" in lines
    assert any(r" & +.250 & {[}$-$.125, .375] & .004 & .012 \\" in line for line in lines)
    for rule in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{table}", r"\end{tabular}", r"\end{table}"):
        assert lines.count(rule) == 2
    assert text.count("{") == text.count("}")
    caption = next(line for line in lines if line.startswith(r"\caption"))
    assert r"$^\dagger$ differs from base: a test \& more\_." in caption


def test_csv_has_every_number_in_full() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison(["data", "other"])))))
    assert len(rows) == 6
    by = {(row["model"], row["task"]): row for row in rows}
    nasty = "a_b|c&d% [31m<i>"
    assert by[nasty, "other"]["value"] == "0.1234567"
    assert (by[nasty, "data"]["p_holm"], by[nasty, "data"]["against"]) == ("0.012", "base")
    assert by[nasty, "other"]["p"] == ""
    assert by["'=1+1", "data"]["value"] == ""
    assert by["base", "data"]["queries"] == "5"


def test_long_names_break_where_they_can() -> None:
    assert folded("sentence-transformers/all-MiniLM-L6-v2", 27).split("\n") == [
        "sentence-transformers/all-",
        "MiniLM-L6-v2",
    ]
    assert folded("x" * 30, 27).split("\n") == ["x" * 27, "x" * 3]
    assert folded("short", 27) == "short"
