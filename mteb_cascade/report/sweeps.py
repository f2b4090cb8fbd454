"""What a depth sweep says, on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.text import Text

from mteb_cascade.report.tables import figure, table

Result = Mapping[str, Any]


def tables(results: Sequence[Result], console: Console | None = None) -> None:
    """Shape, peak and ends of every curve, task by task; what became of rank 1; verdicts."""
    console = console or Console()
    by_task: dict[str, list[Result]] = {}
    for result in results:
        by_task.setdefault(result["title"], []).append(result)
    for title, here in by_task.items():
        first = here[0]
        level, queries = first["relevance_level"], first["queries"]
        depths = {one["depth"] for one in here}
        deepest = f"at {depths.pop()}" if len(depths) == 1 else "at the deepest"
        console.print(
            Text(f"{title}: {queries:,} queries, {first['documents']:,} documents, relevant: grade >= {level}")
        )
        for measure in dict.fromkeys([first["measures"][0], first["measures"][-1]]):
            rows = [
                row for result in here for row in curve_rows(result, measure, tell_depth=deepest == "at the deepest")
            ]
            console.print(table("", [measure, "depth 1", "best", "at depth", deepest, "shape"], rows))
        for result in here:
            for line in notes(result):
                console.print(Text(line))
        for reason in dict.fromkeys(one["as_good_why_not"] for one in here if one["as_good_why_not"]):
            console.print(Text(f"Which depth is as good as the best is not told: {reason}."))
        if first["first_stages"]:
            console.print(first_stages(first["first_stages"]))
        if "recall@1" in first["measures"]:
            console.print(Text(f"Highest possible recall@1: {figure(first['highest_recall@1'])}."))
        if first["without_positives"]:
            console.print(Text(f"{first['without_positives']:,} queries have no relevant document and count as 0."))


def curve_rows(result: Result, measure: str, *, tell_depth: bool = False) -> Iterator[list[str]]:
    """One row a line: the ranking received, the best depth with the interval of its place, the deepest."""
    curves = result["curves"][measure]
    ends = f"{result['depth']}: " if tell_depth else ""
    for line, shape in result["shape"][measure].items():
        name = result["pipeline"] if line == "alone" else f"  blended, b = {result['blend']:g}"
        peak = f"{shape['peak']} [{shape['peak_low']}, {shape['peak_high']}]"
        told = shape["shape"] if len(result["depths"]) > 1 else "one point"
        first, best, last = figure(curves["first stage"]), figure(shape["best"]), ends + figure(shape["last"])
        yield [name, first, best, peak, last, told]
    if curves["full corpus"] is not None:
        yield ["  whole corpus", "", "", "", figure(curves["full corpus"]), ""]
    yield ["  oracle", "", "", "", ends + figure(curves["oracle"][-1]), ""]


def first_stages(slices: Sequence[Mapping[str, Any]]) -> Group:
    """Success@1 of each first stage in each slice, and the queries that it alone gets right."""
    names = list(slices[0]["stages"])
    rows = [
        [
            one["slice"] if one["by"] == "all" else f"{one['by']}: {one['slice']}",
            f"{one['queries']:,}",
            *(f"{figure(one['stages'][name]['success@1'])} ({one['stages'][name]['alone']})" for name in names),
        ]
        for one in slices
    ]
    return table("First stages: success@1 (queries that it alone gets right)", ["", "queries", *names], rows)


def notes(result: Result) -> Iterator[str]:
    """What became of rank 1, which depth is as good as the best, and whether expectations held."""
    line = "blended" if "blended" in result["outcomes"] else "alone"
    counts = ", ".join(f"{values[-1]:,} {name}" for name, values in result["outcomes"][line].items())
    yield f"{result['pipeline']}, {line}, depth {result['depth']}: {counts}."
    if result["broken_to"][line]:
        broken = ", ".join(f"{values[-1]:,} {name}" for name, values in result["broken_to"][line].items() if values[-1])
        judged = figure(result["judged"][line]["judged@10"][-1])
        yield f"  Broken to: {broken or 'nothing'}. Judged@10 {judged}."
    if result["unscored"]:
        of = f"{result['unscored']:,} of {result['pairs']:,} candidates"
        yield f"  {of} have no score: they stand below the others, in their old order."
    measure = result["measures"][0]
    if result["as_good_as_best"]:
        told = result["as_good_as_best"][measure][line]
        best = f"  Best {measure} on {result['dev']}: depth {told['best']}"
        yield f"{best}; as good on {result['split']}: {told['says']}." if told["best"] > 1 else f"{best}."
    if not result["pointwise"]:
        yield f"  Not pointwise: run at depth {', '.join(map(str, result['depths']))}."
    if result["latency"]:
        times, best = result["latency"], result["latency"]["front"][line]
        at = ", ".join(
            f"{depth}: {time:.0f} ms{'*' if depth in best else ''}"
            for depth, time in zip(times["depths"], times["whole"]["p95"], strict=True)
        )
        yield f"  Latency by depth, p95 of {times['calls']} queries (* none faster is as good): {at}."
    for one in result["grid"] or ():
        if one["on_front"]:
            depths = " > ".join(map(str, one["depths"]))
            yield f"  Depths {depths}: {measure} {figure(one[measure])} for {one['pairs']:,} pairs a query."
    for verdict in result["expectations"]:
        held = {True: "holds", False: "does not hold", None: "cannot be told"}[verdict["holds"]]
        yield f"  Expected, {verdict['line']}, {verdict['text']}: {held} ({verdict['found']})."
