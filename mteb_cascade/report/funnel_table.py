"""What the study of a funnel found, on a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console
from rich.text import Text

from mteb_cascade.report.plain_text import plain
from mteb_cascade.report.tables import figure, table

GIGABYTE = 10**9


def tables(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Each code by itself, the front on development queries, and the proposed setting as a spec."""
    console = console or Console()
    depth = result["depth"]
    console.print(Text(plain(f"{result['title']}: funnels over {result['model']}, {result['documents']:,} documents")))
    lone = [[one["label"], figure(one["kept"]["top"]), figure(one["kept"]["first"])] for one in result["alone"]]
    queries = f"{result['dev']}, {result['dev_queries']:,} queries"
    console.print(table(f"By themselves, nothing rescored ({queries})", ["", f"top {depth}", "first"], lone))
    for line in losses(result):
        console.print(Text(plain(line)))
    rows = [
        row("exact search", result["exact"], {"top": 1.0, "first": 1.0}),
        *(row(mark(one, result), one, one["kept"]) for one in shown(result)),
    ]
    heading = ["setting (kept documents)", "in full", "bytes", "p50, ms", f"top {depth}", "first", "GB"]
    console.print(table(f"Front on {queries}: none faster keeps as much", heading, rows))
    for line in notes(result):
        console.print(Text(plain(line)))
    if result["chosen"]:
        console.print(Text("\n" + toml(result)), soft_wrap=True)


def shown(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The front, the fastest first, the proposed setting and the model's own."""
    points = sorted(result["points"], key=lambda one: (one["latency"]["p50"], -one["kept"]["top"]))
    return [one for one in points if one["front"] or one["origin"] == "spec" or one == result["chosen"]]


def mark(point: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    """How a setting is called in the table."""
    words = [*(["proposed"] if point == result["chosen"] else []), *(["spec"] if point["origin"] == "spec" else [])]
    return plain(f"{point['label']} ({', '.join(words)})" if words else point["label"])


def row(name: str, one: Mapping[str, Any], kept: Mapping[str, float]) -> list[str]:
    """One setting: share rescored, bytes scanned, milliseconds, kept shares, gigabytes a million documents."""
    share = f"{100 * one['rescored_share']:.2g} %" if "rescored_share" in one else ""
    size = sum(one["bytes"].values()) / GIGABYTE
    read = "" if one["scanned"] is None else f"{one['scanned']:,}"
    return [
        name,
        share,
        read,
        f"{one['latency']['p50']:.2f}",
        figure(kept["top"]),
        figure(kept["first"]),
        f"{size:.2f}",
    ]


def losses(result: Mapping[str, Any]) -> Iterator[str]:
    """What a model loses by its first dimensions."""
    cut = [one for one in result["alone"] if "@" in one["label"]]
    if not cut:
        return
    told = ", ".join(f"{one['label'].partition('@')[2]}: {figure(1 - one['kept']['top'])}" for one in cut)
    yield (
        f"Lost of the top {result['depth']} by the first dimensions of {result['dimensions']} alone: {told}. "
        "A model that was not trained for it (Matryoshka) loses much: then codes of all dimensions are the better "
        "first step."
    )


def notes(result: Mapping[str, Any]) -> Iterator[str]:
    """What the proposed setting keeps on the other queries, and how the figures were taken."""
    chosen, goal, depth = result["chosen"], figure(result["goal"]), result["depth"]
    if chosen is None:
        best = max(one["kept"]["top"] for one in result["points"])
        yield f"No setting keeps {goal} of the top {depth}; the most is {figure(best)}. Larger shares: --share .1"
    for name, words in (("chosen", "Proposed"), ("spec", "The spec's own")):
        if name in result["confirmed"]:
            one = result["confirmed"][name]
            where = f"{result['split']} ({result['confirmed']['queries']:,} queries)"
            yield (
                f"{words}, on {where}: {figure(one['top'])} [{figure(one['low'])}, {figure(one['high'])}] of the top "
                f"{depth}, {figure(one['first'])} of the first; of the worst query {figure(one['least'])}."
            )
    latency, machine = result["exact"]["latency"], result["machine"]
    threads = f", {machine['threads']} threads" if "threads" in machine else ""
    where = f"{machine.get('gpu', machine['processor'])}, {machine['cores']} cores{threads}"
    yield (
        f"Times: {latency['calls']:,} single queries end to end, of which encoding the query takes "
        f"{result['encoding']['p50']:.2f} ms; {where}."
    )
    yield (
        "Exact search compares in float64, so that scores hang on two vectors alone: flat search in float32 takes a "
        "fraction of its time, and is what benchmarks/funnel.py holds funnels against."
    )
    yield "Bytes: what the first step reads of each document; in a corpus of millions its time follows them."
    yield f"GB: what an index keeps of a million documents beside texts, full vectors as {result['precision']}."


def toml(result: Mapping[str, Any]) -> str:
    """The proposed setting as the lines of a spec."""
    chosen, confirmed = result["chosen"], result["confirmed"]["chosen"]
    of = f"the exact top {result['depth']} of {plain(result['title'])}"
    lines = [
        f"# Keeps {figure(confirmed['top'])} of {of}; chosen on {plain(result['dev'])}.",
        'kind = "funnel"',
        f"model = {quoted(result['model'])}",
    ]
    for step in chosen["steps"]:
        lines += ["", "[[step]]", *(f"{key} = {value(one)}" for key, one in step.items())]
    return "\n".join(lines)


def value(given: Any) -> str:
    """A value in TOML."""
    if isinstance(given, bool):
        return str(given).lower()
    return quoted(given) if isinstance(given, str) else str(given)


def quoted(text: str) -> str:
    """A text as TOML's basic string."""
    return '"' + plain(text).replace("\\", "\\\\").replace('"', '\\"') + '"'
