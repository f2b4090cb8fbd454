from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.stages.exact import at_least_kth, best

INF = np.inf
CORPUS = Corpus.of(["d2", "d10", "d1", "D3", "é", "z", "𝒶", "ﬁ", "a"], ["text"] * 9)


def slow_best(scores: np.ndarray, k: int) -> list[tuple[str, float]]:
    """The definition: everything scored, sorted by score and id, cut."""
    scored = [(CORPUS.id_of(row), float(score)) for row, score in enumerate(scores) if score != -INF]
    return sorted(scored, key=lambda pair: (pair[1], pair[0]), reverse=True)[:k]


@given(st.data())
def test_best_equals_a_slow_loop_whatever_the_blocks(data: st.DataObject) -> None:
    levels = st.lists(st.sampled_from([-INF, -1.0, -0.0, 0.0, 0.1, 2.0]), min_size=9, max_size=9)
    scores = np.array([data.draw(levels) for _ in range(data.draw(st.integers(1, 3)))], np.float32)
    k = data.draw(st.integers(1, 11))
    cuts = sorted(data.draw(st.sets(st.integers(1, 8), max_size=3)))
    bounds = list(zip([0, *cuts], [*cuts, 9], strict=True))
    queries = [f"q{row}" for row in range(len(scores))]
    run = best(queries, CORPUS, [(first, scores[:, first:last]) for first, last in bounds], k)
    assert run.depth <= k
    for row in range(len(scores)):
        expected = slow_best(scores[row], k)
        assert run.ids(row) == [doc for doc, _ in expected]
        assert run.scores[row, : len(expected)].tolist() == [score for _, score in expected]


def test_a_tie_at_the_cut_is_kept_whole_until_ids_decide() -> None:
    assert at_least_kth(np.float32([[1, 1, 1, 2]]), 2).tolist() == [[0, 1, 2, 3]]
    run = best(["q"], CORPUS, [(0, np.ones((1, 9), np.float32))], 2)
    assert run.ids(0) == ["𝒶", "ﬁ"]


def test_no_blocks_find_nothing() -> None:
    assert best(["q", "p"], CORPUS, [], 3).as_dict() == {"q": {}, "p": {}}


def test_nan_is_named_even_where_it_would_be_cut() -> None:
    scores = np.float32([[5, 4, 3, 2, 1, 0, 0, 0, np.nan]])
    with pytest.raises(ValueError, match="query 'q' and document 'a' is NaN"):
        best(["q"], CORPUS, [(0, scores)], 1)
