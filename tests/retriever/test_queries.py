from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError
from mteb_cascade.retriever.queries import of_documents, read


def test_three_forms_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"_id": "x", "text": "red fox"}\n\n{"_id": 7, "text": "blue"}\n')
    (tmp_path / "b.tsv").write_text("x\tred fox\n7\tblue\n")
    (tmp_path / "c.txt").write_text("red fox\n\n  blue \n")
    with gzip.open(tmp_path / "d.tsv.gz", "wt") as file:
        file.write("x\tred fox\n7\tblue\n")
    for name, ids in (("a.jsonl", ("x", "7")), ("b.tsv", ("x", "7")), ("c.txt", ("1", "3")), ("d.tsv.gz", ("x", "7"))):
        found = read(tmp_path / name)
        assert (found.ids, found.texts) == (ids, ("red fox", "blue"))


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.jsonl", '{"_id": "x", "text": "red"}\n{"_id": "y"}\n', "line 2: expected an object"),
        ("a.tsv", "x\tred\ny blue\n", "line 2: expected an id, a tab and a text, got 'y blue'"),
        ("a.tsv", "x\tred\nx\tblue\n", "line 2: id 'x' stands on line 1 already"),
        ("a.txt", "\n\n", "holds no query"),
        ("a.txt", b"\xff\n", "line 1: is no UTF-8"),
    ],
)
def test_mistakes_name_file_and_line(tmp_path: Path, name: str, content: str | bytes, says: str) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=says) as error:
        read(path)
    assert name in str(error.value)


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file; expected queries"):
        read(tmp_path / "none.txt")


def test_the_first_words_of_documents() -> None:
    words = "one two three four five six seven eight nine ten"
    corpus = Corpus.of([f"d{row}" for row in range(80)], [f"{row} {words}" if row % 2 else "" for row in range(80)])
    found = of_documents(corpus, 60)
    assert found.texts and found == of_documents(corpus, 60) != of_documents(corpus, 60, seed=1)
    # Documents without a text give no query, and every query is the start of its document.
    assert all(
        text == f"{row} one two three four five six seven" for row, text in zip(found.ids, found.texts, strict=True)
    )
    assert all(int(row) % 2 for row in found.ids) and 20 < len(found) < 40
    assert len(of_documents(corpus, 1_000)) == 40
