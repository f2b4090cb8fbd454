from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.run import Run

CORPUS = Corpus.of(["b", "a", "c", "10", "9"], ["text"] * 5)
B, A, C, TEN, NINE = range(5)


def one(docs: list[int], scores: list[float]) -> Run:
    return Run.ranked(["q"], CORPUS, np.array([docs], np.int32), np.array([scores]))


def test_score_descends_then_id_descends() -> None:
    assert one([A, B, C, TEN, NINE], [1, 1, 2, 1, 1]).ids(0) == ["c", "b", "a", "9", "10"]


def test_pads_come_last_even_below_minus_infinity() -> None:
    run = one([-1, A, B, -1], [9.0, -np.inf, -5.0, np.nan])
    assert run.docs.tolist() == [[B, A, -1, -1]]
    assert run.scores.tolist() == [[-5.0, -np.inf, -np.inf, -np.inf]]
    assert run.lengths.tolist() == [2]


def test_scores_equal_in_float32_tie() -> None:
    assert one([A, B], [1.0 + 1e-12, 1.0]).ids(0) == ["b", "a"]
    assert one([A, B], [0.0, -0.0]).ids(0) == ["b", "a"]


def test_nan_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="query 'q' and document 'c' is NaN"):
        one([A, C], [1.0, np.nan])


def test_a_document_stands_once() -> None:
    with pytest.raises(ValueError, match="'c' stands twice in the list of query 'q'"):
        one([C, A, C], [1.0, 2.0, 3.0])


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Run(("q",), CORPUS, np.zeros((1, 2), np.int32), np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match="one shape"):
        Run(("q", "r"), CORPUS, np.zeros((1, 2), np.int32), np.zeros((1, 2), np.float32))


def test_cut_rows_widened() -> None:
    docs, scores = np.array([[A, B], [C, -1]], np.int32), np.array([[2, 1], [3, 0]], np.float32)
    run = Run.ranked(["q", "r"], CORPUS, docs, scores)
    assert run.cut(1).as_dict() == {"q": {"a": 2.0}, "r": {"c": 3.0}}
    assert run.rows(np.array([1, 0])).query_ids == ("r", "q")
    assert run.rows(slice(1, 2)).ids(0) == ["c"]
    wide = run.widened(4)
    assert wide.depth == 4
    assert wide.as_dict() == run.as_dict()
    assert run.widened(1) is run


def test_a_query_that_found_nothing_is_kept() -> None:
    assert Run.empty(["q", "r"], CORPUS, 3).as_dict() == {"q": {}, "r": {}}
    assert Run.empty(["q"], CORPUS).depth == 0


def test_identical_ids_are_taken_out_and_the_rest_moves_up() -> None:
    docs, scores = np.array([[C, A, B]] * 2, np.int32), np.array([[3, 2, 1]] * 2, np.float32)
    run = Run.ranked(["a", "unknown"], CORPUS, docs, scores).without_identical_ids()
    assert run.as_dict() == {"a": {"c": 3.0, "b": 1.0}, "unknown": {"c": 3.0, "a": 2.0, "b": 1.0}}
    assert run.docs[0].tolist() == [C, B, -1]
    assert run.scores[0, 2] == -np.inf


@given(st.permutations(range(5)), st.lists(st.sampled_from([0.0, 1.0, 2.0]), min_size=5, max_size=5))
def test_ranked_is_python_sorting_by_score_and_id(docs: list[int], scores: list[float]) -> None:
    slow = sorted(zip(scores, [CORPUS.id_of(doc) for doc in docs], strict=True), reverse=True)
    assert one(docs, scores).ids(0) == [doc for _, doc in slow]
