from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.run import CELLS, Run
from mteb_cascade.values.sorting import LAST, best_first, sort_keys

SCORES = (-np.inf, -3e38, -1.0, -1e-45, -0.0, 0.0, 1e-45, 0.1, 3e38, np.inf)


@given(st.lists(st.tuples(st.sampled_from(SCORES), st.integers(-(2**31), 2**31 - 1)), max_size=12))
def test_keys_are_ordered_as_score_and_tie_are(cells: list[tuple[float, int]]) -> None:
    scores, tie = np.array([cell[0] for cell in cells], np.float32), np.array([cell[1] for cell in cells], np.int64)
    keys = sort_keys(scores, tie)
    assert (keys >= LAST).all()
    wanted = np.lexsort((tie, scores))
    assert keys[wanted].tolist() == sorted(keys.tolist())
    for one in range(len(cells)):
        for other in range(len(cells)):
            before = (scores[one], tie[one]) > (scores[other], tie[other])
            assert (keys[one] > keys[other]) == before


def test_best_first_is_each_row_by_falling_key() -> None:
    keys = np.array([[3, LAST, 7, -1], [0, 1, 2, 3]], np.int64)
    assert best_first(keys).tolist() == [[2, 0, 3, 1], [3, 2, 1, 0]]


def test_a_run_sorted_in_parts_is_the_run_sorted_row_by_row() -> None:
    rng = np.random.default_rng(0)
    columns = 300
    queries = 2 * CELLS // columns + 3
    corpus = Corpus.of([f"d{row}" for row in range(1_000)], ["text"] * 1_000)
    docs = ((rng.integers(0, 1_000, (queries, 1)) + np.arange(columns) * 3) % 1_000).astype(np.int32)
    docs[rng.random(docs.shape) < 0.1] = -1
    scores = rng.integers(-2, 3, docs.shape).astype(np.float32)
    ids = [f"q{row}" for row in range(queries)]
    run = Run.ranked(ids, corpus, docs, scores)
    for row in (0, CELLS // columns - 1, CELLS // columns, queries - 1):
        alone = Run.ranked(ids[row : row + 1], corpus, docs[row : row + 1], scores[row : row + 1])
        assert run.docs[row].tolist() == alone.docs[0].tolist()
        assert run.scores[row].tolist() == alone.scores[0].tolist()
        kept = docs[row] >= 0
        slow = sorted(zip(scores[row, kept], corpus.ids_at(docs[row, kept]), strict=True), reverse=True)
        assert run.ids(row) == [doc for _, doc in slow]
