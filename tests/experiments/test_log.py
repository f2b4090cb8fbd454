from __future__ import annotations

import multiprocessing
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from test_expectations import RESULT

from mteb_cascade.errors import InputError
from mteb_cascade.experiments import log
from mteb_cascade.experiments.expectations import Expectation

EXPECTED = [Expectation.parse("peak(success@1) < 3"), Expectation.parse("best(success@1) > .5")]


def result_of(pipeline: str, **changed: Any) -> dict[str, Any]:
    told = [one.verdict(RESULT).as_json() for one in EXPECTED]
    named = {"pipeline": pipeline, "title": "Toy, test", "measures": ["success@1"]}
    return {**RESULT, **named, "expectations": told, **changed}


def dateless(path: Path) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "DATE", path.read_text())


WRITTEN_FIRST = """\
# Log of sweeps

Every sweep writes its entry before it scores anything, and its outcome afterwards. Notes can be added under an entry.

## DATE, sweep

    mteb-cascade sweep ours -t Toy

Expected:

- `peak(success@1) < 3`
- `best(success@1) > .5`

Did not finish: stopped, failed, or still running.
"""

OUTCOME = """\
Outcome:

- `ours` on `Toy, test`: `success@1` 0.2000 as received; alone rises then falls, best 0.4000 at depth 2 (1-3), \
0.3000 at depth 3; blended rises and stays, best 0.6000 at depth 3 (1-3), 0.6000 at depth 3 (`sweeps/ours.json`)
  - `peak(success@1) < 3`: held, found 2
  - `best(success@1) > .5`: did not hold, found 0.4
"""


def test_the_expectation_stands_there_before_the_outcome_does(tmp_path: Path) -> None:
    path = tmp_path / "results" / "LOG.md"
    entry = log.begin(path, "mteb-cascade sweep ours -t Toy", EXPECTED)
    assert dateless(path) == WRITTEN_FIRST
    log.end(entry, [(result_of("ours"), path.parent / "sweeps" / "ours.json")])
    assert dateless(path) == WRITTEN_FIRST.replace(log.UNFINISHED + "\n", OUTCOME)


def test_a_killed_sweep_is_told_apart_from_a_finished_one_of_the_same_minute(tmp_path: Path) -> None:
    path = tmp_path / "LOG.md"
    entries = [log.begin(path, "same", []) for _ in range(3)]
    assert len({entry.heading for entry in entries}) == 3
    log.end(entries[1], [])
    sections = path.read_text().split("\n## ")[1:]
    assert [log.UNFINISHED in one for one in sections] == [True, False, True]


def test_notes_of_people_stay(tmp_path: Path) -> None:
    path = tmp_path / "LOG.md"
    path.write_bytes(b"# Ours\n\nnot UTF-8: \xe9\n")
    entry = log.begin(path, "first", [])
    with path.open("a") as lines:
        lines.write("\nA note under it.\n")
    later = log.begin(path, "second", [])
    log.end(entry, [])
    content = path.read_bytes()
    assert content.startswith(b"# Ours\n\nnot UTF-8: \xe9\n\n## ")
    assert content.index(b"Outcome") < content.index(b"A note under it.") < content.index(b"second")
    path.write_bytes(content.replace(b"    second", b"    changed"))
    log.end(later, [])
    assert path.read_text(errors="replace").count("Outcome:") == 2
    assert "    changed" in path.read_text(errors="replace")


def write_entries(path: Path, name: str, times: int) -> None:
    for number in range(times):
        log.end(log.begin(path, f"{name}{number}", []), [(result_of(f"{name}{number}"), None)])


def test_two_processes_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "LOG.md"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_entries, args=(path, name, 25)) for name in "abc"]
    for one in writers:
        one.start()
    for one in writers:
        one.join()
    content = path.read_text()
    commands = re.findall(r"^    (\S+)$", content, re.MULTILINE)
    assert sorted(commands) == sorted(f"{name}{number}" for name in "abc" for number in range(25))
    assert content.count("Outcome:") == 75
    assert log.UNFINISHED not in content
    headings = re.findall("^## .*$", content, re.MULTILINE)
    assert len(set(headings)) == 75
    assert {one.name for one in tmp_path.iterdir()} == {"LOG.md", ".LOG.md.lock"}


HOSTILE = "x\n## forged\n\n```\n`code` <script>\r\n- [a](b)\u2028| y"


def test_no_text_of_anybody_changes_the_structure(tmp_path: Path) -> None:
    """The entry, rendered by a Markdown library, has the same elements, and the hostile text only inside code."""
    from markdown_it import MarkdownIt

    kinds = {}
    for name, text in (("plain", "x"), ("hostile", HOSTILE)):
        path = tmp_path / name
        entry = log.begin(path, f"sweep {text}", [replace(EXPECTED[0], text=text)], what=text)
        told = [{"text": text, "holds": None, "found": text}]
        log.end(entry, [(result_of(text, title=text, expectations=told), tmp_path / text)])
        tokens = MarkdownIt().parse(path.read_text())
        kinds[name] = [
            (one.type, one.tag, [child.type for child in one.children or () if child.type != "text"]) for one in tokens
        ]
    assert kinds["plain"] == kinds["hostile"]


def test_a_log_that_cannot_be_written_is_said_before_any_scoring(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(InputError, match=r"LOG.md: cannot be written \(File exists\); choose another folder"):
        log.begin(tmp_path / "results" / "LOG.md", "x", [])
