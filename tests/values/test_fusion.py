from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import example, given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.fusion import blended, rerank, weighted_sum, with_tail
from mteb_cascade.values.run import Run

INF = np.inf
CORPUS = Corpus.of(["a", "b", "c", "d"], ["text"] * 4)


def run_of(docs: list[int], scores: list[float]) -> Run:
    return Run.ranked(["q"], CORPUS, np.array([docs], np.int32), np.array([scores]))


FIRST = run_of([0, 1, 2, 3], [4, 3, 2, 1])


def slow_rerank(run: Run, row: int, scores: np.ndarray, depth: int, blend: float) -> list[str]:
    """The definition, one query and one dictionary at a time."""
    ids = run.ids(row)
    head = {}
    for column, doc in enumerate(ids[:depth]):
        score = np.float32(scores[row, column])
        if score != -INF:
            head[doc] = float(score + np.float32(blend) * run.scores[row, column])
    best_first = sorted(head, key=lambda doc: (head[doc], doc), reverse=True)
    return best_first + [doc for doc in ids if doc not in head]


def as_ranked(scores: dict[str, float]) -> list[str]:
    return sorted(scores, key=lambda doc: (np.float32(scores[doc]), doc), reverse=True)


def trec_ranking(scores: dict[str, float]) -> list[str]:
    """The order in which trec_eval sees these documents: each by itself relevant, rank = 1 / reciprocal rank."""
    qrels = {doc: {doc: 1} for doc in scores}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(dict.fromkeys(scores, scores))
    return sorted(scores, key=lambda doc: 1 / found[doc]["recip_rank"])


def test_head_is_sorted_and_tail_stands_below_in_old_order() -> None:
    run = rerank(FIRST, [[1.0, 5.0, 9.0, 9.0]], depth=2)
    assert run.ids(0) == ["b", "a", "c", "d"]
    assert run.scores[0].tolist() == [5.0, 1.0, 1 - 2.0**-20, 1 - 2.0**-19]


def test_blend_adds_the_score_before() -> None:
    assert rerank(FIRST, [[0.0, 0.5, 0.0, 0.0]], 4).ids(0) == ["b", "d", "c", "a"]
    run = rerank(FIRST, [[0.0, 0.5, 0.0, 0.0]], 4, blend=1.0)
    assert run.ids(0) == ["a", "b", "c", "d"]
    assert run.scores[0].tolist() == [4.0, 3.5, 2.0, 1.0]


def test_unscored_stands_below_the_scored_in_old_order() -> None:
    run = rerank(FIRST, [[-INF, -7.0, -INF, 9.0]], depth=3)
    assert run.ids(0) == ["b", "a", "c", "d"]
    assert (np.diff(run.scores[0]) < 0).all()


def test_depth_0_and_an_unscored_head_leave_the_row_untouched() -> None:
    for run in (rerank(FIRST, [[9.0] * 4], 0), rerank(FIRST, [[-INF, -INF, 3.0, 3.0]], 2), rerank(FIRST, [[]], 0)):
        assert run.docs.tolist() == FIRST.docs.tolist()
        assert run.scores.tolist() == FIRST.scores.tolist()


def test_one_depth_a_query() -> None:
    docs, scores = np.array([[0, 1, 2]] * 3, np.int32), np.array([[3.0, 2.0, 1.0]] * 3)
    run = rerank(Run.ranked(["q", "r", "s"], CORPUS, docs, scores), [[1.0, 2.0, 3.0]] * 3, np.array([0, 2, 3]))
    assert [run.ids(row) for row in range(3)] == [["a", "b", "c"], ["b", "a", "c"], ["c", "b", "a"]]


def test_scores_beyond_the_depth_are_not_looked_at() -> None:
    assert rerank(FIRST, [[1.0, 2.0, np.nan, INF]], 2).ids(0) == ["b", "a", "c", "d"]
    assert rerank(FIRST, [[1.0, 2.0]], 2).ids(0) == ["b", "a", "c", "d"]


@pytest.mark.parametrize("bad, what", [(np.nan, "is NaN"), (INF, "too large"), (1e39, "too large")])
def test_bad_score_is_refused_by_name(bad: float, what: str) -> None:
    with pytest.raises(ValueError, match=f"query 'q' and document 'b'.*{what}"):
        rerank(FIRST, np.array([[1.0, bad, 2.0, 3.0]]), 2)


@pytest.mark.parametrize("depth", [-1, np.array([1, 2]), 3])
def test_bad_depth_is_refused(depth: Any) -> None:
    with pytest.raises(ValueError, match="depth"):
        rerank(FIRST, [[1.0, 2.0]], depth)


def test_bad_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        rerank(FIRST, [[1.0] * 5], 1)
    with pytest.raises(ValueError, match="shape"):
        rerank(FIRST, [1.0] * 4, 1)


@given(data=st.data())
def test_rerank_equals_the_slow_definition(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    depths = np.array([data.draw(st.integers(0, case.run.depth + 1)) for _ in case.run.query_ids])
    run = rerank(case.run, case.scores, depths, case.blend)
    for row, query in enumerate(run.query_ids):
        assert run.ids(row) == slow_rerank(case.run, row, case.scores, depths[row], case.blend)
        assert sorted(run.docs[row]) == sorted(case.run.docs[row])
        assert as_ranked(run.as_dict()[query]) == run.ids(row)
    pads = run.docs == -1
    assert not np.isnan(run.scores).any()
    assert (pads == np.isneginf(run.scores)).all()


@given(data=st.data())
def test_depth_1_or_0_is_the_first_stage(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    for depth in (0, 1):
        assert rerank(case.run, case.scores, depth, case.blend).docs.tolist() == case.run.docs.tolist()


@given(data=st.data())
def test_nested_with_ties_equals_trec_eval(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    second = np.array(data.draw(st.permutations(case.scores.ravel().tolist()))).reshape(case.scores.shape)
    depth = data.draw(st.integers(0, case.run.depth))
    once = rerank(case.run, case.scores, depth, case.blend)
    twice = rerank(once, second, data.draw(st.integers(0, depth)), case.blend)
    for run in (case.run, once, twice):
        for row, scores in enumerate(run.as_dict().values()):
            assert trec_ranking(scores) == run.ids(row)


numbers = st.floats(-(2.0**126), 2.0**126, width=32)


@given(numbers, st.integers(1, 3000))
@example(0.0, 5000)
@example(1e-45, 5000)
@example(-1e-45, 5000)
@example(-1.1754944e-38, 5000)
@example(2.0**-60, 5000)
@example(-3.3e38, 5000)
@example(3.4028235e38, 5000)
@example(-1.9999999, 200_000)
@example(1.0, 2_000_000)
def test_tail_falls_strictly_in_float32(lowest: float, columns: int) -> None:
    scores = np.full((1, columns + 1), np.float32(lowest))
    scored = np.arange(columns + 1)[None, :] == 0
    tail = with_tail(scores, scored)
    assert tail.dtype == np.float32
    assert tail[0, 0] == np.float32(lowest)
    assert np.isfinite(tail).all()
    assert (np.diff(tail[0]) < 0).all()


def test_tail_off_the_end_of_float32_is_refused() -> None:
    scores = np.array([[np.finfo(np.float32).min, 0.0]], np.float32)
    with pytest.raises(ValueError, match="give -inf"):
        with_tail(scores, np.array([[True, False]]))


def test_weighted_sum_and_blend_by_hand() -> None:
    a, b = np.array([[1.0, 2.0, -INF]]), np.array([[10.0, -INF, -INF]])
    assert weighted_sum([a, b], [2.0, 0.5]).tolist() == [[7.0, -INF, -INF]]
    assert weighted_sum([a, b], [2.0, -0.5]).tolist() == [[-3.0, -INF, -INF]]
    assert weighted_sum([a, b], [2.0, 0.0]).tolist() == [[2.0, 4.0, -INF]]
    assert blended(a, b, 0.0).tolist() == a.tolist()
    assert blended(a, b, -1.0).tolist() == [[-9.0, -INF, -INF]]
    assert blended(a, b, 0.3).dtype == np.float32
    assert np.isnan(weighted_sum([np.array([np.nan]), np.array([-INF])], [1.0, 1.0])).all()
    with pytest.raises(ValueError, match="2 members"):
        weighted_sum([a, b], [1.0])
