"""Figures of sweeps for papers: one file a task and measure, and a matrix of collections and rerankers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.report.depth_curve import Line, Panel, draw_panels
from mteb_cascade.report.panels import fullest, good_of, lines_of, measures_of
from mteb_cascade.report.results import Result, by_task
from mteb_cascade.report.styles import LINES, RERANKERS

FORMATS = ("png", "pdf", "svg")


def write_figures(
    results: Sequence[Result], folder: Path, measures: Sequence[str] = (), formats: Sequence[str] = FORMATS
) -> list[Path]:
    """Write one figure a task and measure, and of several tasks one with all of them.

    Where a task has several pipelines, its figure holds their lines together, and a second one each by itself.

    Args:
        results: At least one.
        folder: Where they go, `<task>.<measure>[.each].<format>`, and `all.<measure>.<format>`.
        measures: Which; all that the results have by default.
        formats: Endings of files.

    Returns:
        The files.

    Raises:
        InputError: A measure was not swept.
    """
    groups = by_task(results)
    known = list(dict.fromkeys(name for group in groups for name in measures_of(group)))
    for name in measures:
        if name not in known:
            raise InputError(f"'{name}' was not swept. {suggestion(name, known, 'Swept')}")
    written: list[Path] = []
    for measure in measures or known:
        having = [group for group in groups if measure in measures_of(group)]
        for group in having:
            panels = {"": [panel_of(result, measure) for result in group]}
            if len(group) > 1:
                lines = [line for line in ("alone", "blended") if any(line in one["curves"][measure] for one in group)]
                together = [
                    replace(panel_of_task(group, measure, line=line), title=f"rerankers {line}") for line in lines
                ]
                panels = {"": together, ".each": panels[""]}
            for part, drawn in panels.items():
                paths = [folder / f"{file_name(group[0])}.{measure}{part}.{kind}" for kind in formats]
                draw_panels(drawn, paths, title=group[0]["title"], shared=True)
                written += paths
        if len(having) > 1:
            paths = [folder / f"all.{measure}.{kind}" for kind in formats]
            matrix([result for group in having for result in group], measure, paths)
            written += paths
    return written


def matrix(results: Sequence[Result], measure: str, path: Path | Sequence[Path]) -> None:
    """Write a figure of a panel a collection: its rerankers as lines, with oracle and first stage.

    Args:
        results: Of one or more tasks.
        measure: Such as success@1.
        path: The file, or the same figure in several; endings say the formats.

    Raises:
        InputError: A result lacks the measure.
    """
    for result in results:
        if measure not in result["curves"]:
            raise InputError(f"{result.path.name}: '{measure}' was not swept. {suggestion(measure, result['curves'])}")
    names = line_names(results)
    panels = [panel_of_task(group, measure, names) for group in by_task(results)]
    draw_panels(panels, [path] if isinstance(path, Path) else path)


def panel_of(result: Result, measure: str) -> Panel:
    """One pipeline: all its lines."""
    lines = [
        Line(line.name, line.depths, line.values, line.style, line.band, line.points)
        for line in lines_of(result, measure)
        if line.name != "random retriever"
    ]
    good = good_of(result, measure)
    return Panel(
        measure, lines, result.pipeline, None if good is None else (good, f"depth {good}:\nas good as the best")
    )


def panel_of_task(results: Sequence[Result], measure: str, names: Sequence[str] = (), line: str = "alone") -> Panel:
    """One line of all pipelines of a task, and where they share a first stage, that and the oracle."""
    names = names or line_names(results)
    lines = []
    if len({result["first"]["fingerprint"] for result in results}) == 1:
        lines = [
            Line(one.name, one.depths, one.values, LINES[one.name], points=one.points)
            for one in lines_of(fullest(results), measure, bands=False)
            if one.name in ("oracle", "first stage")
        ]
    for result in results:
        name = line_name(result, names)
        style = RERANKERS[names.index(name) % len(RERANKERS)]
        band = result["bands"].get(measure, {}).get(line)
        values = result["curves"][measure].get(line)
        if values is None:
            continue
        lines.append(Line(name, result["depths"], values, style, band, points=not result["pointwise"]))
    return Panel(measure, lines, results[0]["title"])


def line_names(results: Sequence[Result]) -> list[str]:
    """What tells the pipelines apart: the reranker's name, or first stage and reranker where that is not enough."""
    for group in by_task(results):
        rerankers = [result.reranker for result in group]
        if len(set(rerankers)) < len(rerankers):
            return list(dict.fromkeys(result.pipeline for result in results))
    return list(dict.fromkeys(result.reranker for result in results))


def line_name(result: Result, names: Sequence[str]) -> str:
    """The one of these names that is the result's."""
    return result.reranker if result.reranker in names else result.pipeline


def file_name(result: Result) -> str:
    """Task, subset and split as part of a file's name."""
    parts = [result["task"], *([result["subset"]] if result["subset"] != "default" else []), result["split"]]
    return re.sub(r"[^\w.=,+-]+", "_", ".".join(map(str, parts)))
