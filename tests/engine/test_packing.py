from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.engine.memory import packed
from mteb_cascade.engine.packing import NARROW, budget_of

LENGTHS = st.lists(st.integers(0, 60), max_size=80)


def packs(lengths: Sequence[int], budget: int) -> list[np.ndarray]:
    """The micro-batches that are run where memory holds them all."""
    return [pack for pack, _ in packed(lambda pack: None, np.asarray(lengths, np.int64), budget, "mine")]


@given(LENGTHS, st.integers(1, 200))
def test_every_text_is_in_one_pack_within_the_budget_longest_first(lengths: list[int], budget: int) -> None:
    found = packs(lengths, budget)
    order = [row for pack in found for row in pack.tolist()]
    assert sorted(order) == list(range(len(lengths)))
    assert [lengths[row] for row in order] == sorted(lengths, reverse=True)
    for pack in found:
        longest = max(lengths[row] for row in pack)
        assert longest * len(pack) <= budget or len(pack) == 1
    for pack, after in pairwise(found):
        # It is full: the first text of the next one would not have fitted.
        assert (len(pack) + 1) * max(1, lengths[pack[0]]) > budget
        assert len(after)


def test_by_hand() -> None:
    assert [pack.tolist() for pack in packs(np.array([3, 9, 2, 4, 2]), 8)] == [[1], [3, 0], [2, 4]]
    assert packs([], 8) == []


def test_equal_lengths_stay_in_their_order() -> None:
    assert np.concatenate(packs([5] * 40, 15)).tolist() == list(range(40))


@pytest.mark.parametrize("device", ["cpu", "cuda:1", "mps"])
def test_a_batch_size_of_one_is_one_at_a_time(device: str) -> None:
    assert [len(pack) for pack in packs([0, 1, 1, 7], budget_of(1, device))] == [1, 1, 1, 1]
    assert budget_of(64, device) == 2 * budget_of(32, device) > budget_of(2, device) > 2


@given(LENGTHS, st.integers(1, 200), st.integers(1, 100))
def test_a_pack_that_is_large_enough_ends_where_texts_get_shorter(lengths: list[int], budget: int, least: int) -> None:
    sizes = np.asarray(lengths, np.int64)
    found = [pack for pack, _ in packed(lambda pack: None, sizes, budget, "mine", least=least)]
    assert sorted(np.concatenate([np.zeros(0, int), *found]).tolist()) == list(range(len(lengths)))
    for pack in found:
        longest, shortest = sizes[pack].max(), sizes[pack].min()
        assert longest * len(pack) <= budget or len(pack) == 1
        # None goes on with shorter texts once it is large enough.
        assert shortest >= NARROW * longest or longest * (len(pack) - 1) < least
    for pack, after in pairwise(found):
        full = (len(pack) + 1) * max(1, sizes[pack].max()) > budget
        assert full or (sizes[pack].max() * len(pack) >= least and sizes[after].max() < NARROW * sizes[pack].max())
