from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.values.pareto import front

POINTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=25)


@given(POINTS)
def test_exactly_the_points_that_no_other_beats(points: list[tuple[int, int]]) -> None:
    found = front([cost for cost, _ in points], [quality for _, quality in points])
    beaten = {
        row
        for row, (cost, quality) in enumerate(points)
        for c, q in points
        if c <= cost and q >= quality and (c, q) != (cost, quality)
    }
    on_front = [row for row in range(len(points)) if row not in beaten]
    first_of_equals = [row for row in on_front if points.index(points[row]) == row]
    assert found == sorted(first_of_equals, key=lambda row: points[row])


def test_by_hand() -> None:
    assert front([5, 1, 3, 3, 9], [0.5, 0.2, 0.4, 0.3, 0.5]) == [1, 2, 0]
    assert front([], []) == []
    assert front([1.0], [0.0]) == [0]


@pytest.mark.parametrize(("costs", "qualities"), [([1], [1, 2]), ([float("nan")], [1]), ([1], [float("nan")])])
def test_what_is_no_point(costs: list[float], qualities: list[float]) -> None:
    with pytest.raises(ValueError, match=r"one cost a quality|NaN"):
        front(costs, qualities)
