from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.errors import InputError
from mteb_cascade.values.slices import OTHER, figures, form, lengths, slices


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("what is a prime number", "question"),
        ("Prime numbers?  ", "question"),
        ("What's new", "question"),
        ("do cats purr", "question"),
        ("Whatever works", "keywords"),
        ("causes of migraine in children", "keywords"),
        ("red shoes", "keywords"),
        ("", "keywords"),
        ("Return the item", "statement"),
        ("aspirin is safe", "statement"),
        ("Aspirin works.", "statement"),
        ("one two three four five", "keywords"),
        ("one two three four five six", "statement"),
    ],
)
def test_form(text: str, wanted: str) -> None:
    assert form(text) == wanted


@given(st.lists(st.integers(0, 12), min_size=1, max_size=40))
def test_lengths_neither_overlap_nor_split_nor_miss(counts: list[int]) -> None:
    labels = lengths(counts).tolist()
    spans = {}
    for count, label in zip(counts, labels, strict=True):
        ends = [int(end) for end in re.findall(r"\d+", label)]
        assert ends[0] <= count <= ends[-1]
        spans.setdefault((ends[0], ends[-1]), []).append(count)
    assert len(spans) <= 3
    in_order = sorted(spans)
    assert all(before[1] < after[0] for before, after in pairwise(in_order))
    for (low, high), inside in spans.items():
        assert (low, high) == (min(inside), max(inside))


def test_terciles_by_hand() -> None:
    assert lengths([1, 2, 3, 4, 5, 6]).tolist() == ["1-2 words"] * 2 + ["3-4 words"] * 2 + ["5-6 words"] * 2
    assert lengths([1, 1, 1, 7]).tolist() == ["1 word"] * 3 + ["7 words"]
    assert lengths([4, 4]).tolist() == ["4 words"] * 2
    assert lengths([0, 1]).tolist() == ["0 words", "1 word"]
    assert lengths([]).tolist() == []


def test_slices_of_ours_and_of_the_user() -> None:
    queries = Queries(("q1", "q2"), ("red shoes", "how do I lace my red shoes"))
    assert {by: labels.tolist() for by, labels in slices(queries, {"topic": {"q2": "laces"}}).items()} == {
        "length": ["2 words", "7 words"],
        "form": ["keywords", "question"],
        "topic": [OTHER, "laces"],
    }
    assert list(slices(Queries((), ()))) == ["length", "form"]
    with pytest.raises(InputError, match="called 'form'"):
        slices(queries, {"form": {}})


def test_figures_are_means_in_the_order_of_numbers() -> None:
    labels = np.array(["10-12 words", "2-9 words", "2-9 words", "other"])
    values = np.array([0.5, 1.0, np.nan, 0.0])
    got = figures(labels, {"first stage": {"mrr@10": values}, "alone": {"mrr@10": 1 - np.nan_to_num(values)}})
    assert got == [
        {"slice": "2-9 words", "queries": 2, "first stage": {"mrr@10": 0.5}, "alone": {"mrr@10": 0.5}},
        {"slice": "10-12 words", "queries": 1, "first stage": {"mrr@10": 0.5}, "alone": {"mrr@10": 0.5}},
        {"slice": "other", "queries": 1, "first stage": {"mrr@10": 0.0}, "alone": {"mrr@10": 1.0}},
    ]
