from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from mteb_cascade.values.t_test import paired_t_test

A = [1.0, 0.5, 0.0, 1.0, 0.25, 0.0, 1.0, 0.5]
B = [0.5, 0.5, 0.0, 0.0, 0.5, 0.0, 0.5, 0.0]


def test_over_queries_it_is_the_formula_of_the_textbook() -> None:
    """t = mean / (s / sqrt(n)) with n - 1 degrees of freedom."""
    d = np.subtract(A, B)
    t = d.mean() / (d.std(ddof=1) / math.sqrt(8))
    found = paired_t_test(A, B)
    assert found.difference == pytest.approx(2.25 / 8)
    assert found.p_value == pytest.approx(2 * stats.t.sf(t, 7))
    half = stats.t.ppf(0.975, 7) * d.std(ddof=1) / math.sqrt(8)
    assert (found.low, found.high) == pytest.approx((d.mean() - half, d.mean() + half))


def test_a_cluster_is_one_observation_and_the_difference_stays_that_of_queries() -> None:
    clusters = ["x", "x", "x", "y", "y", "z", "z", "w"]
    sums = [0.5, 0.75, 0.5, 0.5]
    found = paired_t_test(A, B, clusters)
    scipys = stats.ttest_1samp(sums, 0)
    interval = scipys.confidence_interval()
    assert found.p_value == pytest.approx(scipys.pvalue)
    assert found.difference == pytest.approx(2.25 / 8)
    assert (found.low, found.high) == pytest.approx((interval.low * 4 / 8, interval.high * 4 / 8))


def test_no_difference_anywhere_is_certain_and_the_same_one_everywhere_too() -> None:
    assert paired_t_test(A, A).p_value == 1
    assert paired_t_test([0.2, np.nan], [0.2, np.nan]).p_value == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = paired_t_test([1, 1, 1], [0, 0, 0])
    assert (found.difference, found.low, found.high, found.p_value) == (1, 1, 1, 0)


def test_a_query_without_positives_counts_as_nothing() -> None:
    assert paired_t_test([1.0, 0.0, np.nan], [0.0, 0.5, np.nan]) == paired_t_test([1.0, 0.0, 0.0], [0.0, 0.5, 0.0])


def test_one_observation_tells_nothing() -> None:
    with pytest.raises(ValueError, match="two or more observations"):
        paired_t_test([1.0, 0.0], [0.0, 0.0], ["one", "one"])
    with pytest.raises(ValueError, match="one length"):
        paired_t_test([1.0, 0.0], [0.0])
