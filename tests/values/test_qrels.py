from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.qrels import UNJUDGED, Qrels
from mteb_cascade.values.run import Run

CORPUS = Corpus.of(["b", "a", "c"], ["text"] * 3)
GRADES = {"q": {"a": 2, "c": 0, "outside": 1}, "r": {"b": 1}}


def test_grades_of_every_cell() -> None:
    docs = np.array([[0, 1, 2], [0, -1, -1], [1, 2, -1]], np.int32)
    run = Run(("q", "r", "unjudged"), CORPUS, docs, np.zeros((3, 3), np.float32))
    expected = [[UNJUDGED, 2, 0], [1, UNJUDGED, UNJUDGED], [UNJUDGED] * 3]
    assert Qrels(GRADES).of_run(run).tolist() == expected


def test_documents_outside_the_corpus_are_counted() -> None:
    queries = ["r", "q", "unjudged"]
    assert Qrels(GRADES).relevant_counts(queries).tolist() == [1, 2, 0]
    assert Qrels(GRADES, relevance_level=2).relevant_counts(queries).tolist() == [0, 1, 0]


def test_only_keeps_the_level() -> None:
    kept = Qrels(GRADES, relevance_level=2).only(["r", "unjudged"])
    assert kept.grades == {"r": {"b": 1}}
    assert kept.relevance_level == 2


def test_nothing_judged_or_nothing_found() -> None:
    run = Run.empty(["q"], CORPUS, 2)
    assert (Qrels({}).of_run(run) == UNJUDGED).all()
    assert (Qrels({"q": {"outside": 1}}).of_run(run) == UNJUDGED).all()
    assert Qrels(GRADES).of_run(Run.empty(["q"], CORPUS)).shape == (1, 0)


@given(data=st.data())
def test_of_run_is_a_dictionary_look_up(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    grades = case.qrels.of_run(case.run)
    for row, query in enumerate(case.run.query_ids):
        slow = [case.qrels.of(query).get(doc, UNJUDGED) for doc in case.run.ids(row)]
        assert grades[row].tolist() == slow + [UNJUDGED] * (case.run.depth - len(slow))
