from __future__ import annotations

import numpy as np
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
