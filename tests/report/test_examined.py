"""What doctor's report shows at 80 columns, and what it keeps from the terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mteb_cascade.report.examined import examined, plain, summary
from mteb_cascade.studies.doctor.examine import Examination
from mteb_cascade.studies.doctor.finding import Finding

FINDINGS = (
    Finding("constant scores", "our-bm25", "ok", "0 of 50 queries"),
    Finding("score sign", "our-reranker", "fail", "answers score below others", "negate the scores in `score`"),
    Finding("truncation", "our-reranker", "note", "documents are cut"),
    Finding("leak", "our-reranker", "skipped", "could not be read"),
)


def written(findings=FINDINGS, width=80, terminal=False, **options):
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system="standard" if terminal else None)
    console.print(examined(Examination("our-cascade", "PythonDocs", "test", 50, tuple(findings)), **options))
    return out.getvalue()


def test_failures_notes_and_what_was_skipped_are_listed_and_the_rest_is_counted():
    lines = [line.rstrip() for line in written().splitlines()]
    assert lines == [
        "our-cascade on PythonDocs, test: 50 queries",
        "✗ FAIL score sign, our-reranker",
        "       answers score below others",
        "       -> negate the scores in `score`",
        "! note truncation, our-reranker",
        "       documents are cut",
        "- skip leak, our-reranker",
        "       could not be read",
        "1 check found nothing (--all lists them)",
        "1 check fails, 1 note, 1 ok, 1 skipped",
    ]


def test_all_are_listed_when_asked_for():
    text = written(everything=True)
    assert "✓ ok   constant scores, our-bm25" in text
    assert "--all" not in text


@pytest.mark.parametrize(
    ("verdicts", "line"),
    [
        (["ok", "ok"], "no checks fail, 2 ok"),
        (["fail", "fail", "note"], "2 checks fail, 1 note"),
        (["note", "note", "skipped"], "no checks fail, 2 notes, 1 skipped"),
    ],
)
def test_the_last_line_counts(verdicts, line):
    findings = tuple(Finding("a", "b", verdict, "c") for verdict in verdicts)
    assert summary(Examination("m", "t", "test", 1, findings)) == line


@pytest.mark.parametrize("width", [40, 80])
def test_nothing_is_wider_than_the_terminal(width):
    wide = Finding("a very long name of a check", "s" * 90, "fail", "word " * 60 + "x" * 300, "do " * 90)
    assert all(len(line.rstrip()) <= width for line in written([wide], width).splitlines())


def test_texts_of_anybody_move_no_cursor_and_are_no_markup():
    nasty = Finding("leak", "m\x1b[2J", "fail", "query '\x1b[31mred\u202e[bold]\r\nnext\x07'", "\x9b1m mend")
    text = written([nasty])
    assert not set(text) & set("\x1b\x07\r\x9b\u202e")
    assert "[31mred[bold] next" in text


def test_colours_are_for_terminals():
    assert "\x1b[" in written(terminal=True)
    assert "\x1b[" not in written()


def test_plain_keeps_letters():
    assert plain("naïve 東京 🦊") == "naïve 東京 🦊"
