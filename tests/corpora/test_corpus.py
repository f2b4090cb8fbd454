from __future__ import annotations

import sys

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus, Queries

# Python cannot encode half a surrogate pair, and neither can a file.
IDS = st.text(st.characters(codec="utf-8"), max_size=4)


@given(st.lists(IDS, unique=True))
def test_ties_go_by_code_point_order(ids: list[str]) -> None:
    corpus = Corpus.of(ids, ["text"] * len(ids))
    assert corpus.tie.dtype == np.int32
    assert [ids[row] for row in np.argsort(corpus.tie)] == sorted(ids)


@given(st.lists(IDS, unique=True), st.lists(IDS))
def test_rows_finds_every_id_and_nothing_else(ids: list[str], asked: list[str]) -> None:
    corpus = Corpus.of(ids, ["text"] * len(ids))
    expected = [ids.index(one) if one in ids else -1 for one in ids + asked]
    assert corpus.rows(ids + asked).tolist() == expected
    assert corpus.ids_at(np.arange(len(ids))) == ids


def test_a_text_is_title_and_text_stripped() -> None:
    corpus = Corpus.of("abcd", ["text ", " text", " ", "text"], ["title", "", None, " "])
    assert corpus.texts.to_pylist() == ["title text", "text", "", "text"]
    assert Corpus.of("a", [" text\n"]).texts_at([0]) == ["text"]


def test_the_digest_is_of_ids_and_texts_in_their_order() -> None:
    digests = [
        Corpus.of(ids, texts).digest
        for ids, texts in [
            (["a", "b"], ["x", "y"]),
            (["b", "a"], ["y", "x"]),
            (["a", "b"], ["y", "x"]),
            (["a", "b"], ["x", "y "]),
            (["a", "b"], ["x", "yy"]),
            (["ab"], ["xy"]),
            (["a", "bx"], ["", "y"]),
            ([], []),
        ]
    ]
    assert digests[3] == digests[0], "texts are stripped before they are read"
    assert len(set(digests)) == len(digests) - 1
    assert Corpus.of(["ab", "c"], ["x", ""]).digest != Corpus.of(["a", "bc"], ["x", ""]).digest
    assert Queries(("a",), ("x",)).digest == Queries(("a",), ("x",), {"hf_split": "test"}).digest
    assert Queries(("a",), ("x",)).digest != Queries(("a",), ("y",)).digest


@pytest.mark.parametrize(
    ("ids", "texts", "message"),
    [
        (["a", "b", "a"], ["x"] * 3, "document id 'a' stands twice"),
        (["a"], ["x", "y"], "1 document ids but 2 texts"),
    ],
)
def test_wrong_columns_are_refused(ids: list[str], texts: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Corpus.of(ids, texts)


TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from("\x1c \x85\u2028\u3000\u200b\n"), max_size=6)


@given(st.lists(st.tuples(TEXTS, st.none() | TEXTS)), st.integers(1, 5), st.booleans())
def test_tables_read_as_columns_do(rows: list[tuple[str, str | None]], size: int, titled: bool) -> None:
    ids = [f"d{row}" for row in range(len(rows))]
    texts, titles = [text for text, _ in rows], [title for _, title in rows]
    slow = Corpus.of(ids, texts, titles if titled else None)
    columns = {"id": ids, "text": texts} | ({"title": titles} if titled else {})
    table = pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})
    corpus = Corpus.of_tables(table.slice(start, size) for start in range(0, len(rows), size))
    assert corpus.ids.equals(slow.ids)
    assert corpus.texts.equals(slow.texts)
    assert corpus.digest == slow.digest


def test_arrow_strips_what_python_strips() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1) if not 0xD800 <= code < 0xE000]
    assert pc.utf8_trim_whitespace(pa.array(characters)).to_pylist() == [one.strip() for one in characters]


def test_tables_with_a_null_or_a_repeated_id_are_refused() -> None:
    with pytest.raises(ValueError, match="null text"):
        Corpus.of_tables([pa.table({"id": ["a", "b"], "text": ["x", None]})])
    with pytest.raises(ValueError, match="'a' stands twice"):
        Corpus.of_tables([pa.table({"id": ["a"], "text": ["x"]}), pa.table({"id": ["a"], "text": ["y"]})])


def test_the_digest_does_not_depend_on_the_blocks_that_it_is_read_in(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = [f"d{row}" for row in range(10)], [f"text {row}" for row in range(10)]
    whole = Corpus.of(*columns).digest
    monkeypatch.setattr("mteb_cascade.corpora.corpus.TEXTS", 3)
    assert Corpus.of(*columns).digest == whole
