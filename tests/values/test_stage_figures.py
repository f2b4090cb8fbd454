from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.curves import OUTCOMES, outcomes, outcomes_of
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run
from mteb_cascade.values.stage_figures import MEASURES, stage_figures

CORPUS = Corpus.of(["a", "b", "c", "q3"], ["text"] * 4)


def lists(*orders: str) -> Run:
    """One query a list of the letters a, b, c and s (whose id is q3), best first."""
    docs = np.array([["abcs".index(letter) for letter in order] for order in orders], np.int32)
    ids = tuple(f"q{row}" for row in range(len(orders)))
    return Run.ranked(ids, CORPUS, docs, np.repeat([np.arange(docs.shape[1], 0, -1.0)], len(docs), 0))


def test_by_hand():
    before = lists("abc", "abc", "abc", "sab", "abc")
    after = lists("bac", "bac", "abc", "sba", "abc")
    # At depth 2: b comes up (recovered), a goes down (broken), c is out of reach, then kept and missed.
    qrels = Qrels({"q0": {"b": 1}, "q1": {"a": 1}, "q2": {"c": 1}, "q3": {"b": 2, "a": 1}, "q4": {"a": 1}})
    first, second = stage_figures([before, after], [2], qrels)
    assert second["rank_1"] == {"unreachable": 1, "missed": 1, "kept": 1, "recovered": 1, "broken": 1}
    assert second["depth"] == 2 and "rank_1" not in first
    assert first["pool_recall"] == 1
    assert second["pool_recall"] == pytest.approx((1 + 1 + 0 + 0.5 + 1) / 5)
    assert first["success@1"] == pytest.approx(2 / 5)
    assert second["success@1"] == pytest.approx(2 / 5)
    assert second["recall@1"] == pytest.approx(2 / 5)


def test_identical_ids_are_taken_out_after_ranking():
    before, after = lists("abc", "abc", "abc", "sab"), lists("abc", "abc", "abc", "sba")
    qrels = Qrels({"q3": {"b": 1}})
    _, second = stage_figures([before, after], [3], qrels, ignore_identical_ids=True)
    # Without itself q3 saw a, b and now sees b, a.
    assert second["rank_1"] == {"unreachable": 3, "missed": 0, "kept": 0, "recovered": 1, "broken": 0}
    assert second["success@1"] == pytest.approx(1 / 4)
    _, as_it_is = stage_figures([before, after], [3], qrels)
    assert as_it_is["rank_1"]["missed"] == 1


def test_a_first_stage_that_found_nothing():
    empty = Run.empty(("q0", "q1"), CORPUS)
    first, second = stage_figures([empty, empty], [5], Qrels({"q0": {"a": 1}}))
    assert first["pool_recall"] == 0
    assert second["rank_1"] == {"unreachable": 2, "missed": 0, "kept": 0, "recovered": 0, "broken": 0}


@given(data=st.data())
def test_a_reranking_that_took_place_is_one_depth_of_the_curve(
    any_case: st.SearchStrategy[Any], data: st.DataObject
) -> None:
    case = data.draw(any_case)
    depth = data.draw(st.integers(1, case.run.depth))
    after = rerank(case.run, case.scores, depth, case.blend)
    curve = outcomes(case.run, case.scores, case.qrels, case.blend)
    assert outcomes_of(case.run, after, depth, case.qrels).tolist() == curve[:, depth - 1].tolist()
    found = stage_figures([case.run, after], [depth], case.qrels)[1]
    assert sum(found["rank_1"].values()) == len(case.run.query_ids)
    assert list(found["rank_1"]) == list(OUTCOMES)
    for name, values in evaluate(after, case.qrels, MEASURES).items():
        assert found[name] == float(mean(values))
