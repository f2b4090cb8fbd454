"""What `mteb-cascade doctor` found, for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from mteb_cascade.report.plain_text import plain

if TYPE_CHECKING:
    from mteb_cascade.studies.doctor.examine import Examination
    from mteb_cascade.studies.doctor.finding import Finding

MARKS = {
    "fail": ("✗ FAIL", "bold red"),
    "note": ("! note", "yellow"),
    "skipped": ("- skip", "dim"),
    "ok": ("✓ ok", "green"),
}
"""{verdict: mark and word, style}."""


def examined(examination: Examination, *, everything: bool = False) -> Group:
    """Each finding with evidence and remedy, and a summary last.

    Args:
        examination: What was found.
        everything: List the checks that found nothing, too.
    """
    about = f"{examination.model} on {examination.task}, {examination.split}: {examination.queries} queries"
    shown = [one for one in examination.findings if everything or one.verdict != "ok"]
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in shown:
        mark, style = MARKS[finding.verdict]
        grid.add_row(Text(mark, style), Group(*lines(finding)))
    hidden = len(examination.findings) - len(shown)
    nothing = [Text(f"{counted(hidden, 'check')} found nothing (--all lists them)")] if hidden else []
    return Group(Text(plain(about), "bold"), *([grid] if shown else []), *nothing, Text(summary(examination)))


def lines(finding: Finding) -> Iterator[Text]:
    """Check and stage, the evidence, the remedy."""
    yield Text.assemble((finding.check, "bold"), f", {plain(finding.stage)}")
    yield Text(plain(finding.evidence))
    if finding.remedy:
        yield Text(f"-> {plain(finding.remedy)}", "italic")


def summary(examination: Examination) -> str:
    """How many of each verdict, such as "1 check fails, 2 notes, 9 ok"."""
    count = Counter(finding.verdict for finding in examination.findings)
    parts = [f"{counted(count['fail'], 'check')} fail{'s' if count['fail'] == 1 else ''}"]
    parts += [counted(count["note"], "note")] if count["note"] else []
    parts += [f"{count['ok']} ok"] if count["ok"] else []
    parts += [f"{count['skipped']} skipped"] if count["skipped"] else []
    return ", ".join(parts)


def counted(count: int, what: str) -> str:
    """A number and its noun.

    >>> counted(1, "check"), counted(0, "check")
    ('1 check', 'no checks')
    """
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"


def show(examination: Examination, *, everything: bool = False) -> None:
    """Print it; colours on a terminal alone."""
    Console().print(examined(examination, everything=everything))
