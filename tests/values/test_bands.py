from __future__ import annotations

import numpy as np
import pytest

from mteb_cascade.values.bands import bands


def curve_of(rng: np.random.Generator, queries: int, depths: int) -> np.ndarray:
    """Values that differ from query to query and, correlated, from depth to depth."""
    return rng.normal(size=(queries, 1)) + rng.normal(size=(queries, depths)) * np.linspace(0.5, 3, depths)


def test_bands_hold_at_all_depths_together() -> None:
    rng = np.random.default_rng(8)
    together, apart = [], []
    for seed in range(300):
        values = curve_of(rng, 80, 10)
        low, high = bands(values, resamples=300, seed=seed)
        together.append(((low <= 0) & (high >= 0)).all())
        apart.append((np.abs(values.mean(axis=0)) <= 1.96 * values.std(axis=0) / np.sqrt(80)).all())
    assert np.mean(together) == pytest.approx(0.95, abs=0.035)
    assert np.mean(apart) < 0.8


def test_by_a_slow_loop() -> None:
    values = np.hstack([curve_of(np.random.default_rng(9), 50, 3), np.full((50, 1), 0.25)])
    rng = np.random.default_rng(2)
    off = np.array([values[rng.integers(0, 50, 50)].mean(axis=0) for _ in range(6000)])[:, :3] - values.mean(0)[:3]
    error = off.std(axis=0)
    width = np.quantile(np.abs(off / error).max(axis=1), 0.9) * error
    low, high = bands(values, level=0.9, resamples=6000)
    assert low.tolist() == pytest.approx([*(values.mean(0)[:3] - width), 0.25], abs=0.03)
    assert high.tolist() == pytest.approx([*(values.mean(0)[:3] + width), 0.25], abs=0.03)


def test_clusters_that_agree_make_wider_bands() -> None:
    values = np.repeat(np.random.default_rng(4).normal(size=(12, 3)), 5, axis=0)
    clusters = [f"c{row // 5}" for row in range(60)]
    assert (np.subtract(*bands(values, clusters)[::-1]) > 1.5 * np.subtract(*bands(values)[::-1])).all()


def test_one_query_has_no_width_and_nan_counts_as_zero() -> None:
    assert [side.tolist() for side in bands([[0.5, 1.0]])] == [[0.5, 1.0]] * 2
    assert [side.tolist() for side in bands(np.zeros((4, 2)))] == [[0, 0]] * 2
    with_nan, with_zero = [[1.0], [np.nan], [1.0]], [[1.0], [0.0], [1.0]]
    assert bands(with_nan) == bands(with_zero)
    with pytest.raises(ValueError, match="no query"):
        bands(np.zeros((0, 3)))


def test_the_seed_decides() -> None:
    values = curve_of(np.random.default_rng(1), 30, 4)
    assert bands(values, seed=1)[0].tolist() == bands(values, seed=1)[0].tolist() != bands(values, seed=2)[0].tolist()
