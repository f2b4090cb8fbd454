"""What came of running a result again, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

from mteb_cascade.report.tables import table
from mteb_cascade.spec import shown

if TYPE_CHECKING:
    from mteb_cascade.studies.reproducing.changes import ChangedStage, Difference
    from mteb_cascade.studies.reproducing.reproduce import Reproduction

ROWS = 20
"""Figures that are listed; the others are counted."""


def show(found: Reproduction, console: Console | None = None) -> None:
    """One line where everything is the same, else what is not."""
    console = console or Console()
    name = shown(found.kept.path)
    if found.same:
        console.print(Text(f"the same: {name}, {told(found)}"), soft_wrap=True)
        return
    if found.stages:
        console.print(Text(f"{name}: the model is not what it was"))
        for one in found.stages:
            for line in lines_of(one):
                console.print(Text(line))
        if not any(one.why for one in found.stages):
            console.print(Text("  Which file or key changed is not known: code did, or the result does not say."))
    if found.data:
        rows = [[one.what, short(one.then), short(one.now)] for one in found.data]
        console.print(table(f"{name}: the data are not what they were", ["", "then", "now"], rows))
    if not found.ran:
        console.print(Text("Nothing was run; --anyway runs it all the same."))
    elif found.figures:
        rows = [[one.what, number(one.then), number(one.now), number(apart(one))] for one in found.figures[:ROWS]]
        title = f"{name}: {len(found.figures):,} of {found.compared:,} figures differ"
        console.print(table(title, ["", "then", "now", "apart"], rows))
        if len(found.figures) > ROWS:
            console.print(Text(f"and {len(found.figures) - ROWS:,} more"))
    else:
        console.print(Text(f"and yet the figures are the same: {told(found)}"))


def told(found: Reproduction) -> str:
    """Which models, how many figures, and how far apart they are."""
    models = ", ".join(found.models)
    return f"{models}: {found.compared:,} figures, largest difference {found.largest:.2g}"


def lines_of(changed: ChangedStage) -> Iterator[str]:
    """A stage that changed: both fingerprints, then why."""
    if changed.now is None:
        yield f"  {changed.label}: is no part of it any more"
    elif changed.then is None:
        yield f"  {changed.label}: was no part of it"
    else:
        yield f"  {changed.label}: fingerprint {changed.then[:12]} then, {changed.now[:12]} now"
        for why in changed.why:
            yield f"    {why}"


def short(value: Any) -> str:
    """A digest's first digits, or a value."""
    return str(value)[:12]


def number(value: float | None) -> str:
    """A figure to seven digits; nothing where there is none."""
    return "" if value is None else f"{value:.7g}"


def apart(one: Difference) -> float | None:
    """How far two figures are apart; None where one is missing."""
    return None if one.then is None or one.now is None else one.size
