from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.values.shapes import Shape, shape


def noisy(means: list[float], queries: int = 400, deviation: float = 0.5, seed: int = 6) -> np.ndarray:
    """Values [Q, D] of exactly these means, with independent noise."""
    noise = np.random.default_rng(seed).normal(size=(queries, len(means)))
    return np.asarray(means) + deviation * (noise - noise.mean(axis=0))


def named(means: list[float], **options: float) -> str:
    return shape(noisy(means, **options), range(1, len(means) + 1)).shape


def test_the_shapes() -> None:
    assert named([0.1, 0.5, 0.6, 0.6]) == "rises and stays"
    assert named([0.1, 0.5, 0.6, 0.3]) == "rises then falls"
    assert named([0.6, 0.5, 0.3, 0.1]) == "falls"
    assert named([0.5, 0.5, 0.5, 0.5]) == "flat"


def test_a_fall_below_the_first_depth_alone_is_no_rise() -> None:
    # It recovers, but never passes its first value.
    assert named([0.5, 0.1, 0.3, 0.2]) == "falls"
    # It dips below its first value, then passes it and stays.
    assert named([0.3, 0.1, 0.5, 0.5]) == "rises and stays"
    # It rises, and ends below where it began.
    assert named([0.5, 0.8, 0.1]) == "rises then falls"


def test_few_queries_show_less() -> None:
    assert named([0.4, 0.5, 0.45], queries=400, deviation=0.2) == "rises then falls"
    assert named([0.4, 0.5, 0.45], queries=10, deviation=0.5) == "flat"


def test_peak_and_ends() -> None:
    got = shape(noisy([0.2, 0.7, 0.3], deviation=0.1), [5, 10, 20])
    assert got == Shape("rises then falls", 10, 10, 10, *(pytest.approx(value) for value in (0.2, 0.7, 0.3)))
    assert got.as_json()["peak_low"] == 10 and got.as_json()["shape"] == "rises then falls"


def test_the_peak_is_the_shallowest_of_the_best() -> None:
    values = np.zeros((7, 9))
    values[:, 3:] = 0.1
    assert shape(values, range(1, 10)).peak == 4
    # Columns that are equal but for the order in which they are added up.
    values = np.array([[0.8, 0.2], [0.6, 0.3], [0.5, 0.5], [0.2, 0.6], [0.3, 0.8]])
    assert values.mean(axis=0)[0] < values.mean(axis=0)[1]
    assert shape(values, [1, 2]).peak == 1


def test_peak_interval_by_a_slow_loop() -> None:
    means = [0.1, 0.3, 0.36, 0.4, 0.36, 0.3, 0.1]
    values = noisy(means, queries=60)
    rng = np.random.default_rng(5)
    peaks = [values[rng.integers(0, 60, 60)].mean(axis=0).argmax() + 1 for _ in range(4000)]
    wanted = np.quantile(peaks, [0.025, 0.975], method="inverted_cdf").tolist()
    got = shape(values, range(1, 8), resamples=4000)
    assert [got.peak_low, got.peak_high] == wanted
    assert got.peak_low < got.peak == 4 < got.peak_high


def test_flat_curves_are_rarely_given_another_shape() -> None:
    rng = np.random.default_rng(12)
    told = [shape(rng.normal(size=(60, 12)), range(1, 13), resamples=300, seed=seed).shape for seed in range(300)]
    assert np.mean([one != "flat" for one in told]) == pytest.approx(0.05, abs=0.035)


def test_clusters_are_what_is_counted() -> None:
    values = np.repeat(noisy([0.2, 0.6], queries=12, deviation=0.5), 30, axis=0)
    assert shape(values, [1, 2]).shape == "rises and stays"
    few = [f"c{row // 120}" for row in range(360)]
    assert shape(values, [1, 2], few).shape == "flat"


def test_four_agreeing_queries_show_nothing_and_five_do() -> None:
    assert shape([[0.0, 1.0]] * 4, [1, 2]).shape == "flat"
    assert shape([[0.0, 1.0]] * 5, [1, 2]).shape == "rises and stays"


@given(queries=st.integers(1, 3), depths=st.integers(1, 4), value=st.sampled_from([0.0, 0.3, np.nan]))
def test_constant_curves_are_flat(queries: int, depths: int, value: float) -> None:
    got = shape(np.full((queries, depths), value), range(1, depths + 1), resamples=20)
    mean = pytest.approx(0 if np.isnan(value) else value)
    assert got == Shape("flat", 1, 1, 1, mean, mean, mean)


def test_one_column_a_depth() -> None:
    with pytest.raises(ValueError, match="each of 3 depths"):
        shape(np.zeros((2, 2)), [1, 2, 3])
    with pytest.raises(ValueError, match="each of 0 depths"):
        shape(np.zeros((2, 0)), [])
