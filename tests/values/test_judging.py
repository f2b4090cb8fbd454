from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.curves import OUTCOMES, curves, outcomes
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.judging import TO, broken_to, first_columns, success_bounds
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

TEN = " ".join(f"word{number}" for number in range(10))
TEXTS = {
    "a": TEN,
    "eight": TEN.replace("word0", "").replace("word1 ", " "),
    "seven": TEN.replace("word0", "").replace("word1 ", " ").replace("word2", ""),
    "other": "nothing of it",
    "empty": "",
}
CORPUS = Corpus.of(TEXTS, TEXTS.values())


def ranked(rows: list[str]) -> Run:
    """One query a row, with documents named in order."""
    docs = np.array([CORPUS.rows(row.split()) for row in rows])
    return Run.ranked([f"q{row}" for row in range(len(rows))], CORPUS, docs, np.tile(-np.arange(3.0), (len(rows), 1)))


@given(data=st.data())
def test_first_columns_are_those_of_reranking_to_every_depth(
    any_case: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    case = data.draw(any_case)
    columns = data.draw(st.integers(0, case.run.depth))
    got = first_columns(case.run, case.scores[:, :columns], case.blend)
    assert got.shape == (len(case.run.query_ids), columns) and got.dtype == np.int32
    for depth in range(1, columns + 1):
        first = rerank(case.run, case.scores[:, :columns], depth, case.blend).docs[:, 0]
        for row, column in enumerate(got[:, depth - 1].tolist()):
            assert (-1 if column < 0 else case.run.docs[row, column]) == first[row]


@given(data=st.data())
def test_bounds_enclose_success(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    low, high = success_bounds(case.run, case.scores, case.qrels, case.blend)
    assert low.dtype == high.dtype == np.float32
    np.testing.assert_array_equal(
        low, curves(case.run, case.scores, case.qrels, ["success@1"], case.blend)["success@1"]
    )
    for depth in range(1, case.run.depth + 1):
        after = rerank(case.run, case.scores, depth, case.blend)
        for row, query in enumerate(case.run.query_ids):
            judged = case.qrels.of(query)
            if not any(grade >= case.qrels.relevance_level for grade in judged.values()):
                assert np.isnan(high[row, depth - 1])
                continue
            right = [judged.get(doc, 9) >= case.qrels.relevance_level for doc in after.ids(row)[:1]]
            assert high[row, depth - 1] == float(any(right))


def test_broken_to_by_hand() -> None:
    run = ranked(["a other eight", "a seven eight", "a eight other", "other a eight", "a empty other"])
    grades = {"a": 2, "other": 0, "eight": 0}
    qrels = Qrels({"q0": grades, "q1": {"a": 1, "outside": 1}, "q2": grades, "q3": grades, "q4": {"a": 1}})
    up, down = [1.0, 2.0, 3.0], [3.0, 2.0, 1.0]
    got = broken_to(run, [up, up, down, up, up], qrels)
    assert got.dtype == np.int8
    assert [[TO[one] if one >= 0 else "" for one in row] for row in got.tolist()] == [
        ["", "judged non-relevant", "near-duplicate"],
        ["", "unjudged", "near-duplicate"],
        ["", "", ""],
        ["", "", ""],
        ["", "unjudged", "unjudged"],
    ]


def test_a_document_without_words_duplicates_nothing() -> None:
    run = ranked(["empty other a"])
    assert broken_to(run, [[1.0, 2.0, 3.0]], Qrels({"q0": {"empty": 1}})).tolist() == [[-1, 1, 1]]


@given(data=st.data())
def test_what_is_broken_is_said_what_to(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    got = broken_to(case.run, case.scores, case.qrels, case.blend)
    classes = outcomes(case.run, case.scores, case.qrels, case.blend)
    assert ((got >= 0) == (classes == OUTCOMES.index("broken"))).all()
    # All texts of these cases are the same.
    assert {*got[got >= 0].tolist()} <= {TO.index("near-duplicate")} or not len(case.run.corpus)
