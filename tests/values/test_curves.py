from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values import curves as module
from mteb_cascade.values.curves import OUTCOMES, curves, oracle_scores, outcomes, pool_recall
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.measures import evaluate
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

CUTOFFS = {"success": (1, 2), "recall": (1, 3), "mrr": (2, 10), "ndcg": (2, 10), "judged": (1, 3)}
NAMES = tuple(f"{kind}@{cutoff}" for kind, cutoffs in CUTOFFS.items() for cutoff in cutoffs)
CORPUS = Corpus.of(["a", "b", "c", "d"], ["text"] * 4)


def run_of(rows: int = 1) -> Run:
    docs, scores = np.array([[0, 1, 2, 3]] * rows, np.int32), np.array([[4.0, 3.0, 2.0, 1.0]] * rows)
    return Run.ranked([f"q{row}" for row in range(rows)], CORPUS, docs, scores)


def test_by_hand() -> None:
    # d is relevant, stands at rank 4 and is beaten by b alone, once it is looked at.
    got = curves(run_of(), [[0.0, 9.0, 1.0, 5.0]], Qrels({"q0": {"d": 1, "outside": 1}}), ("mrr@10", "recall@3"))
    assert got["mrr@10"].tolist() == [[0.25, 0.25, 0.25, 0.5]]
    assert got["recall@3"].tolist() == [[0, 0, 0, 0.5]]
    assert got["mrr@10"].dtype == np.float32


@given(data=st.data())
def test_every_depth_equals_reranking_to_it(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    columns = data.draw(st.integers(0, case.run.depth))
    scores = case.scores[:, :columns]
    got = curves(case.run, scores, case.qrels, NAMES, case.blend)
    assert {value.shape for value in got.values()} == {scores.shape}
    judged = {query: dict(grades) for query, grades in case.qrels.grades.items()}
    trec_eval = pytrec_eval.RelevanceEvaluator(judged, {"ndcg_cut_2"})
    for depth in range(1, columns + 1):
        run = rerank(case.run, scores, depth, case.blend)
        for name, slow in evaluate(run, case.qrels, NAMES).items():
            np.testing.assert_allclose(got[name][:, depth - 1], slow, atol=1e-6, err_msg=f"{name} at {depth}")
        slow_ndcg = trec_eval.evaluate(run.as_dict())
        for row, query in enumerate(run.query_ids):
            slow_value = slow_ndcg.get(query, {}).get("ndcg_cut_2", 0)
            assert np.nan_to_num(got["ndcg@2"][row, depth - 1]) == pytest.approx(slow_value, abs=1e-6)


@given(data=st.data())
def test_first_column_is_the_received_ranking(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    got = curves(case.run, case.scores, case.qrels, NAMES, case.blend)
    for name, slow in evaluate(case.run, case.qrels, NAMES).items():
        np.testing.assert_allclose(got[name][:, 0], slow, atol=1e-6)


@given(data=st.data())
def test_no_reranker_passes_the_oracle(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    names = [name for name in NAMES if not name.startswith("judged")]
    got = curves(case.run, case.scores, case.qrels, names, case.blend)
    ceiling = curves(case.run, oracle_scores(case.run, case.qrels), case.qrels, names)
    for name in names:
        np.testing.assert_array_equal(np.isnan(got[name]), np.isnan(ceiling[name]))
        assert (np.nan_to_num(got[name]) <= np.nan_to_num(ceiling[name]) + 1e-6).all()
        assert (np.diff(np.nan_to_num(ceiling[name]), axis=1) >= -1e-6).all()


@given(data=st.data())
def test_small_blocks_give_the_same(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    whole = curves(case.run, case.scores, case.qrels, NAMES, case.blend)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", 1)
        one_by_one = curves(case.run, case.scores, case.qrels, NAMES, case.blend)
    for name in NAMES:
        np.testing.assert_allclose(one_by_one[name], whole[name], atol=1e-6)


def test_outcomes_by_hand() -> None:
    grades = {"q0": {"a": 1}, "q1": {"a": 1}, "q2": {"b": 1}, "q3": {"c": 1}, "q4": {"outside": 1}, "q5": {"a": 0}}
    scores = np.array([[9, 1, 1, 1], [0, 1, 2, 3], [1, 2, 0, 3], [1, 2, 0, 3], [1, 2, 3, 4], [9, 1, 1, 1]])
    named = np.array(OUTCOMES)[outcomes(run_of(6), scores, Qrels(grades))]
    assert named.tolist() == [
        ["kept"] * 4,
        ["kept", "broken", "broken", "broken"],
        ["unreachable", "recovered", "recovered", "missed"],
        ["unreachable", "unreachable", "missed", "missed"],
        ["unreachable"] * 4,
        ["unreachable"] * 4,
    ]


@given(data=st.data())
def test_outcomes_sum_to_all_and_agree_with_success(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    columns = data.draw(st.integers(1, case.run.depth))
    got = outcomes(case.run, case.scores[:, :columns], case.qrels, case.blend)
    counts = np.array([(got == number).sum(axis=0) for number in range(5)])
    assert (counts.sum(axis=0) == len(case.run.query_ids)).all()
    relevant = [{d for d, g in case.qrels.of(q).items() if g >= case.qrels.relevance_level} for q in case.run.query_ids]
    for depth in range(1, columns + 1):
        after = rerank(case.run, case.scores, depth, case.blend)
        for row, wanted in enumerate(relevant):
            was, now = bool(wanted & {*case.run.ids(row)[:1]}), bool(wanted & {*after.ids(row)[:1]})
            there = bool(wanted & {*case.run.ids(row)[:depth]})
            slow = {(0, 0): "missed", (1, 1): "kept", (0, 1): "recovered", (1, 0): "broken"}[was, now]
            assert OUTCOMES[got[row, depth - 1]] == (slow if there else "unreachable")


@given(data=st.data())
def test_pool_recall_is_recall_of_the_cut(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    got = pool_recall(case.run, case.qrels)
    for depth in range(1, case.run.depth + 1):
        slow = evaluate(case.run.cut(depth), case.qrels, ["recall@100"])["recall@100"]
        np.testing.assert_allclose(got[:, depth - 1], slow, atol=1e-6)


def test_nan_is_refused_by_name_and_one_name_counts_once() -> None:
    with pytest.raises(ValueError, match="query 'q0' and document 'c' is NaN"):
        curves(run_of(), [[0.0, 1.0, np.nan, 2.0]], Qrels({}))
    assert list(curves(run_of(), [[0.0] * 4], Qrels({}), ["mrr@1", "mrr@1"])) == ["mrr@1"]
