"""Bytes and names brought to the disk for good, and what is said where that fails."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xxhash

from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.store.folder import in_units

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO}
"""Errors that no other program would not have met."""

CHUNK = 1 << 22


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Say in one line that the index in a folder cannot be written.

    Raises:
        InputError: The disk is full, or the folder cannot be written to any more.
    """
    try:
        yield
    except OSError as error:
        cut_short = "requested and" in str(error)  # numpy's words, which has no number for it
        if error.errno not in OF_THE_DISK and not cut_short:
            raise
        why = "it was cut short" if cut_short else os.strerror(error.errno or 0)
        free = shutil.disk_usage(next(one for one in (folder, *folder.absolute().parents) if one.exists())).free
        raise InputError(
            f"{shown(folder)}: the index could not be written ({why}, {in_units(free)} free). "
            "Segments that were finished are kept, and nothing else is changed. Make room and run the same command "
            "again: it goes on from there"
        ) from None


def checksum(file: Path) -> str:
    """xxh3-128 of its bytes, read piece by piece.

    Raises:
        OSError: It cannot be read.
    """
    state = xxhash.xxh3_128()
    with file.open("rb", buffering=0) as opened:
        while piece := opened.read(CHUNK):
            state.update(piece)
    return str(state.hexdigest())


def sync(path: Path) -> None:
    """Bring the bytes of a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def delete(path: Path) -> None:
    """Delete a file or a folder, where it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
