"""Whether the files of an index are as they were written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from errno import EACCES
from pathlib import Path
from stat import S_ISREG

from mteb_cascade.errors import InputError, printable
from mteb_cascade.progress import Progress, silent
from mteb_cascade.spec import shown
from mteb_cascade.store.index.disk import checksum
from mteb_cascade.store.index.manifest import RESTORE, StoredFile

NAMED = 20
"""Faults that one message names."""


def faults(
    folder: Path, files: Sequence[StoredFile], *, check_all: bool = False, progress: Progress = silent
) -> list[str]:
    """What is wrong with files, one line each.

    A file whose time of change is that of the manifest is taken as it is, if its size is right. Another is read; where
    its bytes are right it gets that time back, so that the files of a copied index are read once.

    Args:
        folder: Of the index.
        files: What to look at.
        check_all: Read every file, whatever its time.
        progress: Told of bytes read.

    Raises:
        FileNotFoundError: A file is not there.
    """
    found, unsure, missing = outside(folder, files), [], []
    for file in files:
        try:
            stat = os.lstat(folder / file.path)
        except FileNotFoundError:
            missing.append(f"{file.path}: is missing")
            continue
        except OSError as error:
            found.append(f"{file.path}: cannot be read ({error.strerror})")
            continue
        if not S_ISREG(stat.st_mode):
            found.append(f"{file.path}: is no file")
        elif stat.st_size != file.size:
            found.append(f"{file.path}: has {stat.st_size:,} bytes, {file.size:,} were written")
        elif check_all or stat.st_mtime_ns != file.mtime_ns:
            unsure.append(file)
    found += read_through(folder, unsure, progress)
    if missing and not found:
        raise FileNotFoundError("; ".join(named(missing)))
    return missing + found


def outside(folder: Path, files: Sequence[StoredFile]) -> list[str]:
    """Folders of the files that are links to somewhere out of the index."""
    home = os.path.realpath(folder)
    inside = {os.path.dirname(file.path) for file in files}  # noqa: PTH120 - of thousands of texts
    return [
        f"{path}: is a link that leads out of the index"
        for path in sorted(inside)
        if os.path.realpath(folder / path) != os.path.join(home, path)  # noqa: PTH118
    ]


def read_through(folder: Path, files: Sequence[StoredFile], progress: Progress = silent) -> list[str]:
    """Read files and compare checksums."""
    found, done, total = [], 0, sum(file.size for file in files)
    for file in files:
        progress(done, total, "checked")
        path = folder / file.path
        try:
            right = checksum(path) == file.checksum
        except OSError as error:
            found.append(f"{file.path}: cannot be read ({error.strerror})")
            continue
        if not right:
            found.append(f"{file.path}: is damaged, its checksum is another")
        else:
            with suppress(OSError):  # On a disk that can only be read they are read every time.
                os.utime(path, ns=(file.mtime_ns, file.mtime_ns))
        done += file.size
    progress(total, total, "checked")
    return found


def damaged(folder: Path, found: Sequence[str]) -> InputError:
    """All faults of an index in one message."""
    told = printable("; ".join(named(found)))
    if all(f"({os.strerror(EACCES)})" in one for one in found):
        return InputError(f"{shown(folder)}: the index cannot be read: {told}. Give the right to read its files")
    return InputError(f"{shown(folder)}: the index is damaged: {told}. {RESTORE}")


def named(found: Sequence[str]) -> list[str]:
    """The first faults, and how many more there are."""
    more = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
    return [*found[:NAMED], *more]
