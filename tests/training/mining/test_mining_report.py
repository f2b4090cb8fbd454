"""What the mining report tells, in 80 columns."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from mining_worlds import FIRST, JUDGE, PLANTED, TEXTS, WHAT, data_of, lists_of, options, write_run

from mteb_cascade.errors import InputError
from mteb_cascade.training.mining.answers import RULES
from mteb_cascade.training.mining.mined import mined
from mteb_cascade.training.mining.text import plain, write
from mteb_cascade.training.options import Mining


def texts_of_anybody() -> Iterator[str]:
    yield "\x1b[31mred\x07 \u202efox"
    yield "東京は日本の首都です。" * 12
    yield "# no heading *at* all `" + "x" * 300
    yield ""


def test_the_report_is_readable_text_of_80_columns(tmp_path):
    from rich.cells import cell_len

    texts = [*texts_of_anybody(), "red", "blue"]
    lists = lists_of(["which\x1b[2J one, \ud800?"], texts, [[0]])
    first = write_run("first.trec", {(0, doc): float(doc) for doc in range(7)})
    made = mined(data_of(lists), options(3, Mining(first=[first], skip=1, random=0.4)), WHAT)
    path = write(made.report, tmp_path / "results", "mine")
    content = path.read_text()
    assert max(map(cell_len, content.splitlines())) <= 80
    assert not re.search(r"[\x00-\x09\x0b-\x1f\u202e]", content)
    assert "\\x1b[31mred" in content
    assert "which\\x1b[2J one" in content
    assert re.search(r"skipped +among the first, which are passed over +1 +16.7%", content)
    assert re.search(r"believed +3 +50.0%", content)
    assert json.loads((tmp_path / "results" / "mine.json").read_text())["queries"] == 1
    assert plain(" a\t\n b ") == "a b"
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"file/mine.md: cannot be written \("):
        write(made.report, tmp_path / "file", "mine")


def test_a_sample_says_why_each_document_stands_there():
    first, judge = write_run("first.trec", FIRST), write_run("judge.trec", JUDGE)
    mining = Mining(first=[first], judge=judge, margin=1.0, random=0.5)
    made = mined(data_of(PLANTED), options(2, mining), WHAT)
    (sample,) = made.report["samples"]
    assert sample["answers"] == [{"id": "d0", "rank": 1, "score": 7.0, "judge": 6.0, "text": TEXTS[0]}]
    assert {one["id"]: one["reason"] for one in sample["dropped"]} == {
        "d1": "copy",
        "d2": "near-duplicate",
        "d3": "judge",
        "d6": "group",
    }
    assert [one["origin"] for one in sample["negatives"]] == ["mined", "drawn"]
    judging = made.report["histograms"][-1]
    assert (sum(judging["answers"]), sum(judging["believed"]), sum(judging["dropped"])) == (1, 2, 1)
    assert len(RULES) == 5
