"""What the page shows of the results of one task: figures of every measure, and the rows of its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from mteb_cascade.report import svg
from mteb_cascade.report.results import Result
from mteb_cascade.report.styles import LINES
from mteb_cascade.report.svg import Curve

ALL = "all lines"
NEAR = "close up"
SCOPES = (ALL, NEAR)
"""What is drawn: floors and ceiling too, or only what the reranker moves."""

CLOSE = ("first stage", "full corpus", "alone", "blended")
SOME = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Depths whose figures stand in a table."""


@dataclass(frozen=True)
class Panel:
    """One figure of a measure.

    Args:
        measure: Its name.
        scope: One of `SCOPES`.
        caption: What it shows.
        legend: (colour, name) of lines that are numbered in the figure.
        figure: The SVG.
    """

    measure: str
    scope: str
    caption: str
    legend: tuple[tuple[str, str], ...]
    figure: Markup


def measures_of(results: Sequence[Result]) -> list[str]:
    """Measures that every result of a task has, in the order of the first."""
    return [name for name in results[0]["measures"] if all(name in result["curves"] for result in results)]


def panels(results: Sequence[Result]) -> Iterator[Panel]:
    """Every measure of results on one task, on axes that are the same for all of them."""
    for measure in measures_of(results):
        for scope in SCOPES:
            ends = ends_of(results, measure, scope)
            if len(results) > 1:
                for line in ("alone", "blended"):
                    yield from together(results, measure, scope, line, ends)
            for result in results:
                title = f"{measure} of {result.pipeline} on {result['title']}"
                figure = svg.curves(lines_of(result, measure, scope), ends, title, measure, good_of(result, measure))
                yield Panel(measure, scope, result.pipeline, (), figure)


def together(
    results: Sequence[Result], measure: str, scope: str, line: str, ends: tuple[float, float]
) -> Iterator[Panel]:
    """One line of all results in one figure; nothing where fewer than two have it."""
    having = [(number, result) for number, result in enumerate(results) if line in result["curves"][measure]]
    if len(having) < 2:
        return
    drawn = [
        Curve.reranker(
            number, f"{number + 1}", result["depths"], result["curves"][measure][line], not result["pointwise"]
        )
        for number, result in having
    ]
    if len({result["first"]["fingerprint"] for result in results}) == 1:
        drawn = [
            one for one in lines_of(fullest(results), measure, scope) if one.name in ("oracle", "first stage")
        ] + drawn
    legend = tuple(
        (one.colour, f"{number + 1} {result.pipeline}")
        for one, (number, result) in zip(drawn[-len(having) :], having, strict=True)
    )
    caption = "side by side: " + ("reranker alone" if line == "alone" else "blended")
    yield Panel(measure, scope, caption, legend, svg.curves(drawn, ends, f"{measure}, {caption}", measure))


def fullest(results: Sequence[Result]) -> Result:
    """The result that knows the oracle at the most depths."""
    return max(results, key=lambda result: len(result["depths"]))


def lines_of(result: Result, measure: str, scope: str = ALL, *, bands: bool = True) -> list[Curve]:
    """The lines of a result, ceiling and floors among them, with bands and peaks."""
    found, depths = result["curves"][measure], result["depths"]
    drawn = []
    for line in (line for line in LINES if scope == ALL or line in CLOSE):
        values = found.get(line)
        if values is None:
            continue
        if line == "full corpus":
            drawn.append(Curve.known(line, [result["depth"]], [values], points=True))
        elif not isinstance(values, list):
            drawn.append(Curve.known(line, [1, result["depth"]], [values, values]))
        else:
            band = result["bands"].get(measure, {}).get(line) if bands else None
            told = result["shape"].get(measure, {}).get(line)
            drawn.append(
                Curve.known(
                    line,
                    depths,
                    values,
                    band=tuple(band) if band else None,
                    peak=(told["peak"], told["peak_low"], told["peak_high"]) if told else None,
                    points=not result["pointwise"],
                )
            )
    return drawn


def ends_of(results: Sequence[Result], measure: str, scope: str = ALL) -> tuple[float, float]:
    """Axis of values that holds all lines of all results."""
    values: list[float] = []
    for result in results:
        for line in lines_of(result, measure, scope):
            values += line.values
            values += [value for side in line.band or () for value in side]
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.01
    return max(0.0, low - room) if low >= 0 else low - room, min(1.0, high + room)


def good_of(result: Result, measure: str) -> int | None:
    """The shallowest depth shown as good as the best, of the reranker alone; None where none is."""
    told = ((result.get("as_good_as_best") or {}).get(measure) or {}).get("alone") or {}
    depth = told.get("depth")
    return None if depth is None else int(depth)


def classes(results: Sequence[Result]) -> Iterator[tuple[str, Markup]]:
    """(caption, figure) of what became of rank 1, for each result and line."""
    for result in results:
        for line, counts in result["outcomes"].items():
            caption = f"{result.pipeline}, {line}"
            title = f"What became of rank 1: {caption}"
            yield caption, svg.classes(counts, result["depths"], title, points=not result["pointwise"])


def verdicts(results: Sequence[Result], measure: str) -> list[dict[str, Any]]:
    """One row a result and line: what the curve says."""
    rows = []
    for result in results:
        for line, told in result["shape"].get(measure, {}).items():
            good = ((result.get("as_good_as_best") or {}).get(measure) or {}).get(line)
            oracle = result["curves"][measure].get("oracle")
            rows.append(
                {
                    **told,
                    "first": result["curves"][measure].get("first stage", told["first"]),
                    "shape": told["shape"] if len(result["depths"]) > 1 else "one point",
                    "pipeline": result.pipeline,
                    "line": line,
                    "deepest": result["depth"],
                    "oracle": oracle[-1] if oracle else None,
                    "good": good["says"] if good else "",
                    "why_not": result.get("as_good_why_not") or "",
                    "spark": spark(results, result, measure, line),
                }
            )
    return rows


def spark(results: Sequence[Result], result: Result, measure: str, line: str) -> Markup:
    """A line and its first stage, as small as a word, on the axes of all results of the task."""
    drawn = [one for one in lines_of(result, measure, NEAR) if one.name in ("first stage", line)]
    return svg.spark(drawn, ends_of(results, measure, NEAR), f"{measure} of {result.pipeline}, {line}")


def at_some_depths(result: Result, measure: str) -> dict[str, Any]:
    """{"depths": some depths, "lines": {line: its figure at each}}."""
    depths = result["depths"]
    chosen = [depth for depth in depths if not result["pointwise"] or depth in SOME or depth == depths[-1]]
    columns = [depths.index(depth) for depth in chosen]
    lines: dict[str, list[float]] = {}
    for line in LINES:
        values = result["curves"][measure].get(line)
        if values is not None:
            lines[line] = [values[column] if isinstance(values, list) else values for column in columns]
    return {"depths": chosen, "lines": lines}


def latencies(result: Result) -> dict[str, Any] | None:
    """{"depths": some depths, "lines": {percentile: milliseconds at each}} of the whole cascade; None if not timed."""
    found = result.get("latency")
    if not found:
        return None
    deepest = found["depths"][-1]
    columns = [column for column, depth in enumerate(found["depths"]) if depth in SOME or depth == deepest]
    return {
        "depths": [found["depths"][column] for column in columns],
        "lines": {name: [values[column] for column in columns] for name, values in found["whole"].items()},
    }


def top_ranks(results: Sequence[Result]) -> list[dict[str, Any]]:
    """One row a result and line: rank 1 at the deepest depth, and how much of the top is judged."""
    rows = []
    for result in results:
        for line, counts in result["outcomes"].items():
            bounds = (result.get("success@1 bounds") or {}).get(line)
            rows.append(
                {
                    "pipeline": result.pipeline,
                    "line": line,
                    "depth": result["depth"],
                    "counts": last_of(counts),
                    "broken_to": last_of((result.get("broken_to") or {}).get(line) or {}),
                    "judged": last_of((result.get("judged") or {}).get(line) or {}),
                    "bounds": [side[-1] for side in bounds] if bounds else None,
                }
            )
    return rows


def last_of(values: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The last one of each."""
    return {name: several[-1] for name, several in values.items()}
