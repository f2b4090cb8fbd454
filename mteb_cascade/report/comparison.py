"""A comparison as tables: on a terminal, in Markdown; its layout serves LaTeX too."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from mteb_cascade.markdown import escaped
from mteb_cascade.report.plain_text import plain
from mteb_cascade.report.tables import figure, named, significance, table

if TYPE_CHECKING:
    from mteb_cascade.studies.comparing.comparison import Comparison, Model, PairedTest

BLANK = "–"
MARK = "†"

NAMES = 27
"""Columns of a terminal that names take at most; longer ones go over several lines."""

PRINTED = 90
"""Letters that fit beside each other on a printed page, roughly."""


@dataclass(frozen=True)
class Column:
    """One column of figures.

    Args:
        heading: What it is called.
        cells: One a model.
        best: Rows that hold the best figure.
    """

    heading: str
    cells: tuple[str, ...]
    best: frozenset[int] = frozenset()

    @property
    def width(self) -> int:
        """Letters that it takes, with the gap before it."""
        return max(map(len, (self.heading, *self.cells))) + 2


@dataclass(frozen=True)
class Sheet:
    """One table: what it is about, and its columns beside the models' names.

    Args:
        title: One line.
        columns: One or more.
    """

    title: str
    columns: tuple[Column, ...]


def sheets(found: Comparison) -> Iterator[Sheet]:
    """Scores of one task by measure; or of several tasks and their mean, a table a measure; size and latency beside."""
    if len(found.tasks) == 1:
        task = found.tasks[0]
        columns = [scores(found, task.name, measure, measure) for measure in found.measures]
        yield Sheet(task.title, (*columns, *sizes(found), *latencies(found)))
        return
    for number, measure in enumerate(found.measures):
        columns = [scores(found, task.name, measure, task.name) for task in found.tasks]
        means = column("mean", [found.mean(model, measure) for model in found.models])
        yield Sheet(measure, (*columns, means, *(() if number else sizes(found))))
    if timed := latencies(found):
        yield Sheet("Latency", tuple(timed))


def scores(found: Comparison, task: str, measure: str, heading: str) -> Column:
    """Figures of a measure on a task; those of the tested measure with their marks."""
    marks = [
        MARK if measure == found.measures[0] and is_marked(found.test(model.label, task)) else ""
        for model in found.models
    ]
    return column(heading, [model.score(task, measure) for model in found.models], marks)


def is_marked(test: PairedTest | None) -> bool:
    """Whether a difference is more than chance."""
    return test is not None and test.is_shown


def column(heading: str, values: Sequence[float | None], marks: Sequence[str] = ()) -> Column:
    """A column of shares; all that read as the highest are the best."""
    cells = [BLANK if value is None else figure(value) for value in values]
    highest = max((value for value in values if value is not None), default=None)
    best = {row for row, cell in enumerate(cells) if highest is not None and cell == figure(highest)}
    shown = [cell + mark for cell, mark in zip(cells, marks or [""] * len(cells), strict=True)]
    return Column(heading, tuple(shown), frozenset(best))


def sizes(found: Comparison) -> list[Column]:
    """Parameters and memory, where any model has them."""
    parameters = [BLANK if model.parameters is None else counted(model.parameters) for model in found.models]
    megabytes = [BLANK if model.megabytes is None else f"{model.megabytes:,.0f}" for model in found.models]
    columns = [Column("params", tuple(parameters)), Column("MB", tuple(megabytes))]
    return [one for one in columns if set(one.cells) != {BLANK}]


def counted(number: int) -> str:
    """A number of parameters as people say it.

    >>> counted(22_700_000), counted(4_919_636_992), counted(512)
    ('22.7M', '4.92B', '512')
    """
    for size, letter in ((10**9, "B"), (10**6, "M"), (10**3, "K")):
        if number >= size:
            return f"{number / size:.3g}{letter}"
    return str(number)


def latencies(found: Comparison) -> list[Column]:
    """p50 and p95 of each task, where any model has them."""
    columns = []
    for task in found.tasks:
        of = f"{task.name} " if len(found.tasks) > 1 else ""
        held = [model.standings[task.name].latency if task.name in model.standings else None for model in found.models]
        for name in ("p50", "p95"):
            cells = [BLANK if one is None else f"{one[name]:.1f}" for one in held]
            columns.append(Column(f"{of}{name} ms", tuple(cells)))
    return [one for one in columns if set(one.cells) != {BLANK}]


def rows_of_tests(found: Comparison) -> list[list[str]]:
    """One row a test: model, task, difference, interval, p-values."""
    several = len(found.tasks) > 1
    return [
        [
            one.model,
            *([one.task] if several else []),
            signed(one.difference.difference),
            f"[{figure(one.difference.low)}, {figure(one.difference.high)}]",
            p_value(one.difference.p_value),
            p_value(one.p_holm),
        ]
        for one in found.tests
    ]


def headings_of_tests(found: Comparison) -> list[str]:
    """What those columns are called."""
    several = ["task"] if len(found.tasks) > 1 else []
    return ["model", *several, "difference", "95 % interval", "p", "Holm"]


def title_of_tests(found: Comparison) -> str:
    """What the tests are of."""
    return f"Against {found.against}, {found.measures[0]}"


def signed(value: float) -> str:
    """A difference with its sign.

    >>> signed(0.0412), signed(-0.02), signed(0.0)
    ('+.041', '-.020', '+.000')
    """
    return figure(value) if value < 0 else f"+{figure(value)}"


def p_value(value: float) -> str:
    """A p-value without its letter.

    >>> p_value(0.0123), p_value(1e-9)
    ('.012', '< .001')
    """
    return significance(value, 10**9).removeprefix("p ").removeprefix("= ")


def split_by_width(columns: Sequence[Column], room: int) -> list[list[Column]]:
    """Columns in as many groups as fit beside the names; a column that is too wide by itself stands alone."""
    groups: list[list[Column]] = [[]]
    left = room
    for one in columns:
        if groups[-1] and one.width > left:
            groups.append([])
            left = room
        groups[-1].append(one)
        left -= one.width
    return groups


def labels(found: Comparison) -> list[str]:
    """What rows are called."""
    return [row_name(model) for model in found.models]


def row_name(model: Model) -> str:
    """A model's name, with what has to be said beside it."""
    return named(model.label, model.untrained)


def terminal(found: Comparison, console: Console | None = None) -> None:
    """Print every table; one that is wider than the terminal goes on below with the names again."""
    console = console or Console()
    names = [plain(one) for one in labels(found)]
    taken = min(max(map(len, names)), NAMES)
    for sheet in sheets(found):
        title = plain(sheet.title)
        for columns in split_by_width(sheet.columns, console.width - taken - 1):
            rows: list[list[str | Text]] = [
                [folded(name, taken), *(Text(one.cells[row], "bold" if row in one.best else "") for one in columns)]
                for row, name in enumerate(names)
            ]
            console.print(table(title, ["model", *(plain(one.heading) for one in columns)], rows))
            title = f"{plain(sheet.title)}, continued"
    if found.tests:
        tests = [[folded(plain(first), taken), *map(plain, rest)] for first, *rest in rows_of_tests(found)]
        console.print(table(title_of_tests(found), headings_of_tests(found), tests))
    if len(found.tasks) > 1:
        for task in found.tasks:
            console.print(Text(plain(f"{task.title}.")))
    for note in found.notes:
        console.print(Text(plain(note)))


def folded(name: str, width: int) -> str:
    """A name over several lines where it is too long, broken behind a slash or hyphen where there is one."""
    lines = [""]
    for part in re.findall(r"[^/\-_ ]*[/\-_ ]?", name):
        while len(part) > width:
            lines += [part[:width]]
            part = part[width:]
        if len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(line for line in lines if line)


def markdown(found: Comparison) -> str:
    """Every table, and what a reader must know under them."""
    lines: list[str] = []
    for sheet in sheets(found):
        cells = [[strong(cell, row in one.best) for row, cell in enumerate(one.cells)] for one in sheet.columns]
        rows = [[safe(name), *(one[row] for one in cells)] for row, name in enumerate(labels(found))]
        lines += [f"**{safe(sheet.title)}**", ""]
        lines += [*piped(["model", *(safe(one.heading) for one in sheet.columns)], rows), ""]
    if found.tests:
        lines += [f"**{safe(title_of_tests(found))}**", ""]
        lines += [*piped(headings_of_tests(found), [list(map(safe, row)) for row in rows_of_tests(found)]), ""]
    if len(found.tasks) > 1:
        lines += [f"{safe(task.title)}.  " for task in found.tasks]
    lines += [f"{safe(note)}  " for note in found.notes]
    return "\n".join(lines).rstrip() + "\n"


def safe(text: str) -> str:
    """A text on one line in which nothing is markup, nor can steer a terminal."""
    return escaped(plain(text))


def strong(cell: str, best: bool) -> str:
    """A figure in Markdown; the best one bold, its mark outside."""
    bare = cell.removesuffix(MARK)
    return f"**{bare}**{cell[len(bare) :]}" if best else cell


def piped(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A Markdown table of cells that are Markdown already, figures to the right."""
    yield f"| {' | '.join(headings)} |"
    yield f"| --- |{' ---: |' * (len(headings) - 1)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
