"""The most resident memory that one piece of work takes; by the standard library alone, for peers import it, too."""

from __future__ import annotations

import ctypes
import gc
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")
FORGET = Path("/proc/self/clear_refs")


class Peak:
    """Resident memory from here on, in MB.

    Linux forgets its high-water mark on request, so that one process can measure one piece of work after the other;
    elsewhere the mark is the process's own, and a piece of work that stays below it is told as 0.
    """

    def __init__(self) -> None:
        gc.collect()
        try:
            ctypes.CDLL(None).malloc_trim(0)  # freed memory that the C library keeps would hide what comes next
            FORGET.write_text("5")
        except (AttributeError, OSError, TypeError):
            pass
        self.before = field("VmRSS") or marked()

    @property
    def more(self) -> float:
        """MB at most since then, over what there was."""
        return max(0.0, (field("VmHWM") or marked()) - self.before)


def field(name: str) -> float | None:
    """A size that the system tells of this process, in MB."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), None)


def marked() -> float:
    """The process's own high-water mark, in MB."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
