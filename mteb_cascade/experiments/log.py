"""The log of sweeps: what was expected, before any scoring, and what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any

from mteb_cascade.atomic import replaced
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.experiments.expectations import Expectation, Verdict
from mteb_cascade.markdown import code, escaped

TITLE = """\
# Log of sweeps

Every sweep writes its entry before it scores anything, and its outcome afterwards. Notes can be added under an entry.
"""

UNFINISHED = "Did not finish: stopped, failed, or still running."


@dataclass(frozen=True)
class Entry:
    """A sweep's entry.

    Args:
        path: The log.
        heading: Its first line, which no other entry has.
        asked: Command and expectations, in Markdown.
    """

    path: Path
    heading: str
    asked: str

    def text(self, outcome: str) -> str:
        """The entry in Markdown."""
        return f"{self.heading}\n\n{self.asked}\n{outcome}\n"


def begin(path: Path, command: str, expectations: Sequence[Expectation], what: str = "sweep") -> Entry:
    """Add an entry: the command, what is expected of it, and that it did not finish.

    Args:
        path: The log; made where there is none.
        command: The command line, or what stands for it.
        expectations: What `end` gives verdicts on.
        what: Behind the date in the heading.
    """
    asked = f"    {in_one_line(command)}\n"
    if expectations:
        asked += "\nExpected:\n\n" + "".join(f"- {code(one.text)}\n" for one in expectations)
    with locked(path):
        log = _read(path)
        entry = Entry(path, _new_heading(what, log), asked)
        _write(path, _appended(log, entry.text(UNFINISHED)))
    return entry


def end(entry: Entry, results: Sequence[tuple[Mapping[str, Any], Path | None]]) -> None:
    """Put the outcome into an entry: a line a result, with the verdicts below it.

    Args:
        entry: What `begin` returned.
        results: Each sweep's result, as its JSON has it, and that file.
    """
    lines = [line for result, file in results for line in _told(entry.path, result, file)]
    finished = entry.text("\n".join(["Outcome:", "", *(lines or ["- nothing was swept"])]))
    unfinished = entry.text(UNFINISHED)
    with locked(entry.path):
        log = _read(entry.path)
        # Where somebody has rewritten the entry, or taken it away, it is told again.
        _write(entry.path, log.replace(unfinished, finished) if unfinished in log else _appended(log, finished))


def _new_heading(what: str, log: str) -> str:
    """The date and `what`; with a number where the log has an entry of the same minute."""
    heading = f"## {datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {escaped(what)}"
    taken = set(log.splitlines())
    numbered = (f"{heading} ({number})" for number in count(2))
    return next(one for one in chain([heading], numbered) if one not in taken)


def _told(log: Path, result: Mapping[str, Any], file: Path | None) -> Iterator[str]:
    measure = result["measures"][0]
    received = f"{code(measure)} {result['curves'][measure]['first stage']:.4f} as received"
    told = "; ".join([received, *(_curve(result, measure, line) for line in result["shape"][measure])])
    where = "" if file is None else f" ({code(os.path.relpath(file, log.parent))})"
    yield f"- {code(result['pipeline'])} on {code(result['title'])}: {told}{where}"
    for one in result["expectations"]:
        verdict = Verdict(one["text"], one["holds"], one["found"])
        yield f"  - {code(verdict.text)}: {escaped(str(verdict))}"


def _curve(result: Mapping[str, Any], measure: str, line: str) -> str:
    shape, depths = result["shape"][measure][line], result["depths"]
    if len(depths) == 1:
        return f"{line} {shape['last']:.4f} at depth {depths[0]}"
    return (
        f"{line} {shape['shape']}, best {shape['best']:.4f} at depth {shape['peak']} "
        f"({shape['peak_low']}-{shape['peak_high']}), {shape['last']:.4f} at depth {depths[-1]}"
    )


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """One process at a time.

    Raises:
        InputError: The log cannot be read or written.
    """
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # The lock is on a file of its own: the log is replaced, and with it what a lock on it would be on.
        with path.with_name(f".{path.name}.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); choose another folder with --output") from None


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else TITLE


def _write(path: Path, log: str) -> None:
    with replaced(path) as beside:
        beside.write_text(log, encoding="utf-8", errors="surrogateescape")


def _appended(log: str, entry: str) -> str:
    return f"{log.rstrip()}\n\n{entry}"
