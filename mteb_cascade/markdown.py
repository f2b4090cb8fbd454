"""Markdown of text that others wrote: nothing in it is markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mteb_cascade.errors import in_one_line, printable


def escaped(text: str) -> str:
    r"""A text on one line in which nothing is Markdown or HTML.

    >>> escaped("a|b\n<i>*c*</i>")
    'a\\|b \\<i\\>\\*c\\*\\</i\\>'
    """
    return re.sub(r"([\\`*_{}\[\]<>#|!~$&])", r"\\\1", in_one_line(text))


def code(text: str) -> str:
    r"""A text of anybody's as Markdown code, which nothing in it can end.

    >>> print(code("our-bm25"), code("a`b\n# c"), code("`"))
    `our-bm25` ``a`b # c`` `` ` ``
    """
    line = in_one_line(text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"


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
    text = printable(text)
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from [f"{fence}{language}", *text.rstrip("\n").split("\n"), fence]
