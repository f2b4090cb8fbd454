"""What a bench measured, on a terminal of 80 columns; its one line last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from mteb_cascade.report.tables import figure, table

HEADING = ("milliseconds", "p50", "p95", "p99", "calls")


def tables(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Latency cold and warm, stage by stage and by clients; measures; notes; then all of it in one line."""
    console = console or Console()
    index = result["index"]
    console.print(
        Text(
            f"{result['model']} over {index['documents']:,} documents ({index['precision']}, "
            f"{index['bytes_per_document']:,.0f} bytes each), top {result['k']}"
        )
    )
    rows = [[name, *cells(latency)] for name, latency in latencies(result)]
    console.print(table(f"{result['title']}, {result['queries']:,} queries", HEADING, rows))
    if result["quality"]:
        scores = result["quality"]["scores"]
        console.print(table("", ["", *scores], [["", *map(figure, scores.values())]]))
    for line in notes(result):
        console.print(Text(line))
    console.print(Text(result["headline"]), soft_wrap=True)


def latencies(result: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The rows of the table."""
    yield "warm, batch 1", result["warm"]["whole"]
    for name, latency in result["warm"]["stages"].items():
        yield f"  {name}", latency
    if result["clients"]:
        yield f"warm, {result['clients']['clients']} clients", result["clients"]
    yield "cold, batch 1", result["cold"]["next"]


def cells(latency: Mapping[str, Any]) -> list[str]:
    """Percentiles, and the calls that they are of."""
    return [*(f"{latency[name]:,.1f}" for name in ("p50", "p95", "p99")), f"{latency['calls']:,}"]


def notes(result: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know."""
    cold, quality = result["cold"], result["quality"]
    yield (
        f"Cold: {cold['open_seconds']:.1f} s to open (libraries and models included), first query "
        f"{cold['first_ms']:,.0f} ms, then as above; {cold['page_cache']}."
    )
    if result["clients"]:
        yield f"{result['clients']['clients']} clients: {result['clients']['queries_per_second']:,.1f} queries/s."
    yield "Warm: after 5 calls, every query once; nothing comes from the store of scores."
    if quality is None:
        yield "Nothing is known of the right answers to a file of queries, so no measure is told."
    else:
        highest = figure(quality["highest_recall@1"])
        yield f"Relevant: grade >= {quality['relevance_level']}. Highest possible recall@1: {highest}."
        if quality["absent"]:
            yield (
                f"{quality['absent']:,} of {quality['relevant']:,} relevant documents are not in the index; they count "
                "as not found."
            )
        if quality["without_relevant"]:
            yield f"{quality['without_relevant']:,} queries have no relevant document and count as 0."
    if result["queries"] < result["of_queries"]:
        yield f"The first {result['queries']:,} of {result['of_queries']:,} queries."
    if result["capped"]:
        yield (
            f"The budget lets the last step score {result['depths'][-1]:,} candidates; the rest keeps its order "
            f"({result['capped']:,} queries)."
        )
    if result["flips"]:
        yield result["flips"]["line"]
