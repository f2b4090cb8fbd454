"""`mteb-cascade inspect` as a user runs it: printed, on a terminal of 80 columns, and refused in one line."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.cells import cell_len

from mteb_cascade.cli import main as command_line

COMMAND = Path(sys.executable).with_name("mteb-cascade")
DOCUMENTS = {
    "d1": "red fox",
    "d2": "red red fox \x1b[31m\x1b[2J\x07 [bold]fox[/bold] \U0001f468\u200d\U0001f469\u200d\U0001f467\u2764\ufe0f",
    "x" * 200: "fox " + "\u72d0\u72f8" * 200,
    "\u05e9\u202e\u05dc": "\u05e9\u05dc\u05d5\u05dd \u202efox " + "y" * 10_000,
    "d5": "a whale",
}
QUERIES = {"q1": "red fox", "q2": "a whale \x1b[2J[red]", "q3": "a zebra"}
QRELS = {"q1": {"d1": 1}, "q2": {"d5": 1, "nowhere": 1}, "q3": {"d1": 1}}

pytestmark = pytest.mark.filterwarnings("ignore:.*that the folder does not hold")


@pytest.fixture
def house(write_spec: Callable[[str, str], Path], tmp_path: Path) -> Path:
    """A working folder with a cascade and a collection of nasty texts."""
    write_spec("first", 'kind = "bm25"\nlanguage = "none"\nstop_words = "none"\n')
    write_spec("second", 'kind = "bm25"\nk1 = 0.5\nlanguage = "none"\nstop_words = "none"\n')
    write_spec("both", 'kind = "cascade"\n[[stage]]\nmodel = "first"\n[[stage]]\nmodel = "second"\ndepth = 3\n')
    (tmp_path / "data" / "qrels").mkdir(parents=True)
    for name, texts in (("corpus", DOCUMENTS), ("queries", QUERIES)):
        lines = [json.dumps({"_id": one, "text": text}) for one, text in texts.items()]
        (tmp_path / "data" / f"{name}.jsonl").write_text("\n".join(lines))
    rows = [f"{query}\t{doc}\t{grade}" for query, found in QRELS.items() for doc, grade in found.items()]
    (tmp_path / "data" / "qrels" / "test.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    return tmp_path


@pytest.fixture
def run(
    house: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs `inspect` in this process; returns exit code, stdout and stderr."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def run(*arguments: str, name: str = "both") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mteb-cascade", "inspect", name, "-t", "data", *arguments])
        monkeypatch.setattr("warnings.showwarning", command_line.one_line)
        with pytest.raises(SystemExit) as ended:
            command_line.main()
        written = capsys.readouterr()
        return int(ended.value.code or 0), written.out, written.err

    return run


def test_a_query_is_printed_where_there_is_no_terminal(run: Callable[..., tuple[int, str, str]]) -> None:
    code, out, _ = run("--query", "q1")
    lines = out.splitlines()
    assert code == 0 and max(map(cell_len, lines)) < 80 and "\x1b" not in out
    assert lines[0] == "both, data test, query 1 of 3, kept"
    assert lines[1:5] == ["q1: red fox", "answer 1 > 1: d1", "", "   first       second      "]
    assert any(line.endswith("  d1") and line.startswith("A ") for line in lines)
    assert "    *red* *fox*" in lines
    code, out, _ = run("--limit", "5", "--class", "unreachable")
    assert (code, out.count("both, data test, query ")) == (0, 1)
    assert "query 3 of 3 (1 of 1 selected), unreachable" in out and "unreachable, not in the corpus" not in out
    assert "answer unreachable, first finds nothing: d1" in out
    _, out, _ = run("--phantoms")
    assert "query 2 of 3 (1 of 1 selected), broken" in out and any(line.startswith("P ") for line in out.splitlines())
    _, out, _ = run("--query", "#2", "--limit", "9")
    assert out.count("both, data test, query ") == 2 and "answer unreachable, not in the corpus: nowhere" in out
    _, out, _ = run("--document", "d5", "--top", "1", "--first", "second", "--depth", "2", name="first")
    assert any(line.endswith("  d5") and line.count("–") == 4 for line in out.splitlines())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--query", "q11"], "data test has no query 'q11' among its 3. Did you mean 'q1'?"),
        (["--class", "brokn"], "--class: unknown class 'brokn'. Known: broken"),
        (
            ["--class", "recovered"],
            "of 3 there are: unreachable 1, missed 0, kept 1, recovered 0, broken 1; with phantoms 1",
        ),
        (["--query", "q1", "--class", "unreachable"], "'q1' is not among the 1 that the filters leave: it is kept"),
        (["--phantoms", "--class", "kept"], "no query of data test is left"),
        (["--text", "tiger"], "no query of data test has the words 'tiger'"),
        (["--document", "d9"], "data has no document 'd9'"),
        (["--first", "first"], "--first: both is a cascade"),
        (["--split", "dev"], "data has no split 'dev'"),
    ],
)
def test_mistakes_are_one_line(run: Callable[..., tuple[int, str, str]], arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    said = [line for line in err.splitlines() if not line.startswith("warning: ")]
    assert (code, out, len(said)) == (2, "", 1) and message in said[0]


def test_an_unknown_model_is_one_line(run: Callable[..., tuple[int, str, str]]) -> None:
    code, _, err = run(name="bothh")
    assert (code, err.count("\n")) == (2, 1) and "Did you mean 'both'?" in err


@dataclass
class Terminal:
    """A process on a pseudo-terminal."""

    process: subprocess.Popen[bytes]
    file: int
    written: str = ""

    def until(self, part: str, seconds: float = 60) -> str:
        """The screen once it shows this: what was written since it was last cleared."""
        end = time.monotonic() + seconds
        while part not in self.screen and time.monotonic() < end:
            if select.select([self.file], [], [], 0.2)[0]:
                try:
                    self.written += os.read(self.file, 65_536).decode("utf-8", "replace")
                except OSError:
                    break
        assert part in self.screen, self.written[-3000:]
        return self.screen

    @property
    def screen(self) -> str:
        shown = self.written.rpartition("\x1b[H")[2].replace("\r\n", "\n")
        return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", shown)

    def press(self, keys: str) -> None:
        os.write(self.file, keys.encode())


@pytest.fixture
def terminal(house: Path) -> Iterator[Terminal]:
    """`inspect` on a terminal of 80 columns and 24 rows."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(
        [COMMAND, "inspect", "both", "-t", "data"],
        cwd=house,
        env={**environment, "TERM": "xterm-256color"},
        stdin=theirs,
        stdout=theirs,
        stderr=subprocess.PIPE,
    )
    os.close(theirs)
    yield Terminal(process, ours)
    process.kill()
    process.communicate()
    os.close(ours)


def test_pages_on_a_terminal(terminal: Terminal) -> None:
    footer = "n next, p previous, q quit, g go to"
    for keys, part in (
        ("", "query 1 of 3, kept"),
        ("p", "query 1 of 3, kept"),
        ("n", "query 2 of 3, broken"),
        ("\x1b[C", "query 3 of 3, unreachable"),
        ("n", "query 3 of 3, unreachable"),
        ("gq2\r", "query 2 of 3, broken"),
        ("#1\r", "query 1 of 3, kept"),
        ("/q9\r", "data test has no query 'q9'"),
        ("jjk\x1b[B", "query 1 of 3, kept"),
        ("m", "query 1 of 3, kept"),
    ):
        terminal.written = terminal.written if not keys else ""
        terminal.press(keys)
        terminal.until(part)
        screen = terminal.until(footer if "q9" not in keys else "q9")
        lines = screen.splitlines()
        assert len(lines) <= 24 and max(map(cell_len, lines)) < 80
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", screen)
    # What matches is bold and underlined, where it was between asterisks.
    assert "*" not in terminal.written and "\x1b[1;4mfox\x1b[0m" in terminal.written
    # Ctrl-C ends it quietly.
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.process.wait(20) == 0
    assert terminal.process.stderr is not None
    said = terminal.process.stderr.read().decode().splitlines()
    assert [line for line in said if not line.startswith("warning: ")] == []
