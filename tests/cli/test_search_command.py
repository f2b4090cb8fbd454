"""`mteb-cascade search`: one query, a pipe of queries, JSON, and the prompt on a terminal."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import monotonic

import pytest

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.retriever.retriever import Retriever

NASTY = "red fox \x1b[31mjumps\x1b]0;title\x07\nover\x9b2J the \u202estone"
COMMAND = [sys.executable, "-c", "from mteb_cascade.cli.main import main; main()", "search"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of BM25 and a cascade over it, and the specs of both."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "models").mkdir()
    (folder / "models" / "words.toml").write_text('kind = "bm25"')
    spec = 'kind = "cascade"\n[[stage]]\nmodel = "words"\n[[stage]]\nmodel = "words"\ndepth = 1'
    (folder / "models" / "twice.toml").write_text(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        retriever = Retriever("twice", "index")
        retriever.embed_and_store_corpus(Corpus.of(["n\x1b[1m", "b", "c"], [NASTY, "red fox fox fox", "blue whale"]))
    return folder


def asked(folder: Path, *arguments: str, lines: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    env = os.environ | {"COLUMNS": "80", "MTEB_CASCADE_CACHE": str(folder / "cache")}
    return subprocess.run([*COMMAND, *arguments], input=lines, capture_output=True, cwd=folder, env=env)


@pytest.fixture
def here(folder: Path, command: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `mteb-cascade search` in this process."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "80")
    return partial(command, "search")


def test_one_query(here: Run) -> None:
    code, out, err = here("index", "red fox")
    assert code == 0, err
    heading, *found, last = out.splitlines()
    assert heading.split() == ["score", "words", "words", "(2)", "document"]
    # The second stage scored the first document alone.
    assert found[0].split()[0] == "1"
    assert found[0].split()[2:] == ["1", "1", "b"]
    assert found[1] == "    *red* *fox* *fox* *fox*"
    assert found[2].split()[2:] == ["2", "–", "n", "[1m"]
    assert found[3] == "    *red* *fox* [31mjumps ]0;title over 2J the stone"
    assert last.startswith("words ")
    assert last.endswith(" ms; 3 documents")
    assert not set(out) & set("\x1b\x07\x9b")
    assert all(len(line) <= 80 for line in out.splitlines())


def test_lines_of_a_pipe_as_json(folder: Path) -> None:
    done = asked(folder, "index", "--json", "-k", "1", lines="red fox\n\n  \nwhale \xff\r\nzebra".encode("latin-1"))
    assert done.returncode == 0, done.stderr
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert [one["document_id"] for one in first["results"]] == ["b"]
    assert [stage["rank"] for stage in first["results"][0]["stages"]] == [1, 1]
    assert set(first["milliseconds"]) == {"words", "words (2)", "whole"}
    assert (first["depths"], first["capped"]) == ([1], False)
    assert (second["query"], second["results"][0]["document_text"]) == ("whale \ufffd", "blue whale")
    assert third["results"] == []


def test_lines_of_a_pipe_for_people(folder: Path) -> None:
    done = asked(folder, "index", "-k", "1", lines=b"fox\nzebra\n")
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "fox"
    assert lines[lines.index("zebra") - 1] == ""
    assert "nothing found" in lines


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("index", " "), "query: expected a text, got an empty one"),
        (("nowhere", "fox"), "nowhere: there is no such folder"),
        (("models", "fox"), "models: is no index"),
        (("index", "fox", "--model", "other"), "unknown model 'other'. Known here: twice, words."),
    ],
)
def test_mistakes_are_one_line(arguments: tuple[str, ...], said: str, here: Run) -> None:
    code, out, err = here(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(said)
    assert err.count("\n") == 1


def test_no_input_and_no_room_for_output(folder: Path) -> None:
    closed = subprocess.run(["sh", "-c", '"$@" <&-', "sh", *COMMAND, "index"], capture_output=True, cwd=folder)
    assert (closed.returncode, closed.stdout) == (2, b"")
    assert closed.stderr.startswith(b"query: none is given")
    assert closed.stderr.count(b"\n") == 1
    if Path("/dev/full").exists():
        full = subprocess.run(
            ["sh", "-c", '"$@" fox >/dev/full', "sh", *COMMAND, "index"], capture_output=True, cwd=folder
        )
        assert full.returncode == 2
        assert (
            full.stderr
            == b"what was found cannot be written (No space left on device); make room, or write elsewhere\n"
        )


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals are POSIX's")
def test_the_prompt(folder: Path) -> None:
    import pty

    main, other = pty.openpty()
    env = os.environ | {"COLUMNS": "80", "TERM": "xterm", "MTEB_CASCADE_CACHE": str(folder / "cache")}
    process = subprocess.Popen([*COMMAND, "index"], stdin=other, stdout=other, stderr=other, cwd=folder, env=env)
    os.close(other)
    seen = ""

    def until(awaited: str) -> str:
        """What came since, up to this text."""
        nonlocal seen
        end = monotonic() + 120
        while awaited not in seen and monotonic() < end and select.select([main], [], [], 120)[0]:
            seen += os.read(main, 65_536).decode("utf-8", "replace")
        before, found, seen = seen.partition(awaited)
        assert found, f"{awaited!r} did not come; there was {before!r}"
        return before

    try:
        assert "twice, 3 documents" in until("search> ")
        os.write(main, b"red fox\n")
        answer = until("ms; 3 documents")
        assert "\x1b[1;4mfox" in answer  # bold and underlined
        assert "\x1b]0;" not in answer
        until("search> ")
        os.write(main, b":k 1\n\n:what\n")
        until("Type a query")
        until("search> ")
        os.write(main, b"\x1b[A\x1b[A\x1b[A\n")  # three lines back: the query again, now of one document
        assert "n [1m" not in until("ms; 3 documents")
        until("search> ")
        os.write(main, b"\x04")
        assert process.wait(60) == 0
    finally:
        process.kill()
        os.close(main)
    assert "red fox" in (folder / "cache" / "search_history").read_text()
