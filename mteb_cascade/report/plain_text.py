"""Any text made harmless for one line of a terminal, and the part of it that shares words with a query."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator

from rich.text import Text

MARKS = 3
"""Combining marks that a character keeps."""

BLANK = ("Cc", "Zs", "Zl", "Zp")
GONE = ("Cf",)
UNKNOWN = ("Cs", "Co", "Cn")

REGIONAL = {0x1F1E6 + number: ord("A") + number for number in range(26)}
"""Flags as the letters that they are made of: terminals do not agree on the width of a pair."""

SKIN_TONES = range(0x1F3FB, 0x1F400)
VARIATIONS = range(0xFE00, 0xFE10)


def plain(text: str, most: int = 10_000) -> str:
    r"""The beginning of a text as one line whose width every terminal agrees on.

    Control characters and line breaks become single spaces; what is invisible (joiners, marks of writing direction,
    variations, skin tones) is left out, so that a joined emoji falls into its parts; what no font knows becomes U+FFFD.

    Args:
        text: Any.
        most: Characters, at most.

    >>> plain("a\x1b[31mred\tb\n\n  c\u202ed")
    'a [31mred b cd'
    """
    return "".join(islice_of(visible(text), most)).rstrip()


def islice_of(characters: Iterator[str], most: int) -> Iterator[str]:
    """The first few; the rest is not looked at."""
    for _, character in zip(range(most), characters, strict=False):
        yield character


def visible(text: str) -> Iterator[str]:
    """Its characters, one by one."""
    blank, marks = True, 0
    for character in text:
        code, category = ord(character), unicodedata.category(character)
        if category in BLANK:
            if not blank:
                yield " "
            blank, marks = True, 0
            continue
        if category in GONE or code in SKIN_TONES or code in VARIATIONS:
            continue
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if marks > MARKS or (marks and blank):
            continue
        blank = False
        yield "\ufffd" if category in UNKNOWN else chr(REGIONAL.get(code, code))


def snippet(text: str, known: Iterable[str], width: int, styled: bool) -> Text:
    """The part of a text that shares most with a query, its shared words marked.

    Args:
        text: A document's.
        known: The query's words, see `values.words`.
        width: About as many characters are taken.
        styled: Mark words as bold and underlined, else with asterisks around.
    """
    if not text.strip():
        return Text("(no text)", "dim")
    known = frozenset(known)
    start = window(text, known, width)
    piece = ("…" if start else "") + plain(text[start : start + 8 * width], 2 * width)
    marked, end = Text(), 0
    for found in re.finditer(r"\w+", piece):
        if found[0].lower() not in known:
            continue
        marked.append(piece[end : found.start()])
        marked.append(*((found[0], "bold underline") if styled else (f"*{found[0]}*",)))
        end = found.end()
    return marked.append(piece[end:])


def window(text: str, known: frozenset[str], width: int) -> int:
    """Where to begin: at the start of the text, or a little before the shared words that say most within `width`.

    Words count once each, by their length: long ones are rarer.
    """
    places = [(found.start(), found[0].lower()) for found in re.finditer(r"\w+", text)]
    places = [(at, word) for at, word in places if word in known]
    best, start, first = 0, 0, 0
    counts: dict[str, int] = {}
    worth = 0
    for number, (at, word) in enumerate(places):
        counts[word] = counts.get(word, 0) + 1
        worth += len(word) if counts[word] == 1 else 0
        while first < number and places[first][0] < at + len(word) - width:
            gone = places[first][1]
            counts[gone] -= 1
            worth -= len(gone) if not counts[gone] else 0
            first += 1
        if worth > best:
            best, start = worth, places[first][0]
            end = at + len(word)
    if not places or end <= width:
        return 0
    # A few words before the first of them, from the beginning of one.
    lead = max(0, start - max(0, width - (end - start)) // 4)
    blank = re.search(r"\s", text[lead:start])
    return lead + blank.end() if blank else start
