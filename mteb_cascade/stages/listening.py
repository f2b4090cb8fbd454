"""Who wants to know what stages found when mteb searched them: mteb gets dictionaries, the listener the run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mteb_cascade.corpora.corpus import Queries
    from mteb_cascade.stages.base import Stage
    from mteb_cascade.values.run import Run


@dataclass
class Heard:
    """The last search that was heard of; None of each before there was one."""

    stage: Stage | None = None
    queries: Queries | None = None
    run: Run | None = None


_listener: ContextVar[Heard | None] = ContextVar("listener", default=None)


@contextmanager
def listening() -> Iterator[Heard]:
    """Inside, in this thread, the last search of any stage is kept in what this yields."""
    heard = Heard()
    before = _listener.set(heard)
    try:
        yield heard
    finally:
        _listener.reset(before)


def searched(stage: Stage, queries: Queries, run: Run) -> None:
    """Say what a stage found; costs nothing where nobody listens."""
    heard = _listener.get()
    if heard is not None:
        heard.stage, heard.queries, heard.run = stage, queries, run
