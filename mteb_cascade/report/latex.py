"""A comparison as LaTeX tables with booktabs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mteb_cascade.report import comparison as tables
from mteb_cascade.report.plain_text import plain

if TYPE_CHECKING:
    from mteb_cascade.studies.comparing.comparison import Comparison

SPECIAL = {
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "[": "{[}",
    tables.BLANK: "--",
    tables.MARK: r"$^\dagger$",
}


def escaped(text: str) -> str:
    r"""A text on one line in which nothing is LaTeX.

    >>> escaped("our_model & 5 % ^†")
    'our\\_model \\& 5 \\% \\textasciicircum{}$^\\dagger$'
    """
    return "".join(SPECIAL.get(letter, letter) for letter in plain(text))


def latex(found: Comparison) -> str:
    r"""Every table as a float; what a reader must know stands in the first caption. Needs \usepackage{booktabs}."""
    parts: list[tuple[str, list[str], list[list[str]]]] = []
    names = tables.labels(found)
    room = tables.PRINTED - max(map(len, names))
    for sheet in tables.sheets(found):
        title = sheet.title
        for columns in tables.split_by_width(sheet.columns, room):
            rows = [
                [escaped(name), *(cell(one.cells[row], row in one.best) for one in columns)]
                for row, name in enumerate(names)
            ]
            parts.append((title, ["model", *(one.heading for one in columns)], rows))
            title = f"{sheet.title}, continued"
    if found.tests:
        rows = [[minus(escaped(one)) for one in row] for row in tables.rows_of_tests(found)]
        parts.append((tables.title_of_tests(found), tables.headings_of_tests(found), rows))
    tasks = [f"{task.title}." for task in found.tasks] if len(found.tasks) > 1 else []
    notes = " ".join([*tasks, *found.notes])
    lines = [r"% \usepackage{booktabs}"]
    for number, (title, headings, rows) in enumerate(parts, 1):
        caption = f"{title}. Bold: best. {notes}" if number == 1 else f"{title}."
        lines += ["", *floating(caption, f"tab:comparison-{number}", headings, rows)]
    return "\n".join(lines) + "\n"


def cell(text: str, best: bool) -> str:
    """A figure; the best one bold, its mark outside."""
    bare = text.removesuffix(tables.MARK)
    return rf"\textbf{{{escaped(bare)}}}{escaped(text[len(bare) :])}" if best else escaped(text)


def minus(text: str) -> str:
    r"""Figures with a minus where a hyphen stands before them.

    >>> minus("{[}-.022, .002]")
    '{[}$-$.022, .002]'
    """
    return re.sub(r"(?<![\w.])-(?=\.?\d)", r"$-$", text)


def floating(caption: str, label: str, headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """One table; its cells are LaTeX already."""
    yield r"\begin{table}"
    yield r"\centering"
    yield rf"\caption{{{escaped(caption)}}}"
    yield rf"\label{{{label}}}"
    yield rf"\begin{{tabular}}{{l{'r' * (len(headings) - 1)}}}"
    yield r"\toprule"
    yield rf"{' & '.join(map(escaped, headings))} \\"
    yield r"\midrule"
    for row in rows:
        yield rf"{' & '.join(row)} \\"
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table}"
