"""Reading an index from the disk again, as after a restart of the machine."""

from __future__ import annotations

import os
from pathlib import Path

APPROXIMATION = (
    "the index's files were dropped from the page cache, as far as nobody else maps them; the model's files and the "
    "disk's own cache were left"
)


def dropped(folder: Path) -> bool:
    """Ask the system to forget the files of a folder; whether it can.

    What another process has mapped stays, and what this one has: nothing of the folder may be open here.
    """
    if not hasattr(os, "posix_fadvise"):
        return False
    for path in folder.rglob("*"):
        if path.is_file():
            file = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(file)
    return True
