"""A bar for long work inside a stage, where somebody sits before a terminal and none is drawn already."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mteb_cascade.progress import bar, is_drawn, listener

LONG_WORK = 2_000
"""Texts or pairs from which on a person who is watching gets a bar."""


def is_watched(count: int) -> bool:
    """Whether work on this many texts is long, and a person who sees no bar yet sits before a terminal."""
    return count >= LONG_WORK and sys.stderr.isatty() and not is_drawn()


@contextmanager
def watched(count: int, title: str) -> Iterator[Callable[[int], None]]:
    """Yields the function that is told how many more of `count` are done; where somebody listens, theirs."""
    if (hear := listener()) is not None:
        yield hear
        return
    if not is_watched(count):
        yield lambda more: None
        return
    with bar(title) as progress:
        done = 0

        def report(more: int) -> None:
            nonlocal done
            done += more
            progress(done, count, f"{done:,} of {count:,}")

        yield report
