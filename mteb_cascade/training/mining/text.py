"""A mining report to read: Markdown of at most 80 columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mteb_cascade.atomic import replaced
from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown

MEANING = {
    "answer": "relevant itself",
    "group": "of a relevant document's group",
    "copy": "the text of a relevant document",
    "no text": "nothing to read",
    "near-duplicate": "nearly the words of a relevant one",
    "skipped": "among the first, which are passed over",
    "judge": "scored too near the best answer",
}
"""Of each reason, in words."""

RAW = "Raw negatives: nothing was skipped or judged, so answers that nobody marked are among them."

WIDTH = 80
BAR = 10
INDENT = "    "
"""Of texts that anybody wrote: Markdown shows them as they are."""


def write(report: Mapping[str, Any], folder: Path, name: str) -> Path:
    """Write NAME.json and NAME.md.

    Returns:
        The latter.

    Raises:
        InputError: The folder cannot be written.
    """
    path = folder / f"{name}.md"
    try:
        for file, content in (
            (folder / f"{name}.json", json.dumps(report, indent=1)),
            (path, "\n".join(lines(report))),
        ):
            with replaced(file) as beside:
                beside.write_text(content + "\n", encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InputError(
            f"{shown(path)}: cannot be written ({error.strerror}); name another folder for the mining report"
        ) from None
    return path


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report, line by line."""
    yield f"# Negatives of {plain(report['of'])}"
    yield ""
    yield from wrapped(
        f"{report['queries']:,} queries of {report['data']}, {report['documents']:,} documents, "
        f"{report['answers']:,} answers, of which {report['answers_retrieved']:,} were retrieved."
    )
    if report["first"]:
        named = " and ".join(stage["name"] for stage in report["first"])
        judge = f"; judged by {report['judge']['name']}" if report["judge"] else ""
        yield from wrapped(f"Candidates of {named} at depth {report['options']['depth']}{judge}.")
    if report["raw"]:
        yield from wrapped(RAW)
    yield from fenced(rules(report))
    yield from fenced(origins(report))
    for histogram in report["histograms"]:
        yield from fenced(bars(histogram))
    yield "## Samples"
    for sample in report["samples"]:
        yield from sampled(sample)


def rules(report: Mapping[str, Any]) -> Iterator[str]:
    """What was dropped, rule by rule."""
    total = report["candidates"]
    yield f"{'candidates':<57}{total:>12,}"
    for name, count in report["dropped"].items():
        yield f"  {name:<15}{MEANING[name]:<40}{count:>12,}{share(count, total):>7}"
    yield f"{'believed':<57}{report['believed']:>12,}{share(report['believed'], total):>7}"


def origins(report: Mapping[str, Any]) -> Iterator[str]:
    """Where the negatives are from."""
    counts = report["negatives"]
    total = sum(counts.values())
    yield f"{'negatives':<57}{total:>12,}"
    for name, count in counts.items():
        yield f"  {name:<55}{count:>12,}{share(count, total):>7}"
    yield f"{'queries with too few believed candidates':<57}{report['queries_filled_up']:>12,}"


def bars(histogram: Mapping[str, Any]) -> Iterator[str]:
    """A histogram of three columns, each against its own fullest bin."""
    parts = ("answers", "believed", "dropped")
    yield f"scores of {plain(histogram['scores_of'])}"[:WIDTH]
    yield f"{'from':>10}  " + "".join(f"{part:<{BAR + 10}}" for part in parts).rstrip()
    most = {part: max(histogram[part], default=0) for part in parts}
    for row, edge in enumerate(histogram["edges"][:-1]):
        cells = [
            f"{'#' * -(-BAR * count // max(most[part], 1)):<{BAR}}{count:>9,} "
            for part in parts
            for count in [histogram[part][row]]
        ]
        yield f"{edge:>10.4g}  {''.join(cells).rstrip()}"


def sampled(sample: Mapping[str, Any]) -> Iterator[str]:
    """One query with its documents."""
    yield ""
    yield from wrapped(f"### {sample['query']}")
    yield from wrapped(sample["text"], INDENT)
    for part, one in (("answers", "answer"), ("negatives", "negative"), ("dropped", "dropped")):
        for document in sample[part]:
            facts = [one, document["id"], document.get("origin"), document.get("reason")]
            facts += [
                f"{name} {document[name]:.4g}" for name in ("rank", "score", "judge") if document.get(name) is not None
            ]
            yield ""
            yield from wrapped(", ".join(str(fact) for fact in facts if fact))
            yield ""
            yield from wrapped(document["text"], INDENT)


def fenced(content: Iterator[str]) -> Iterator[str]:
    """Lines of a table."""
    yield from ["", *(INDENT + line for line in content), ""]


def share(count: int, total: int) -> str:
    """A part of a whole in percent."""
    return f"{count / max(total, 1):.1%}"


def plain(text: str) -> str:
    r"""A text of anybody's in one line, its control characters as what one would type for them.

    >>> print(plain("a\n b\x1b[31m"))
    a b\x1b[31m
    """
    spaced = " ".join(str(text).split())
    return re.sub(
        r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", lambda found: ascii(found[0])[1:-1], spaced
    )


def wrapped(text: str, indent: str = "") -> Iterator[str]:
    """A text in lines of the page's width, by the columns that its characters take."""
    from rich.console import Console
    from rich.text import Text

    for line in Text(plain(text) or "(no text)").wrap(Console(width=WIDTH), WIDTH - len(indent)):
        yield (indent + line.plain).rstrip()
