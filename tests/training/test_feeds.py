from __future__ import annotations

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.training.feeds import feed
from mteb_cascade.training.lists import Lists

DOCS = [[0, 1, 5, 6], [2, 3, 4, 7], [3, 4, -1, -1]]
RELEVANT = [[1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]
LABELS = [[2, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]]


def lists(labels=LABELS, relevant=RELEVANT, scored=False) -> Lists:
    corpus = Corpus.of([f"d{n}" for n in range(8)], [f"text {n}" for n in range(8)])
    queries = Queries(("a", "b", "c"), ("ask a", "ask b", "ask c"))
    docs = np.array(DOCS, np.int32)
    return Lists(queries, corpus, docs, np.array(labels, np.float32), np.array(relevant, bool), scored=scored)


def test_tuples_have_one_answer_and_as_many_negatives_as_asked_for():
    rows = feed(lists(), "tuples", negatives=2)[:]

    assert rows == {
        "query": ["ask a", "ask a", "ask b"],  # c has one negative only
        "positive": ["text 0", "text 1", "text 2"],
        "negative_1": ["text 5", "text 5", "text 3"],
        "negative_2": ["text 6", "text 6", "text 4"],
    }


def test_pairs_need_no_negatives():
    assert feed(lists(), "tuples")[:] == {
        "query": ["ask a", "ask a", "ask b", "ask c"],
        "positive": ["text 0", "text 1", "text 2", "text 3"],
    }


def test_triplets_take_every_answer_with_each_negative():
    rows = feed(lists(), "triplets", negatives=2)[:]

    assert list(zip(rows["query"], rows["positive"], rows["negative_1"], strict=True)) == [
        ("ask a", "text 0", "text 5"),
        ("ask a", "text 0", "text 6"),
        ("ask a", "text 1", "text 5"),
        ("ask a", "text 1", "text 6"),
        ("ask b", "text 2", "text 3"),
        ("ask b", "text 2", "text 4"),
    ]


def test_labelled_documents_stand_alone():
    rows = feed(lists(), "labelled", negatives=1)[:]

    assert list(zip(rows["query"], rows["document"], rows["label"], strict=True)) == [
        ("ask a", "text 0", 1),
        ("ask a", "text 1", 1),
        ("ask a", "text 5", 0),
        ("ask b", "text 2", 1),
        ("ask b", "text 3", 0),
        ("ask c", "text 3", 1),
        ("ask c", "text 4", 0),
    ]


def test_lists_take_so_many_answers_at_a_time():
    rows = feed(lists(), "lists", positives=2, negatives=2)[:]
    assert rows["docs"] == [["text 0", "text 1", "text 5", "text 6"], ["text 2", "text 3", "text 4"]]
    assert rows["labels"] == [[2, 1, 0, 0], [1, 0, 0]]

    apart = feed(lists(), "lists", positives=1, negatives=1)[:]
    assert apart["docs"] == [["text 0", "text 5"], ["text 1", "text 5"], ["text 2", "text 3"], ["text 3", "text 4"]]
    assert apart["labels"] == [[2, 0], [1, 0], [1, 0], [1, 0]]


def test_a_teacher_s_scores_go_along():
    scored = [[0.5, 3, -1, 2], [1, 2, 4, 3], [7, 8, 0, 0]]
    rows = feed(lists(scored, scored=True), "scored", negatives=1)[:]
    assert rows["label"] == [[0.5, -1], [3, -1], [1, 2], [7, 8]]


def test_scores_without_answers_take_the_best_document_for_one():
    scored = [[0.5, 3, -1, 2], [1, 2, 4, 3], [7, 8, 0, 0]]
    rows = feed(lists(scored, np.zeros((3, 4)), scored=True), "scored", negatives=1)[:]
    assert rows["positive"] == ["text 1", "text 4", "text 4"]
    assert rows["negative_1"] == ["text 6", "text 7", "text 3"]
    assert rows["label"] == [[3, 2], [4, 3], [8, 7]]


def test_lists_without_negatives_are_refused():
    with pytest.raises(InputError, match=r"x\.toml: 3 training queries give no example in the form 'triplets'.*mining"):
        feed(lists(), "triplets", negatives=4, what="x.toml")
