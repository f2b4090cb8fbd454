"""Answers against other documents: areas against scikit-learn's, p-values against scipy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import permutation_test
from sklearn.metrics import roc_auc_score

from mteb_cascade.studies.doctor.separation import p_of, p_text, separation


def test_areas_are_those_under_the_roc_curve():
    scores = np.random.default_rng(0).integers(0, 4, (30, 5)).astype(np.float32)
    expected = [roc_auc_score([1, 0, 0, 0, 0], row) for row in scores]
    found = separation(scores)
    np.testing.assert_allclose(found.areas, expected)
    assert found.area == pytest.approx(np.mean(expected))
    assert (found.above, found.below) == (False, False)


def test_p_values_are_those_of_a_test_that_flips_signs():
    differences = np.array([0.5, 0.5, -0.25, 0.25, 0.5, 0.0, 0.5, -0.5, 0.25, 0.5])
    exact = permutation_test(
        (differences, np.zeros_like(differences)),
        lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    )
    assert p_of(differences) == pytest.approx(exact.pvalue)
    assert p_of(np.append(differences, np.nan)) == pytest.approx(exact.pvalue)
    assert p_of(np.full(3, np.nan)) == 1


def test_eleven_queries_are_enough_to_show_it_and_ten_are_not():
    for count, shown in ((10, False), (11, True)):
        scores = np.tile(np.float32([1, 0, 0]), (count, 1))
        assert (separation(scores).above, separation(-scores).below) == (shown, shown)
        assert (separation(-scores).above, separation(scores).below) == (False, False)


def test_what_has_no_score_is_left_out():
    gone = -np.inf
    scores = np.float32([[1, gone, 0], [gone, 1, 0], [2, gone, gone], [1, 1, 3]])
    found = separation(scores)
    np.testing.assert_array_equal(found.areas, [1, np.nan, np.nan, 0.25])
    assert (found.queries, found.area) == (2, 0.625)
    assert separation(np.full((2, 3), gone, np.float32)).queries == 0


def test_clusters_flip_together():
    scores = np.tile(np.float32([1, 0]), (12, 1))
    assert separation(scores, ["one"] * 6 + ["two"] * 6).p_value == pytest.approx(0.5)


def test_p_values_in_prose():
    assert (p_text(0.0001), p_text(0.25), p_text(1.0)) == ("< .001", "= .25", "= 1")
