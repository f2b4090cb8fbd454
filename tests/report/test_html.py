"""The page: nothing of a dataset is markup, what it holds is what was swept, and what is missing is said."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from nasty import NASTY, ODD_IDS, collection

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.report import html, packed
from mteb_cascade.report.packed import TaskQueries, pack
from mteb_cascade.report.results import Result, read_all
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.qrels import UNJUDGED
from mteb_cascade.values.run import Run


class Elements(HTMLParser):
    """Elements with their attributes, and the text of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] == "script":
            self.scripts.append(data)


def unpacked(block: str) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Header and arrays (as int32) of a packed block."""
    whole = gzip.decompress(base64.b64decode(block))
    size = int.from_bytes(whole[:4], "little")
    header, at, arrays = json.loads(whole[4 : 4 + size]), 4 + size, []
    for length in header["arrays"]:
        planes = np.frombuffer(whole[at : at + length], np.uint8).reshape(4, -1)
        arrays.append(np.ascontiguousarray(planes.T).view("<i4").ravel())
        at += length
    assert at == len(whole)
    return header, arrays


@pytest.fixture
def page(results: list[Result], tmp_path: Path) -> str:
    html.write(results, tmp_path / "report.html")
    return (tmp_path / "report.html").read_text(encoding="utf-8")


def test_nothing_of_a_dataset_is_markup_and_nothing_is_fetched(page: str) -> None:
    elements = Elements(page).found
    assert "alert(" not in page and "onerror" not in page
    assert [attributes.get("type") for tag, attributes in elements if tag == "script"] == ["text/plain", None]
    assert not {"img", "link", "iframe", "i-b"} & {tag for tag, _ in elements}
    for _, attributes in elements:
        assert "src" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#")
    assert "url(" not in page and "@import" not in page
    policy = next(one["content"] for tag, one in elements if tag == "meta" and "http-equiv" in one)
    assert policy is not None and policy.startswith("default-src 'none'")


def test_labels_of_a_result_are_escaped(results: list[Result], tmp_path: Path) -> None:
    found = json.loads(json.dumps(results[0].found).replace("coarse0 > coarse1", NASTY.replace('"', "'")))
    assert found["pipeline"] != results[0].pipeline
    found["slices"][0]["slice"] = found["title"] = found["shape"]["success@1"]["alone"]["shape"] = NASTY
    html.write([Result(results[0].path, found)], tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page and "<script>alert" not in page and "<img" not in page
    assert [tag for tag, _ in Elements(page).found].count("script") == 2


def test_the_same_results_make_the_same_page(page: str, results: list[Result], tmp_path: Path) -> None:
    html.write(results, tmp_path / "again.html")
    assert (tmp_path / "again.html").read_text(encoding="utf-8") == page


def test_the_block_holds_what_was_swept(results: list[Result]) -> None:
    (block,), trimmed = pack([TaskQueries.of(results)], 10**9)
    header, arrays = unpacked(block)
    assert trimmed == ""
    ids = header["documents"]["ids"]
    assert ids == sorted(ids) and set(ODD_IDS) < set(ids)  # Python compares strings by code points
    assert NASTY in header["documents"]["texts"][ids.index(ODD_IDS[0])]
    assert header["documents"]["texts"][ids.index("outside")] is None
    assert NASTY in header["queries"]["texts"][0]
    for result, sweep in zip(results, header["sweeps"], strict=True):
        table = pq.read_table(result.candidates)
        lengths = arrays[sweep["lengths"]]
        query = np.repeat(header["queries"]["ids"], lengths)
        assert query.tolist() == table["query"].to_pylist()
        assert [ids[row] for row in arrays[sweep["document"]]] == table["document"].to_pylist()
        assert (arrays[sweep["rank"]] + 1).tolist() == table["rank"].to_pylist()
        assert arrays[sweep["before"]].view("<f4").tolist() == table["before"].to_pylist()
        scores = arrays[sweep["score"]].view("<f4")
        assert [None if np.isneginf(one) else one for one in scores] == table["score"].to_pylist()
        grades = [None if one == UNJUDGED else one for one in arrays[sweep["grade"]].tolist()]
        assert grades == table["grade"].to_pylist()
    assert header["sweeps"][0]["before"] == header["sweeps"][1]["before"], "the same array is kept once"
    answers = header["answers"]
    told = dict(zip(header["queries"]["ids"], arrays[answers["lengths"]].tolist(), strict=True))
    assert told["q'&"] == 3 and sum(told.values()) == 29 * 3  # grade 0 is no answer, "outside" is


def test_a_large_page_keeps_the_top_and_the_answers_with_their_true_ranks(
    results: list[Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "TOP", 5)
    monkeypatch.setattr(packed, "CHARACTERS", 12)
    task = TaskQueries.of(results)
    whole = len(task.packed())
    (block,), trimmed = pack([task], whole - 1)
    assert len(block) < whole
    assert trimmed.startswith("With all candidates this page would take 0 MB") and "the first 5 before" in trimmed
    header, arrays = unpacked(block)
    ids = header["documents"]["ids"]
    assert task.texts is not None
    corpus = task.texts.corpus
    for result, sweep, full in zip(results, header["sweeps"], task.shortlists, strict=True):
        assert sweep["depths"] == [1, 2, 3, 4, 5, 40]
        starts = np.cumsum([0, *arrays[sweep["lengths"]]])
        for blend, line in ((0.0, "alone"), (0.7, "blended")):
            for number in range(len(header["queries"]["ids"])):
                cells = slice(starts[number], starts[number + 1])
                after = {
                    ids[doc]: rank
                    for doc, rank in zip(
                        arrays[sweep["document"]][cells], arrays[sweep["after"][line]][cells], strict=True
                    )
                }
                run = as_run(corpus, full, task.document_ids, number)
                scores = full.score[full.query == number][None, :]
                ranked = rerank(run, scores, 40, blend).ids(0)
                assert all(ranked[rank] == doc for doc, rank in after.items())
                assert {*ranked[:5], *run.ids(0)[:5]} <= {*after}
                grades = full.grade[full.query == number]
                assert {doc for doc, grade in zip(run.ids(0), grades, strict=True) if grade >= 1} <= {*after}
        assert result["depth"] == 40
    (short,), said = pack([task], 10)
    assert len(short) < len(block) and "and of each text the first 12 characters" in said
    assert said.endswith("that still takes 0 MB.")
    assert {len(text) for text in unpacked(short)[0]["documents"]["texts"] if text} == {13}


def as_run(corpus: Corpus, full: Any, ids: Any, number: int) -> Run:
    mine = full.query == number
    docs = corpus.rows([ids[doc] for doc in full.document[mine]])[None, :]
    return Run(("q",), corpus, docs, full.before[mine][None, :])


def test_what_is_missing_is_said(results: list[Result], swept: Path, tmp_path: Path) -> None:
    copies = tmp_path / "sweeps"
    shutil.copytree(swept / "sweeps", copies)
    moved = collection(tmp_path / "data")

    def written(source: Path) -> tuple[list[str], str]:
        said: list[str] = []
        here = [replace(one, found={**one.found, "source": str(source)}) for one in read_all([copies])]
        html.write(here, tmp_path / "report.html", say=said.append)
        return said, (tmp_path / "report.html").read_text(encoding="utf-8")

    assert written(moved)[0] == []
    with (moved / "corpus.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"_id": "new", "text": "one more"}\n')
    (said,), page = written(moved)
    assert said.startswith("data, test: shown without texts. ") and "are not those that were swept" in said
    assert said in page
    (said,), page = written(tmp_path / "gone")
    assert said.endswith("gone: there is no such folder; expected a BEIR folder or the name of a task")
    header, _ = unpacked(Elements(page).scripts[0])
    assert header["documents"]["texts"] is header["queries"]["texts"] is None and len(header["sweeps"]) == 2

    (copies / results[0].candidates.name).unlink()
    said_of = written(tmp_path / "gone")[0]
    assert said_of[1].endswith("is missing: no queries can be shown of coarse0 > coarse1")
    (copies / results[1].candidates.name).write_bytes(b"no Parquet")
    said_of, page = written(tmp_path / "gone")
    assert "expected the candidates that a sweep wrote" in said_of[2] and "\n" not in said_of[2]
    assert '<section id="queries"' in page
