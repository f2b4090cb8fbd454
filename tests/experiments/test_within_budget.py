from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.experiments.within_budget import Choice, best_first, confirmed, frontier, within_budget


def choice(depth: int, quality: float, latency: float, blend: float = 0.0) -> Choice:
    return Choice((depth,), (blend,), quality, latency)


RISING = [choice(1, 0.2, 10), choice(10, 0.3, 20), choice(50, 0.5, 60), choice(100, 0.4, 110)]


def test_the_best_that_the_budget_allows() -> None:
    assert [one.depths[0] for one in within_budget(RISING, 60)] == [50, 10, 1]
    assert [one.depths[0] for one in within_budget(RISING, 59.9)] == [10, 1]
    assert [one.depths[0] for one in within_budget(RISING, 1000)] == [50, 100, 10, 1]
    assert within_budget(RISING, 9) == []


def test_of_equally_good_ones_the_shallowest_then_the_least_blended() -> None:
    equal = [choice(20, 0.5, 5, 1.0), choice(10, 0.5, 4, 2.0), choice(10, 0.5, 4, 1.0), choice(5, 0.4, 3)]
    assert [(one.depths[0], one.blends[0]) for one in best_first(equal)] == [(10, 1.0), (10, 2.0), (20, 1.0), (5, 0.0)]
    # The last step costs most, so it counts first.
    longer = [Choice((50, 20), (0, 0), 0.5, 1), Choice((100, 10), (0, 0), 0.5, 1)]
    assert best_first(longer)[0].depths == (100, 10)


def test_what_is_slower_than_expected_is_stepped_down() -> None:
    asked = []

    def measure(one: Choice) -> float:
        asked.append(one.depths[0])
        return one.latency * 2

    found, broken = confirmed(RISING, 60, measure)
    assert asked == [50, 10]
    assert (found.depths, found.latency, found.is_measured) == ((10,), 40, True)
    assert [(one.depths[0], one.latency) for one in broken] == [(50, 120)]


def test_a_deeper_choice_is_not_timed_once_a_shallower_one_broke_the_budget() -> None:
    asked = []

    def measure(one: Choice) -> float:
        asked.append((one.depths[0], one.blends[0]))
        return 1000.0

    # 20 is worth most; 30 is worth more than 10, but deeper than what broke the budget already.
    choices = [choice(20, 0.9, 2), choice(20, 0.8, 2, 1.0), choice(30, 0.7, 3), choice(10, 0.5, 1)]
    assert confirmed(choices, 50, measure) == (
        None,
        [Choice((20,), (0.0,), 0.9, 1000, True), Choice((10,), (0.0,), 0.5, 1000, True)],
    )
    assert asked == [(20, 0.0), (10, 0.0)]


def test_a_choice_shallower_in_one_step_is_still_looked_at() -> None:
    choices = [Choice((50, 20), (0, 0), 0.9, 5), Choice((100, 10), (0, 0), 0.8, 5), Choice((50, 50), (0, 0), 0.7, 5)]
    found, broken = confirmed(choices, 10, lambda one: 11.0 if one.depths == (50, 20) else 9.0)
    assert found.depths == (100, 10)
    assert [one.depths for one in broken] == [(50, 20)]


def test_nothing_within_the_budget_is_nothing_to_time() -> None:
    assert confirmed(RISING, 5, lambda one: pytest.fail("timed")) == (None, [])


def test_the_front_by_hand() -> None:
    points = [*RISING, choice(50, 0.5, 60, blend=4.0), choice(20, 0.25, 30)]
    assert [(one.depths[0], one.blends[0]) for one in frontier(points)] == [(1, 0.0), (10, 0.0), (50, 0.0)]


CHOICES = st.lists(
    st.builds(choice, st.integers(1, 9), st.integers(0, 5).map(float), st.integers(1, 20).map(float)), max_size=20
)


@given(CHOICES, st.integers(1, 20))
def test_the_choice_is_the_last_of_the_front_within_the_budget(choices: list[Choice], budget: int) -> None:
    found, broken = confirmed(choices, budget, lambda one: one.latency)
    allowed = [one for one in frontier(choices) if one.latency <= budget]
    assert broken == []
    assert (found is None) == (not allowed)
    if found is not None:
        assert found.quality == allowed[-1].quality
