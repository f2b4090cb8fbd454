from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.values import resampling as module
from mteb_cascade.values.statistics import (
    as_good_as_best,
    holm,
    interval,
    paired_bootstrap,
    randomisation_test,
    upper_bounds,
)

RNG = np.random.default_rng(7)
A, B = RNG.normal(0.3, 1, 60), RNG.normal(0, 1, 60)
CLUSTERS = [f"c{int(number**0.5)}" for number in range(60)]  # of 1, 3, 5, ... queries


def slow_bootstrap(a: np.ndarray, b: np.ndarray, clusters: list[str], resamples: int) -> np.ndarray:
    rng, names = np.random.default_rng(1), sorted(set(clusters))
    members = {name: [row for row, cluster in enumerate(clusters) if cluster == name] for name in names}
    means = []
    for _ in range(resamples):
        rows = [row for name in rng.choice(names, len(names)) for row in members[name]]
        means.append((a[rows] - b[rows]).mean())
    return np.array(means)


@pytest.mark.parametrize("clusters", [None, CLUSTERS])
def test_bootstrap_equals_a_slow_loop(clusters: list[str] | None) -> None:
    slow = slow_bootstrap(A, B, clusters or [f"{row:02}" for row in range(60)], 4000)
    got = paired_bootstrap(A, B, clusters, resamples=40_000)
    observed = (A - B).mean()
    assert got.difference == pytest.approx(observed)
    assert (got.low, got.high) == pytest.approx(np.quantile(slow, [0.025, 0.975]), abs=0.03)
    assert got.p_value == pytest.approx((np.abs(slow - observed) >= abs(observed)).mean(), abs=0.02)


def test_bootstrap_equals_scipy() -> None:
    got = paired_bootstrap(A, B, resamples=20_000)
    theirs = scipy.stats.bootstrap((A - B,), np.mean, n_resamples=20_000, method="percentile", rng=3)
    assert (got.low, got.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.015)


def test_interval_treats_each_column_by_itself() -> None:
    low, high = interval(np.stack([A, B], axis=1), resamples=500)
    for column, values in enumerate((A, B)):
        assert interval(values, resamples=500) == (pytest.approx(low[column]), pytest.approx(high[column]))
    assert (low < [A.mean(), B.mean()]).all() and (high > [A.mean(), B.mean()]).all()


def test_randomisation_is_exact_on_few_queries() -> None:
    a, b = A[:9], B[:9]
    theirs = scipy.stats.permutation_test(
        (a, b), lambda x, y, axis: np.mean(x - y, axis=axis), permutation_type="samples", n_resamples=np.inf
    )
    assert randomisation_test(a, b) == pytest.approx(theirs.pvalue)


def test_randomisation_by_sampling_is_near_the_exact() -> None:
    a, b = A[:12], B[:12]
    exact = randomisation_test(a, b, resamples=2**12)
    assert exact == randomisation_test(a, b, resamples=2**12, seed=5)
    assert randomisation_test(a, b, resamples=2**12 - 1) == pytest.approx(exact, abs=0.03)


def test_randomisation_flips_whole_clusters() -> None:
    # Two clusters: of four patterns of signs, two lie as far out as the observed one.
    assert randomisation_test([1, 1, 1, 1, 1, 1], [0] * 6, ["x", "x", "x", "y", "y", "y"]) == 0.5
    assert randomisation_test([1, 1, 1, 1, 1, 1], [0] * 6) == 2 / 64


def test_randomisation_counts_ties_up_to_rounding() -> None:
    # All flipped lies as far out as none flipped, but its sum differs in the last bit.
    assert randomisation_test([0.1, 0.1, 0.1, 0.4], [0] * 4) == 2 / 16
    assert randomisation_test([0.1, 0.2, -0.3], [0] * 3) == 1


def test_no_difference() -> None:
    got = paired_bootstrap(A, A)
    assert (got.difference, got.low, got.high, got.p_value) == (0, 0, 0, 1)
    assert randomisation_test(A, A) == 1


def test_a_query_without_positives_counts_as_zero() -> None:
    a, b = np.append(A, np.nan), np.append(B, np.nan)
    assert paired_bootstrap(a, b).difference == pytest.approx((A - B).sum() / 61)
    with pytest.raises(ValueError, match="query 60 is NaN in one"):
        paired_bootstrap(a, np.append(B, 0.0))


def test_seed_decides_and_blocks_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert paired_bootstrap(A, B, resamples=99, seed=1) != paired_bootstrap(A, B, resamples=99, seed=2)
    before = paired_bootstrap(A, B, resamples=99), randomisation_test(A, B, resamples=99)
    monkeypatch.setattr(module, "BLOCK", 60 * 8)
    after = paired_bootstrap(A, B, resamples=99), randomisation_test(A, B, resamples=99)
    assert before[0].low == pytest.approx(after[0].low) and before[1] == after[1]


@pytest.mark.parametrize("p", [0.5, 0.05])
def test_p_values_are_uniform_where_there_is_no_difference(p: float) -> None:
    rng = np.random.default_rng(11)
    pairs = [(rng.normal(size=40), rng.normal(size=40)) for _ in range(300)]
    for test in (randomisation_test, lambda a, b, **kwargs: paired_bootstrap(a, b, **kwargs).p_value):
        below = np.mean([test(a, b, resamples=400) <= p for a, b in pairs])
        assert below == pytest.approx(p, abs=0.08)


def test_holm_against_known_tables() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm"), and the example of Holm's own step-down by hand.
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]).tolist() == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])
    assert holm([0.03, 0.001, 0.6, 0.012]).tolist() == pytest.approx([0.06, 0.004, 0.6, 0.036])
    assert holm([0.9, 0.8]).tolist() == [1.0, 1.0]
    assert holm([]).tolist() == []
    with pytest.raises(ValueError, match=r"0\.\.1"):
        holm([0.5, np.nan])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_rejects_what_the_step_down_rejects(p_values: list[float]) -> None:
    corrected = holm(p_values)
    for level in (0.01, 0.05, 0.2):
        rejected: set[int] = set()
        for step, which in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
            if p_values[which] * (len(p_values) - step) > level:
                break
            rejected.add(which)
        assert set(np.flatnonzero(corrected <= level)) == rejected


def test_bounds_hold_all_together() -> None:
    rng = np.random.default_rng(5)
    true = np.linspace(0, 0.3, 10)
    alone, together = [], []
    for seed in range(300):
        losses = true + rng.normal(size=(80, 10)) * np.linspace(0.1, 2, 10)
        together.append((true <= upper_bounds(losses, resamples=300, seed=seed)).all())
        alone.append((true <= losses.mean(axis=0) + 1.645 * losses.std(axis=0) / np.sqrt(80)).all())
    assert np.mean(together) == pytest.approx(0.95, abs=0.04)
    assert np.mean(alone) < 0.75


def test_bounds_by_a_slow_loop() -> None:
    losses = np.stack([A, B, np.full(60, 0.25)], axis=1)
    rng = np.random.default_rng(2)
    short = losses.mean(axis=0) - np.array([losses[rng.integers(0, 60, 60)].mean(axis=0) for _ in range(4000)])
    error = short[:, :2].std(axis=0)
    wanted = losses.mean(axis=0)[:2] + np.quantile((short[:, :2] / error).max(axis=1), 0.95) * error
    assert upper_bounds(losses).tolist() == pytest.approx([*wanted, 0.25], abs=0.02)


def test_bounds_of_clusters_are_wider_where_clusters_agree() -> None:
    losses = np.repeat(RNG.normal(size=12), 5)[:, None]
    clusters = [f"c{row // 5}" for row in range(60)]
    assert upper_bounds(losses, clusters)[0] > upper_bounds(losses)[0] + 0.1


def answer(losses: dict[int, Any], queries: int, **more: Any) -> str:
    """The verdict when depth 100 is best and each shallower depth loses this mean, with a deviation of .2."""
    rng = np.random.default_rng(3)
    noise = {depth: rng.normal(size=queries) for depth in losses}
    exact = {depth: (value - value.mean()) / value.std() * 0.2 for depth, value in noise.items()}
    columns = [1 - losses[depth] - exact[depth] for depth in losses]
    per_query = np.stack([*columns, np.ones(queries)], axis=1)
    return str(as_good_as_best(per_query, [*losses, 100], 100, **more))


def test_as_good_as_best() -> None:
    assert answer({1: 0.3, 10: 0.05, 50: 0.001}, 3000) == "depth 50"
    assert answer({1: 0.3, 10: 0.0, 50: 0.0}, 3000) == "depth 10"
    assert answer({1: 0.3, 10: 0.1, 50: 0.05}, 3000) == "depth 100 is needed"
    assert answer({1: 0.3, 10: 0.1, 50: 0.0}, 50) == "undecided, too few queries"
    assert answer({1: 0.3, 10: 0.1, 50: 0.0}, 50, margin=0.2) == "depth 10"
    clusters = [f"c{row % 5}" for row in range(3000)]
    assert answer({1: 0.3, 10: 0.1, 50: 0.05}, 3000, clusters=clusters) == "depth 100 is needed"


def test_only_shallower_depths_compete() -> None:
    per_query = np.stack([np.zeros(40), np.ones(40), np.full(40, 2.0)], axis=1)
    assert as_good_as_best(per_query, [1, 5, 9], 5).competitors == (1,)
    assert str(as_good_as_best(per_query, [1, 5, 9], 5)) == "depth 5 is needed"
    assert str(as_good_as_best(per_query, [1, 5, 9], 1)) == "depth 1"
    with pytest.raises(ValueError, match="best 4"):
        as_good_as_best(per_query, [1, 5, 9], 4)


def test_competitors_are_at_most_25_and_log_spaced() -> None:
    found = as_good_as_best(np.zeros((5, 1000)), range(1, 1001), 1000)
    assert len(found.competitors) <= 25
    assert found.competitors[0] == 1 and found.competitors[-1] == 999
    assert set(found.competitors) == set(np.round(np.geomspace(1, 999, 25)).astype(int))
    assert found.depth == 1
    assert as_good_as_best(np.zeros((5, 26)), range(1, 27), 26).competitors == tuple(range(1, 26))


def test_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        paired_bootstrap([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="no query"):
        paired_bootstrap([], [])
    with pytest.raises(ValueError, match="cluster names"):
        paired_bootstrap([1.0], [2.0], ["a", "b"])
