"""Markdown of text that others wrote: nothing in it is markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any


def escaped(text: str) -> str:
    r"""A text on one line in which nothing is Markdown or HTML.

    >>> escaped("a|b\n<i>*c*</i>")
    'a\\|b \\<i\\>\\*c\\*\\</i\\>'
    """
    return re.sub(r"([\\`*_{}\[\]<>#|!~$])", r"\\\1", " ".join(text.split()))


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """A Markdown table; what stands in it is escaped."""
    yield f"| {' | '.join(map(escaped, heads))} |"
    yield "|" + " --- |" * len(heads)
    for row in rows:
        yield f"| {' | '.join(escaped(f'{cell:,}' if type(cell) is int else str(cell)) for cell in row)} |"


def fenced(text: str, language: str = "") -> Iterator[str]:
    """A block of code whose fence is longer than any run of backticks in it.

    >>> list(fenced("a ``` b", "text"))
    ['````text', 'a ``` b', '````']
    """
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from [f"{fence}{language}", *text.rstrip("\n").split("\n"), fence]
