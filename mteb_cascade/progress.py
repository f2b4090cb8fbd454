"""How long work says where it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[int, int, str], None]
"""Called with the steps done, the steps in all, and a word on what is being done."""


def silent(done: int, total: int, note: str = "") -> None:
    """Say nothing."""


_drawn: ContextVar[bool] = ContextVar("drawn", default=False)


def is_drawn() -> bool:
    """Whether a bar is on the screen already: what works under it draws none of its own."""
    return _drawn.get()


_listener: ContextVar[Callable[[int], None] | None] = ContextVar("listener", default=None)


def listener() -> Callable[[int], None] | None:
    """What wants to be told how many more texts or pairs are done, by work that draws no bar of its own."""
    return _listener.get()


@contextmanager
def listening(hear: Callable[[int], None]) -> Iterator[None]:
    """Have `hear` told of the work inside, piece by piece."""
    before = _listener.set(hear)
    try:
        yield
    finally:
        _listener.reset(before)


@contextmanager
def bar(title: str) -> Iterator[Progress]:
    """A bar on stderr with the time spent and the time left; yields the function that moves it."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description:<24}", markup=False),
        BarColumn(bar_width=16),
        TimeElapsedColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    progress = Progress(*columns, console=Console(stderr=True))
    task = progress.add_task(title, total=None, note="")

    def report(done: int, total: int, note: str = "") -> None:
        # Not before there is something to tell: a mistake found while the work is prepared stays one line.
        if not progress.live.is_started:
            progress.start()
        progress.update(task, completed=done, total=total, note=note)

    drawn = _drawn.set(True)
    try:
        yield report
    finally:
        _drawn.reset(drawn)
        if progress.live.is_started:
            progress.stop()
