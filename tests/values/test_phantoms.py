from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.phantoms import Phantom, phantoms
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

CORPUS = Corpus.of("abcdef", ["red fox", "the blue FOX", "green", "red red fox whale", "fox", "x"])


def one_world() -> tuple[Run, np.ndarray, Qrels, Queries]:
    """q0: d is lifted from rank 4 to 1 over b (2 -> 5), e over b but not over c. q1: d from 5 to 2, e from 4 to 1."""
    docs = [[0, 1, 2, 3, 4], [5, 0, 1, 4, 3]]
    run = Run.ranked(["q0", "q1"], CORPUS, np.array(docs), np.tile([9.0, 7.0, 5.0, 3.0, 1.0], (2, 1)))
    scores = np.array([[8.0, 7, 7.8, 9, 7.5], [5, 4, 3, 9, 8]], np.float32)
    qrels = Qrels({"q0": {"b": 1, "c": 1, "a": 0}, "q1": {"f": 1, "d": 0}})
    return run, scores, qrels, Queries(("q0", "q1"), ("Red fox, red den", "fox"))


def test_by_hand() -> None:
    got = phantoms(*one_world())
    assert [(one.query, one.document, one.lifted, one.also) for one in got] == [
        ("q0", "d", 3, 1),
        ("q1", "e", 3, 0),
        ("q1", "d", 3, 1),
    ]
    assert got[0] == Phantom(
        query="q0",
        document="d",
        rank_before=4,
        rank_after=1,
        answer="b",
        answer_before=2,
        answer_after=5,
        lifted=3,
        overlap=pytest.approx(2 / 3),
        retriever_score=3.0,
        answer_retriever_score=7.0,
        also=1,
        grade=None,
    )
    assert (got[1].overlap, got[2].grade, got[2].rank_after) == (1.0, 0, 2)
    assert json.loads(json.dumps(got[2].as_json()))["answer_after"] == 3


def test_the_blend_counts_and_most_is_a_limit() -> None:
    run, scores, qrels, queries = one_world()
    assert phantoms(run, scores, qrels, queries, blend=100.0) == []
    assert [one.document for one in phantoms(run, scores, qrels, queries, most=2)] == ["d", "e"]
    assert phantoms(run, scores, qrels, queries, most=2)[0].also == 1
    assert phantoms(run, scores, qrels, queries, most=0) == []
    assert phantoms(run, scores[:, :0], qrels, queries) == []


def slow_phantoms(run: Run, scores: np.ndarray, qrels: Qrels, blend: float) -> list[tuple[Any, ...]]:
    after = rerank(run, scores, scores.shape[1], blend)
    found = []
    for row, query in enumerate(run.query_ids):
        before, now = run.ids(row)[: scores.shape[1]], after.ids(row)[: scores.shape[1]]
        answers = [doc for doc in before if qrels.of(query).get(doc, -9) >= qrels.relevance_level]
        if not answers:
            continue
        best_after = min(now.index(doc) for doc in answers)
        found += [
            (query, doc, before.index(doc), now.index(doc), answers[0], now.index(answers[0]))
            for doc in now[:best_after]
            if before.index(doc) > before.index(answers[0])
        ]
    return sorted(found, key=lambda one: (one[3] - one[2], one[0], one[3]))


@given(data=st.data())
def test_equals_a_slow_loop(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    columns, most = data.draw(st.integers(0, case.run.depth)), data.draw(st.integers(0, 5))
    queries = Queries(case.run.query_ids, ("text",) * len(case.run.query_ids))
    slow = slow_phantoms(case.run, case.scores[:, :columns], case.qrels, case.blend)
    got = phantoms(case.run, case.scores[:, :columns], case.qrels, queries, case.blend, most)
    assert [
        (one.query, one.document, one.rank_before - 1, one.rank_after - 1, one.answer, one.answer_after - 1)
        for one in got
    ] == slow[:most]
    for one in got:
        assert one.also == sum(other[1] == one.document for other in slow) - 1
        # It may even sink, while all answers sink below it.
        assert one.lifted == one.rank_before - one.rank_after and one.overlap == 1


def test_a_query_without_words_overlaps_with_nothing() -> None:
    run, scores, qrels, _ = one_world()
    assert {one.overlap for one in phantoms(run, scores, qrels, Queries(("q0", "q1"), ("?", "!")))} == {0.0}
