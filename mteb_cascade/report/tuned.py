"""What tuning chose, on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from mteb_cascade.report.tables import figure, significance, table

RESAMPLES = 10_000
SHOWN = 12
"""Rows of a table at most; a front can have a point a depth."""


def tables(result: Mapping[str, Any], console: Console | None = None) -> None:
    """The front on development queries, what was chosen, and what it is worth on the others."""
    console = console or Console()
    metric, percentile, dev = result["metric"], f"p{result['percentile']}", result["dev"]
    chosen = result["chosen"]
    title = f"{result['title']}: {result['cascade']} within {result['budget_ms']:g} ms ({percentile})"
    console.print(Text(title))
    rows = [
        [told(one["depths"]), told(one["blends"]), f"{one['latency_ms']:.1f}", figure(one["quality"]), mark]
        for one, mark in marked(result["front"], result["budget_ms"], chosen)
    ]
    heading = ["depth", "blend", f"{percentile}, ms", metric, ""]
    console.print(table(f"Front on {dev}, {result['dev_queries']:,} queries: none faster is as good", heading, rows))
    if "handed_on" in result:
        heading = ["depth", f"{percentile}, ms", metric, "tokens", "per 1,000 tokens"]
        title = f"Handed on: {result['keep']} documents ({result['tokens_are']})"
        console.print(table(title, heading, [handed_on(one, metric) for one in thinned(result["handed_on"])]))
    confirmed = result["confirmed"]
    rows = [
        [line, *(f"{confirmed[line]['tokens']:,.0f}" for _ in range("tokens" in confirmed[line])), *cells]
        for line, cells in confirmation_rows(result)
    ]
    heading = ["", *(["tokens"] if "tokens" in confirmed["chosen"] else []), f"{percentile}, ms", metric, "95 %"]
    console.print(table(f"Confirmed on {result['split']}, {confirmed['queries']:,} queries", heading, rows))
    for line in notes(result):
        console.print(Text(line))


def confirmation_rows(result: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """First stage, spec and choice: latency, mean and interval."""
    percentile, latency = f"p{result['percentile']}", result["latency"]
    for line in ("first stage", "spec", "chosen"):
        one, measured = result["confirmed"][line], latency[line]
        ended = "> " if measured.get("calls", latency["calls"]) < latency["calls"] else ""
        shown = f"[{figure(one['low'])}, {figure(one['high'])}]"
        yield (
            line,
            [f"{ended}{result['budget_ms']:g}" if ended else f"{measured[percentile]:.1f}", figure(one["mean"]), shown],
        )


def notes(result: Mapping[str, Any]) -> Iterator[str]:
    """Differences, how latency was taken, and where the choice was written."""
    chosen, latency, machine = result["chosen"], result["latency"], result["latency"]["machine"]
    depths, blends = told(chosen["depths"]), told(chosen["blends"])
    yield f"Chosen: depth {depths}, blend {blends}. Looked at: {result['looked_at']}."
    for other in ("first stage", "spec"):
        one = result["confirmed"][f"chosen - {other}"]
        low, high = signed(one["low"]), signed(one["high"])
        p_value = significance(one["p"], RESAMPLES)
        yield f"Chosen - {other}: {signed(one['difference'])} [{low}, {high}], {p_value}."
    if all(depth == 1 for depth in chosen["depths"]):
        yield "Depth 1 leaves the ranking as it is: within this budget no reranking was better on development queries."
    broken = len(result["over_budget"])
    if broken:
        yield f"{broken} better {'choice' if broken == 1 else 'choices'} broke the budget when timed end to end."
    threads = f", {machine['threads']} threads" if "threads" in machine else ""
    where = f"{machine.get('gpu', machine['processor'])}, {machine['cores']} cores{threads}"
    calls, k = latency["chosen"]["calls"], latency["k"]
    yield f"Latency: {calls:,} single queries, top {k}, end to end, warm, nothing from the store."
    yield f"Timed on {where}. On the front: {latency['between']}."


def handed_on(entry: Mapping[str, Any], metric: str) -> list[str]:
    """One row: depth, latency, recall, tokens, recall per 1,000 tokens."""
    per_1000 = figure(entry["recall per 1,000 tokens"])
    return [
        told(entry["depths"]),
        f"{entry['latency_ms']:.1f}",
        figure(entry[metric]),
        f"{entry['tokens']:,.0f}",
        per_1000,
    ]


def marked(
    front: Sequence[Mapping[str, Any]], budget: float, chosen: Mapping[str, Any]
) -> Iterator[tuple[Mapping[str, Any], str]]:
    """Points of the front, thinned, each with what is to be said of it."""
    for one in thinned(front, lambda point: point["depths"] == chosen["depths"]):
        over = "over budget" if one["latency_ms"] > budget else ""
        yield one, "chosen" if one["depths"] == chosen["depths"] else over


def thinned(entries: Sequence[Any], keep: Any = lambda entry: False) -> list[Any]:
    """At most `SHOWN` entries, evenly spread, first and last among them, and those that must be kept."""
    if len(entries) <= SHOWN:
        return list(entries)
    step = (len(entries) - 1) / (SHOWN - 1)
    places = {round(number * step) for number in range(SHOWN)}
    return [entry for place, entry in enumerate(entries) if place in places or keep(entry)]


def told(values: Sequence[float]) -> str:
    """Depths or blends, one a step.

    >>> told([100, 20]), told([0.5])
    ('100, 20', '0.5')
    """
    return ", ".join(f"{value:g}" for value in values)


def signed(value: float) -> str:
    """A difference with its sign."""
    return ("+" if value >= 0 else "") + figure(value)
