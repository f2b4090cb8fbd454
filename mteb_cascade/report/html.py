"""One self-contained HTML file of sweeps: figures, tables, and every query; it needs no network."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mteb_cascade.atomic import replaced
from mteb_cascade.report import panels
from mteb_cascade.report.packed import TaskQueries, pack
from mteb_cascade.report.results import Result, by_task
from mteb_cascade.report.styles import CLASSES, LINES, colours, name_of
from mteb_cascade.report.tables import figure

TEMPLATES = Path(__file__).parent / "templates"

SCRIPTS = ("queries", "theme", "unpack", "ranking", "detail", "controls")
"""Parts of the page's one script, in their order."""

LIMIT = 20_000_000
"""Bytes that queries and texts may take before the page is trimmed."""


@dataclass(frozen=True)
class Section:
    """One task on the page.

    Args:
        number: Its place, from 0.
        results: Its sweeps.
        queries: What is known of its queries.
        block: Their packed form.
    """

    number: int
    results: Sequence[Result]
    queries: TaskQueries
    block: str

    @property
    def title(self) -> str:
        """Collection and split."""
        return str(self.results[0]["title"])

    @property
    def measures(self) -> list[str]:
        """Measures that all its sweeps have."""
        return panels.measures_of(self.results)


def write(
    results: Sequence[Result], path: Path, *, limit: int = LIMIT, say: Callable[[str], object] = lambda text: None
) -> None:
    """Write the page.

    Args:
        results: At least one.
        path: The HTML file.
        limit: Bytes that queries and texts may take before only the first candidates and the answers are kept.
        say: Told what is missing or was left out.
    """
    groups = by_task(results)
    queries = [TaskQueries.of(group) for group in groups]
    blocks, trimmed = pack(queries, limit)
    problems = [problem for one in queries for problem in one.problems]
    for text in [*problems, *([trimmed] if trimmed else [])]:
        say(text)
    parts = zip(groups, queries, blocks, strict=True)
    sections = [Section(number, *part) for number, part in enumerate(parts)]
    with replaced(path) as beside:
        beside.write_text(page(sections, problems, trimmed), encoding="utf-8", errors="replace")


def page(sections: Sequence[Section], problems: Sequence[str], trimmed: str) -> str:
    """The page as text."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"share": share, "name_of": name_of}
    parts = [(TEMPLATES / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS]
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
    measures = list(dict.fromkeys(name for section in sections for name in section.measures))
    pipelines = list(dict.fromkeys(result.pipeline for section in sections for result in section.results))
    return environment.get_template("page.html").render(
        sections=sections,
        problems=problems,
        trimmed=trimmed,
        measures=measures,
        pipelines=pipelines,
        panels=panels,
        lines=LINES,
        classes=list(CLASSES),
        colours=colours(),
        style=Markup((TEMPLATES / "page.css").read_text(encoding="utf-8")),  # noqa: S704 - a file of this package
        script=Markup(script),  # noqa: S704 - a file of this package
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def share(value: Any) -> str:
    """A figure for a table, empty where there is none."""
    return "" if value is None else figure(float(value))
