"""One writer at a time: a lock that the system takes back when its process ends, however it ends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown

FILE = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of an index.

    Raises:
        InputError: Another process has it: its number is named.
        OSError: The file cannot be written.
    """
    import fcntl  # Not on every system; who only reads needs none.

    descriptor = os.open(folder / FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip()
            other = f"process {holder}" if holder.isdigit() else "another process"
            raise InputError(
                f"{shown(folder)}: {other} is changing this index; run it again when that is done, or end that process"
            ) from None
        with suppress(OSError):  # On a full disk the lock holds all the same.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)
