"""Where the store lies, and whether it can be written."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from mteb_cascade.atomic import make_writable
from mteb_cascade.errors import InputError
from mteb_cascade.store.switch import VARIABLE

ELSEWHERE = f"MTEB_CASCADE_CACHE names another folder, {VARIABLE}=0 does without a store"
"""The remedy where the folder is of no use."""


def cache_folder() -> Path:
    """Where stores live: `MTEB_CASCADE_CACHE`, by default `~/.cache/mteb-cascade`."""
    return Path(os.environ.get("MTEB_CASCADE_CACHE") or "~/.cache/mteb-cascade").expanduser()


def refuse_unwritable(folder: Path) -> None:
    """Make the folder.

    Raises:
        InputError: Nothing can be written to it.
    """
    try:
        make_writable(folder)
    except OSError as error:
        raise InputError(f"the store cannot be written to {folder}: {error.strerror}. {ELSEWHERE}") from None


def full(folder: Path, error: OSError, kept: str) -> InputError:
    """What to say when a file could not be written to a folder that was writable before.

    Args:
        folder: Where.
        error: Why.
        kept: What is stored all the same, in words.
    """
    there = next(one for one in (folder, *folder.absolute().parents) if one.exists())
    free = shutil.disk_usage(there).free
    return InputError(
        f"the store could not be written to {folder}: {error.strerror} ({in_units(free)} free). {kept}. Make room "
        f"(`mteb-cascade scores prune`) and run again: it goes on from there. {ELSEWHERE}"
    )


def in_units(size: int) -> str:
    """A number of bytes as a person says it.

    >>> in_units(999), in_units(82_100_000)
    ('999 B', '82.1 MB')
    """
    if size < 1_000:
        return f"{size} B"
    value, units = size / 1_000, ["kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value /= 1_000
        units.pop(0)
    return f"{value:.1f} {units[0]}"
