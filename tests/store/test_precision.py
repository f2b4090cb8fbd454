"""What vectors are kept in, and what comes back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mteb_cascade.errors import InputError
from mteb_cascade.store.precision import compressed, named, restored, restored_at

VECTORS = np.float32([[1.0, -0.5, 0.0], [0.0, 0.0, 0.0], [-8.0, 4.0, 2.0]])


def test_int8_divides_each_vector_by_its_own_scale() -> None:
    kept = compressed(VECTORS, "int8")
    assert kept[""].dtype == np.int8
    assert kept[""].tolist() == [[127, -64, 0], [0, 0, 0], [-127, 64, 32]]
    np.testing.assert_allclose(kept["scales"], [1 / 127, 0, 8 / 127], rtol=1e-6)
    np.testing.assert_allclose(restored(kept[""], kept["scales"])[0], [1, -64 / 127, 0], rtol=1e-6)


@given(arrays(np.float32, (4, 5), elements=st.floats(-1e6, 1e6, width=32)))
def test_int8_is_wrong_by_half_a_scale_at_most(vectors: np.ndarray) -> None:
    kept = compressed(vectors, "int8")
    error = np.abs(restored(kept[""], kept["scales"]).astype(np.float64) - vectors)
    assert (error <= 0.501 * kept["scales"][:, None] + 1e-30).all()
    opposite = compressed(-vectors, "int8")
    np.testing.assert_array_equal(opposite[""], -kept[""])


def test_floats_come_back_as_they_were_rounded() -> None:
    np.testing.assert_array_equal(restored(compressed(VECTORS, "float32")[""]), VECTORS)
    half = compressed(VECTORS / 3, "float16")[""]
    assert half.dtype == np.float16
    np.testing.assert_array_equal(restored(half), (VECTORS / 3).astype(np.float16).astype(np.float32))


def test_a_number_that_is_none_stays_none() -> None:
    kept = compressed(np.float32([[np.nan, 1.0]]), "int8")
    assert np.isnan(restored(kept[""], kept["scales"])).all()


def test_names_and_rows() -> None:
    held = named("vectors", VECTORS, "int8")
    assert list(held) == ["vectors", "vectors.scales"]

    class Held:
        names = frozenset(held)

        def at(self, name: str, rows: np.ndarray) -> np.ndarray:
            return held[name][rows]

    np.testing.assert_allclose(restored_at(Held(), "vectors", np.array([2, 1])), VECTORS[[2, 1]], atol=8 / 127)


def test_what_cannot_be_kept_is_refused() -> None:
    with pytest.raises(InputError, match=r"float16 holds numbers up to 65504, and a vector has 1e\+06; use float32"):
        compressed(np.float32([[-1e6]]), "float16")
    with pytest.raises(InputError, match=r"unknown precision 'int4'\. Known: float16, float32, int8\."):
        compressed(VECTORS, "int4")
