"""A query's way as lines: what they say, that no text breaks them, and that they fit."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nasty import NASTY
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from mteb_cascade.experiments.inspecting.inspected import Answer, Candidate, Inspected, Passed, Place
from mteb_cascade.experiments.inspecting.token_alignment import Alignment, Match, Token
from mteb_cascade.report.inspected import Look, alignments, candidates, heading, printed
from mteb_cascade.report.plain_text import plain, snippet

ESCAPES = "\x1b[31mfox\x1b[0m \x1b]0;title\x07\x1b[2J\x9b5A\x08\x08\r over\x00"
UGLY = {
    "markup": "[red]fox[/red] [bold] [link=http://a]x[/link] [/nope] :fox_face:",
    "escapes": ESCAPES,
    "html": NASTY,
    "emoji": "fox \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea "
    * 9,
    "cjk": "\u72d0\u72f8 fox \u8dd1\u8fc7\u96ea\u5730\uff0c\u7ea2\u8272\u7684" * 40,
    "rtl": "\u05e9\u05dc\u05d5\u05dd fox \u202egnp.fox\u2066 \u0627\u0644\u0639\u0631 \u200f" * 9,
    "marks": "\u0301" + "f" + "\u0300" * 500 + "ox fox " + "a\u0301\u0302\u0303\u0304" * 90,
    "long": "fox" * 3_400 + " fox",
    "lines": "red\tfox\r\nover\n\n\nthe\vlazy\fdog\u2028x\u2029y",
    "unknown": "fox \ue000\U000e0041\uffff \U000f0000",
    "empty": "",
    "blank": " \t\n",
}


def view(text: str = "red fox", name: str = "id") -> Inspected:
    """Three candidates of three stages; every text and id is the given one."""
    stages = (
        Passed(name, None, 0.0, None, 1000),
        Passed("second", 100, 8.0, "recovered", 1000),
        Passed("third", 10, 0.0, "broken", 1000),
    )
    found = (
        Candidate(name, text, 0, False, True, (Place(31, 0.25, 0.25), Place(9, 12.5, 10.5), Place(1, -3.0, -3.0))),
        Candidate(name, text, 2, True, False, (Place(1, 1e-9, 1e-9), Place(1, 123.0, 123.0), Place(2, -4.0, -4.0))),
        Candidate(name, text, 0, False, False, (Place(1000, 0.5, 0.5), Place(1000, None, None), None)),
    )
    answers = (
        Answer(name, 2, True, (1, 1, 2)),
        Answer(name, 1, True, (None, None, None)),
        *[Answer(name, 1, False, (None,) * 3)] * 4,
    )
    return Inspected(name, text, 7, stages, "broken", found, answers)


def written(lines: list[Text], width: int) -> list[str]:
    """What a terminal gets, styles left out."""
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    printed(console, lines)
    return console.file.getvalue().split("\n")[:-1]


def everything(one: Inspected, look: Look) -> list[Text]:
    columns, lines = candidates(one, look)
    token = Token(one.text, "marker")
    table = alignments(one.query, [Alignment(one.query, (Match(token, token, 0.5), Match(token, None, 0.0)))], look)
    return [*heading(one, one.text, look), *columns, *lines, *table]


def test_what_is_said() -> None:
    look = Look(79, styled=False)
    columns, lines = candidates(view("A red fox, the redder one.", "d7"), look)
    assert written([*columns, *lines], 80) == [
        "   d7              second                 third        ",
        "    rank    score   rank   score     own  rank  score  document",
        "P     31    0.250      9  12.500  10.500     1 -3.000  d7",
        "    A *red* *fox*, the *redder* *one*.",
        "A2     1 1.00e-09      1 123.000 123.000     2 -4.000  d7",
        "    A *red* *fox*, the *redder* *one*.",
        "o  1,000    0.500  1,000       –       –     –      –  d7",
        "    A *red* *fox*, the *redder* *one*.",
        "A an answer, P phantom: lifted over every answer, o judged, no answer",
        "second: first 100 of d7; score = own + 8 x score before",
        "third: first 10 of second",
    ]


@pytest.mark.parametrize("width", [20, 40, 60, 80, 200])
@pytest.mark.parametrize("name", UGLY)
def test_no_text_breaks_a_line(name: str, width: int) -> None:
    ugly = UGLY[name]
    one = view(ugly, ugly[:200])
    lines = written(everything(one, Look(width - 1, styled=False)), width)
    same = written(everything(view("fox", "id"), Look(width - 1, styled=False)), width)
    assert max(map(cell_len, lines)) < width
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]", "".join(lines))
    # Numbers stand where they stand beside plain ids: under one heading.
    starts = [
        [line[: line.index("1,000")] for line in part if "1,000" in line and line[:1] == "o"] for part in (lines, same)
    ]
    assert starts[0] == starts[1]
    if name == "markup" and width == 200:
        assert any("[red]" in line and "[/nope]" in line and ":fox_face:" in line for line in lines)


@given(st.text(max_size=80), st.integers(16, 100))
def test_any_text_fits(text: str, width: int) -> None:
    lines = written(everything(view(text, text), Look(width - 1, styled=False)), width)
    assert max(map(cell_len, lines)) < width
    assert not any(ord(character) < 32 for line in lines for character in line)


def test_styles_take_the_place_of_asterisks() -> None:
    known = frozenset({"fox"})
    assert snippet("a fox*", known, 40, styled=False).plain == "a *fox**"
    marked = snippet("a fox*", known, 40, styled=True)
    assert marked.plain == "a fox*" and [(span.start, span.end) for span in marked.spans] == [(2, 5)]


def test_the_part_that_shares_most_is_shown() -> None:
    text = "fox " + "filler " * 60 + "the quick brown fox jumps over it " + "filler " * 60 + "quick"
    shown = snippet(text, {"quick", "brown", "fox", "jumps"}, 60, styled=False).plain
    assert shown.startswith("…") and "*quick* *brown* *fox* *jumps*" in shown
    assert snippet(text, {"zebra"}, 60, styled=False).plain.startswith("fox filler")
    assert snippet("x" * 10_000 + " fox", {"fox"}, 60, styled=False).plain == "…*fox*"
    assert snippet(" \n", {"fox"}, 60, styled=False).plain == "(no text)"


def test_plain_text_by_hand() -> None:
    assert plain(" a\t\r\nb\x1b[0m\x00\x9b ") == "a b [0m"
    assert plain("\U0001f468\u200d\U0001f469 \u2764\ufe0f \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea") == (
        "\U0001f468\U0001f469 \u2764 \U0001f44d DE"
    )
    assert plain("\u202eabc\u2066\u00ad") == "abc"
    assert plain("e" + "\u0301" * 9) == "e" + "\u0301" * 3
    assert plain("\ue000\udc80") == "\ufffd\ufffd"
    assert plain("abcdef", 3) == "abc"


def test_where_answers_are_told() -> None:
    look = Look(100, styled=False)
    told = [line.plain for line in heading(view("fox", "d"), "title", look)]
    assert told == [
        "title, broken",
        "d: fox",
        "step by step: second: recovered; third: broken",
        "answer 1 > 1 > 2: d",
        "answer unreachable, not among the 1,000 of d: d",
        "answer unreachable, not in the corpus: d",
        "and 3 more answers, 0 of them in the list",
    ]
    below = replace(view("", "d"), answers=(Answer("x", 1, True, (7, 11, 11)),))
    assert [line.plain for line in heading(below, "t", look)][1::2] == [
        "d: (no text)",
        "answer 7 > 11 > 11, below the 10 that third reranks: x",
    ]
    within = replace(below, answers=(Answer("x", 1, True, (100, 10, 10)),))
    assert heading(within, "t", look)[-1].plain == "answer 100 > 10 > 10: x"
    empty = replace(view(), answers=(), candidates=())
    assert heading(empty, "t", look)[-1].plain == "no answer is known: nothing can be found"
    assert [line.plain for line in candidates(empty, look)[1]] == ["no candidate to show"]
    alone = replace(view(), stages=view().stages[:1], outcome="kept")
    assert heading(alone, "t", look)[0].plain == "t, an answer is first"
