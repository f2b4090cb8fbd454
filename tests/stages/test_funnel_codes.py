"""Codes of vectors: bits, 8-bit products, and the best of all documents."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.stages import int8_products, sign_bits
from mteb_cascade.stages.int8_products import by_floats
from mteb_cascade.stages.shortlist import Scored, best_of, shortlisted
from mteb_cascade.stages.sign_bits import SignQueries, SignScorer, planes_of


def bits_by_word(vectors: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(sign_bits.sign_bits(vectors).T)


def test_a_bit_is_set_above_0() -> None:
    vectors = np.zeros((2, 70), np.float32)
    vectors[0, [0, 2, 64]], vectors[1, 69] = 1, 1e-30
    vectors[1, 3] = -1
    assert sign_bits.sign_bits(vectors).tolist() == [[5, 1], [0, 32]]


@pytest.mark.parametrize("width", [1, 63, 64, 65, 130])
def test_agreeing_signs_are_counted(width: int) -> None:
    rng = np.random.default_rng(width)
    queries, vectors = (rng.normal(size=(rows, width)).astype(np.float32) for rows in (3, 50))
    planes = bits_by_word(np.hstack([vectors, rng.normal(size=(50, 70)).astype(np.float32)]))
    asked = SignQueries.of(queries, sized=False)
    for row, query in enumerate(queries):
        agreeing = ((query > 0) == (vectors > 0)).sum(axis=1)
        assert SignScorer(asked).scores(row, planes).tolist() == agreeing.tolist()


def test_sizes_of_a_query_are_whole_numbers_up_to_255() -> None:
    query = np.float32([[1.0, -0.5, 0.001, 0.0]])
    vectors = np.float32([[1, 1, 1, 1], [1, -1, -1, -1], [-1, -1, 1, 1]])
    asked = SignQueries.of(query, sized=True)
    assert SignScorer(asked).scores(0, bits_by_word(vectors)).tolist() == [255, 255 + 128, 128]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 7))
def test_planes_are_the_bits_turned(sizes: list[int], rows: int) -> None:
    bits = np.random.default_rng(0).integers(0, 2**63, (sum(sizes), 3), dtype=np.uint64)
    starts = np.cumsum([0, *sizes]).tolist()
    blocks = [(start, bits[start : start + size]) for start, size in zip(starts, sizes, strict=False)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sign_bits, "PLANE_ROWS", rows)
        planes = list(planes_of(blocks))
    assert [first for first, _ in planes] == list(range(0, sum(sizes), rows))
    np.testing.assert_array_equal(np.hstack([plane for _, plane in planes]).T, bits)


@pytest.mark.parametrize("dimensions", [1, 64, 1_500])
def test_products_of_8_bit_numbers_are_exact(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    left, right = (rng.integers(-127, 128, (rows, dimensions), dtype=np.int8) for rows in (3, 40))
    left[0], right[0], right[1] = 127, 127, -127
    expected = left.astype(np.int64) @ right.astype(np.int64).T
    for products in (int8_products.int8_products(left, right), by_floats(left, right)):
        assert products.dtype == np.int32
        np.testing.assert_array_equal(products, expected)


def slow_best(scores: list[int], tie: np.ndarray, keep: int) -> set[int]:
    return set(sorted(range(len(scores)), key=lambda doc: (scores[doc], tie[doc]), reverse=True)[:keep])


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_the_best_of_all_documents(scores: list[int], keep: int, seed: int) -> None:
    """Whatever the blocks, their order, and the threads that share them; ties decide at the cut."""
    rng = np.random.default_rng(seed)
    tie = rng.permutation(len(scores)).astype(np.int32)
    values = np.array(scores, np.uint16)
    cuts = np.unique(rng.integers(0, len(scores), 8)).tolist()
    blocks = [(first, values[first:last]) for first, last in zip([0, *cuts], [*cuts, len(scores)], strict=True)]
    rng.shuffle(blocks)

    def scorer() -> Scored:
        return lambda block: iter([block, (block[0], 4 - block[1])])

    for threads in (1, 3):
        best, worst = shortlisted(blocks, scorer, 2, keep, tie, threads=threads)
        assert set(best.tolist()) == slow_best(scores, tie, keep)
        assert set(worst.tolist()) == slow_best([4 - score for score in scores], tie, keep)
        assert len(best) == min(keep, len(scores))
    rough = shortlisted(blocks, lambda: lambda block: iter([block]), 1, keep, tie, slack=[1.0])[0]
    least = sorted(scores, reverse=True)[:keep][-1]
    assert set(rough.tolist()) == {doc for doc, score in enumerate(scores) if score >= least - 1}


def test_a_cut_through_equal_scores_is_made_by_id() -> None:
    tie = np.array([5, 1, 4, 2, 3, 0], np.int32)
    docs = np.array([0, 1, 2, 3], np.int32)
    assert sorted(docs[best_of(np.array([1, 1, 1, 2]), docs, 2, tie)].tolist()) == [0, 3]
    assert best_of(np.array([], np.int64), docs[:0], 2, tie).tolist() == []
