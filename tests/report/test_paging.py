"""Pages turned by keys: what is on the screen after each."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass

import pytest
from rich.console import Console
from rich.text import Text

from mteb_cascade.errors import InputError
from mteb_cascade.report.paging import turned

ROWS = 10


@dataclass(frozen=True)
class Screen:
    page: str
    first: str
    last: str
    footer: str


def screens(*keys: str, other: str | None = "back", pages: int = 4) -> list[Screen]:
    """What four pages of thirty lines show, before the first keys and after all of them but the last."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80, height=ROWS)

    def turn(page: int, back: bool) -> tuple[list[Text], list[Text]]:
        return [Text(f"{'back' if back else 'page'} {page}")], [Text(f"line {line}") for line in range(30)]

    def find(asked: str) -> int:
        if asked != "#3":
            raise InputError(f"no page '{asked}'")
        return 2

    waiting = list(keys)
    turned(console, lambda: waiting.pop(0) if waiting else "", turn, pages, 0, find, other)
    assert not waiting
    shown = []
    for drawn in console.file.getvalue().split("\x1b[H")[1:]:
        lines = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", drawn.replace("\x1b[2J", "")).split("\n")
        # One row stays free for what is typed.
        assert len(lines) == ROWS
        shown.append(Screen(lines[0], lines[1], lines[-3], lines[-2]))
    return shown


@pytest.mark.parametrize(
    ("keys", "pages"),
    [
        (["n", "n", "p"], ["page 1", "page 2", "page 1"]),
        (["p", "nnnnnn", "n"], ["page 0", "page 3", "page 3"]),
        (["\x1b[C", " ", "\x1bOD", "\x7f"], ["page 1", "page 2", "page 1", "page 0"]),
        (["m", "m", "mn", "?"], ["back 0", "page 0", "page 1", "page 1"]),
        (["g#3\r"], ["page 2"]),
        (["/", "#4\x7f", "3", "\n"], ["page 2"]),
        (["#", "3\r"], ["page 2"]),
    ],
)
def test_keys_turn_pages(keys: list[str], pages: list[str]) -> None:
    assert [screen.page for screen in screens(*keys, "q")][1:] == pages


def test_a_page_that_is_not_there_is_said_once() -> None:
    first, told, after = screens("g7\r", "x", "q")
    assert first.footer == "23 lines more; n next, p previous, q quit, g go to, up and down scroll, m back"
    assert (told.footer, told.page, after.footer) == ("no page '7'", "page 0", first.footer)


def test_lines_scroll_to_their_end() -> None:
    seen = screens("j", "j", "k", "\x1b[6~", "\x1b[6~" * 9, "j", "k", "\x1b[5~" * 20, "n", "q")
    assert [screen.first for screen in seen] == [
        *("line 0", "line 1", "line 2", "line 1", "line 6"),
        *("line 23", "line 23", "line 22", "line 0", "line 0"),
    ]
    assert (seen[5].last, seen[5].footer[:6]) == ("line 29", "n next")
    assert seen[0].last == "line 6"


def test_the_end_of_the_input_ends_it() -> None:
    assert len(screens()) == 1 and len(screens("n", "\x04", pages=2, other=None)) == 2
    with pytest.raises(EOFError):
        screens("g#3")
    with pytest.raises(EOFError):
        screens("g", "#\x04")
    assert screens("m", "q", other=None, pages=1)[1].footer.endswith("; q quit, up and down scroll")
