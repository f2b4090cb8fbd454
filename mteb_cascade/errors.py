"""The one exception that a user is meant to read."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """A mistake in what the user gave: the message says what, where, what was expected, and the remedy.

    The command line prints it as one line and exits with 2.
    """


def in_one_line(error: object) -> str:
    r"""What an exception says, its line breaks and indents turned into single spaces.

    >>> in_one_line(ValueError("no weights:\n    model.bin"))
    'no weights: model.bin'
    """
    return " ".join(printable(error).split())


def sentence(error: object) -> str:
    """What an error says, ended where more is to follow.

    >>> sentence("no model"), sentence("Known: none. Did you mean 'x'?")
    ('no model.', "Known: none. Did you mean 'x'?")
    """
    text = str(error)
    return text if text.endswith((".", "?", "!")) else f"{text}."


def printable(text: object) -> str:
    r"""A text whose control characters, line breaks apart, are spaces: a file's content cannot steer a terminal.

    >>> printable("no \x1b[31mmodel\n'x'")
    "no  [31mmodel\n'x'"
    """
    return "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in str(text))


def suggestion(given: str, known: Iterable[str], what: str = "Known") -> str:
    """The tail of an error message: what would have been possible, and what was probably meant.

    >>> suggestion("our-rerankr", ["our-bm25", "our-reranker"])
    "Known: our-bm25, our-reranker. Did you mean 'our-reranker'?"
    """
    known = sorted(known)
    close = difflib.get_close_matches(given, known, n=1)
    listed = ", ".join(known) if known else "none"
    return f"{what}: {listed}." + (f" Did you mean '{close[0]}'?" if close else "")
