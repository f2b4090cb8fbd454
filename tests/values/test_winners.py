from __future__ import annotations

import numpy as np
import pytest

from mteb_cascade.values.winners import alone


def test_who_wins_alone() -> None:
    first = {"sparse": [1, 1, 0, 0, 1], "dense": [1, 0, 1, 0, 0], "hybrid": [1, 0, 0, 0, 1]}
    got = alone({name: np.array(right, bool) for name, right in first.items()})
    assert {name: np.flatnonzero(won).tolist() for name, won in got.items()} == {
        "sparse": [1],
        "dense": [2],
        "hybrid": [],
    }


def test_one_system_wins_what_it_gets_right() -> None:
    assert alone({"a": np.array([True, False])})["a"].tolist() == [True, False]
    assert alone({}) == {}


def test_the_same_queries() -> None:
    with pytest.raises(ValueError, match=r"\{'a': 1, 'b': 2\}"):
        alone({"a": np.array([True]), "b": np.array([True, True])})
