"""What the store holds, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Group

from mteb_cascade.report.tables import table
from mteb_cascade.spec import shown
from mteb_cascade.store.contents import Entry
from mteb_cascade.store.folder import in_units

COLUMNS = ("model", "fingerprint", "pairs", "runs", "vectors", "size", "last used")


def stored(store: Path, held: Sequence[Entry]) -> Group:
    """One row a model: its pair scores, retrieved runs and vectors, their size, and when they were last used."""
    size = in_units(sum(one.size for one in held))
    title = f"{shown(store)}: {size} of {len(held):,} models" if held else f"{shown(store)}: nothing is stored"
    rows = [
        (
            one.label,
            one.fingerprint[:8],
            *(f"{count:,}" if count else "" for count in (one.pairs, one.runs, one.vectors)),
            in_units(one.size),
            datetime.fromtimestamp(one.used, UTC).strftime("%Y-%m-%d"),
        )
        for one in held
    ]
    return table(title, COLUMNS, rows) if rows else Group(title)
