"""What a folder of the store is of: `stage.json`, written once, whose time of change says when it was last used."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mteb_cascade.atomic import replaced

FILE = "stage.json"


def used(folder: Path, described: Callable[[], Mapping[str, Any]]) -> None:
    """Say that a folder of the store is used now.

    Args:
        folder: It is there.
        described: What `stage.json` says, where it is not there yet.
    """
    file = folder / FILE
    with contextlib.suppress(OSError):  # A store that can be read only serves all the same.
        if file.exists():
            os.utime(file)
            return
        with replaced(file) as beside:
            beside.write_text(json.dumps(described(), indent=2, default=str) + "\n", encoding="utf-8")


def said(folder: Path) -> dict[str, Any]:
    """What `stage.json` says; nothing where it is missing or unreadable."""
    try:
        content = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
