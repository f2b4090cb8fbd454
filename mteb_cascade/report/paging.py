"""Pages on a terminal, one at a time, turned by single keys."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from mteb_cascade.errors import InputError
from mteb_cascade.report.inspected import Look, fitted, printed
from mteb_cascade.report.plain_text import plain

ACTIONS = {
    "next": ("n", " ", "\r", "\x1b[C", "\x1bOC"),
    "previous": ("p", "\x7f", "\x1b[D", "\x1bOD"),
    "down": ("j", "\x1b[B", "\x1bOB"),
    "up": ("k", "\x1b[A", "\x1bOA"),
    "far down": ("\x1b[6~",),
    "far up": ("\x1b[5~",),
    "other": ("m",),
    "go": ("g", "/"),
    "quit": ("q", "\x04"),
}
KEYS = {key: action for action, keys in ACTIONS.items() for key in keys}

Turn = Callable[[int, bool], tuple[Sequence[Text], Sequence[Text]]]
"""Called with the number of a page and whether its other side is wanted; returns what stands fast and what scrolls."""


@dataclass(frozen=True)
class Position:
    """What is on the screen.

    Args:
        page: Number of the page, from 0.
        offset: Lines of it that have scrolled away.
        other: Whether its other side is shown.
    """

    page: int
    offset: int = 0
    other: bool = False


def browse(
    console: Console, turn: Turn, pages: int, start: int, find: Callable[[str], int], other: str | None = None
) -> None:
    """As `turned`, by the keys of a terminal, until `q`, Ctrl-C or the end of the input."""
    try:
        with unechoed() as read:
            turned(console, read, turn, pages, start, find, other)
    except (KeyboardInterrupt, EOFError):
        console.print()


def turned(
    console: Console,
    read: Callable[[], str],
    turn: Turn,
    pages: int,
    start: int,
    find: Callable[[str], int],
    other: str | None = None,
) -> None:
    """Show a page and turn to others until `q`.

    Args:
        console: Where pages are shown.
        read: Waits for keys; "" where no more will come.
        turn: Gives a page.
        pages: How many there are.
        start: The page shown first.
        find: The page that a text typed after `g` means; raises InputError.
        other: What the other side of a page is called; None where pages have none.

    Raises:
        EOFError: The input ends in the midst of a line.
    """
    at, said = Position(start), ""
    while True:
        at = replace(at, offset=draw(console, turn, at, keys(pages, other), said))
        said, waiting = "", pressed(read())
        while waiting:
            key = waiting.pop(0)
            action = KEYS.get(key, "go" if key.isdecimal() or key == "#" else None)
            if action == "quit":
                return
            if action == "go":
                begun = "" if key in KEYS else key
                try:
                    at = Position(find(typed(console, read, begun + "".join(waiting))))
                except InputError as error:
                    said = str(error)
                waiting = []
            elif action != "other" or other is not None:
                at = moved(at, action, pages, max(console.height // 2, 1))


@contextmanager
def unechoed() -> Iterator[Callable[[], str]]:
    """A terminal that shows nothing of what is typed; yields what waits for keys, and says "" when it is gone."""
    import termios
    import tty

    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)

    def read() -> str:
        try:
            return os.read(terminal, 256).decode("utf-8", "replace")
        except OSError:
            return ""

    try:
        tty.setcbreak(terminal, termios.TCSADRAIN)
        yield read
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def moved(at: Position, action: str | None, pages: int, far: int) -> Position:
    """Where an action leads; the first and the last page are ends."""
    if action in ("next", "previous"):
        page = at.page + (1 if action == "next" else -1)
        return Position(page) if 0 <= page < pages else at
    if action == "other":
        return Position(at.page, other=not at.other)
    by = {"down": 1, "up": -1, "far down": far, "far up": -far}.get(action or "", 0)
    return replace(at, offset=max(at.offset + by, 0))


def pressed(characters: str) -> list[str]:
    r"""The keys behind what a terminal sent at once; nothing at all means that it is gone.

    >>> pressed("nn\x1b[Cp"), pressed("")
    (['n', 'n', '\x1b[C', 'p'], ['q'])
    """
    return re.findall(r"\x1b\[[0-9;]*[A-Za-z~]|\x1bO[A-Z]|.", characters, re.DOTALL) or ["q"]


def typed(console: Console, read: Callable[[], str], waiting: str) -> str:
    """A line that the user types.

    Args:
        console: Shows it.
        read: Waits for more.
        waiting: What was typed of it already.

    Raises:
        EOFError: The terminal is gone, or Ctrl-D was typed.
    """
    line = ""
    while True:
        for character in waiting:
            if character == "\x04":
                raise EOFError
            if character in "\r\n":
                return line.strip()
            line = line[:-1] if character in "\x7f\b" else line + character
        console.control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))
        printed(console, [fitted(Text(f"id, or #number: {plain(line)}"), Look.of(console))], end="")
        waiting = read() or "\x04"


def keys(pages: int, other: str | None) -> str:
    """What can be pressed."""
    turns = ["n next", "p previous", "q quit", "g go to"] if pages > 1 else ["q quit"]
    return ", ".join([*turns, "up and down scroll", *([f"m {other}"] if other else [])])


def draw(console: Console, turn: Turn, at: Position, below: str, said: str) -> int:
    """Draw the screen; returns how far it has scrolled, which is no farther than its lines go."""
    # A query that was never reranked takes its time.
    printed(console, [Text("one moment", "dim")], end="\r")
    head, body = turn(at.page, at.other)
    room = max(console.height - len(head) - 2, 1)
    offset = min(at.offset, max(len(body) - room, 0))
    shown = body[offset : offset + room]
    hidden = len(body) - offset - len(shown)
    console.clear()
    printed(console, [*head, *shown])
    more = f"{hidden:,} lines more; " if hidden else ""
    printed(console, [fitted(Text(said or more + below, "red" if said else "dim"), Look.of(console))])
    return offset
