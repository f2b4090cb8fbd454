"""One training of a model at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.training.steps.ranks import is_main

LOCK = "lock"


@contextmanager
def alone(folder: Path, what: str) -> Iterator[None]:
    """Hold a training folder, for this process and those that it was started with.

    The system lets go of it when the process ends, however it ends.

    Args:
        folder: The training folder; removed afterwards where nothing came into it.
        what: The spec, for messages.

    Raises:
        InputError: Another process holds it, or it cannot be written.
    """
    import fcntl

    if not is_main():
        yield
        return
    path = folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = path.open("a")
    except OSError as error:
        raise InputError(
            f"{what}: {shown(folder)} cannot be written to ({error.strerror}); checkpoints go there: make it writable"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{what}: another process trains this model in {shown(folder)}; wait for it, or stop it first"
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            with suppress(OSError):
                folder.rmdir()
