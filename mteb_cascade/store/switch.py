"""Whether the store is used."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

VARIABLE = "MTEB_CASCADE_STORE"

_bypassed: ContextVar[bool] = ContextVar("bypassed", default=False)
_off: ContextVar[bool] = ContextVar("off", default=False)


def is_on() -> bool:
    """Whether anything is stored at all: yes, unless `MTEB_CASCADE_STORE` is 0, or it is off here."""
    return os.environ.get(VARIABLE, "") != "0" and not _off.get()


def answers() -> bool:
    """Whether scores and runs may come from the store here: it is on, and nobody bypasses it."""
    return is_on() and not _bypassed.get()


@contextmanager
def bypassed() -> Iterator[None]:
    """Every score and run is computed anew inside, in this thread; nothing is stored.

    >>> with bypassed():
    ...     answers()
    False
    """
    before = _bypassed.set(True)
    try:
        yield
    finally:
        _bypassed.reset(before)


@contextmanager
def off() -> Iterator[None]:
    """As with `MTEB_CASCADE_STORE=0` inside, in this thread: nothing stored is read, vectors of documents included.

    >>> with off():
    ...     is_on()
    False
    """
    before = _off.set(True)
    try:
        yield
    finally:
        _off.reset(before)
