"""What precision an index keeps vectors in: float32, float16, or int8 with one scale a vector."""

from __future__ import annotations

from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.errors import InputError, suggestion

Precision = Literal["float32", "float16", "int8"]

PRECISIONS: tuple[str, ...] = get_args(Precision)

SCALES = "scales"
LARGEST = 127
"""Largest value of an int8 code; -128 is not used, so that a vector and its opposite are kept alike."""


def check_precision(precision: str) -> None:
    """Raise InputError where no vectors can be kept in it."""
    if precision not in PRECISIONS:
        raise InputError(f"precision: unknown precision '{precision}'. {suggestion(precision, PRECISIONS)}")


def compressed(values: NDArray[np.float32], precision: str) -> dict[str, NDArray[Any]]:
    """Vectors as an index keeps them.

    int8 is symmetric: each vector is divided by its scale, its largest absolute value / 127, and rounded. The error of
    a value is at most half the scale.

    Args:
        values: float32 [n, d].
        precision: One of `PRECISIONS`.

    Returns:
        "": the values in that precision [n, d]; with int8 also "scales", float32 [n].

    Raises:
        InputError: The precision is unknown, or a finite value is too large for float16.

    >>> compressed(np.float32([[1, -0.5, 0]]), "int8")[""].tolist()
    [[127, -64, 0]]
    """
    check_precision(precision)
    values = np.asarray(values, np.float32)
    if precision == "float32":
        return {"": values}
    if precision == "float16":
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if (np.isinf(halves) & np.isfinite(values)).any():
            raise InputError(
                f"precision: float16 holds numbers up to {np.finfo(np.float16).max:g}, and a vector has "
                f"{np.abs(values).max():g}; use float32 or int8"
            )
        return {"": halves}
    scales = np.abs(values).max(axis=1, initial=0) / np.float32(LARGEST)
    with np.errstate(invalid="ignore"):  # NaN and infinity stay what they are by the scale
        codes = np.rint(values / np.where(scales == 0, np.float32(1), scales)[:, None])
        return {"": np.clip(codes, -LARGEST, LARGEST).astype(np.int8), SCALES: scales}


def restored(values: NDArray[Any], scales: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
    """float32 [n, d], what was kept as `values` and, where that is int8, `scales`."""
    if scales is None:
        return np.asarray(values, np.float32)
    return np.asarray(values, np.float32) * scales[:, None]


def named(name: str, values: NDArray[np.float32], precision: str) -> dict[str, NDArray[Any]]:
    """As `compressed`, under the names of an index's arrays: `<name>` and, with int8, `<name>.scales`."""
    return {f"{name}.{key}" if key else name: array for key, array in compressed(values, precision).items()}


class ByRow(Protocol):
    """Arrays by name, with a row a document: those of an index, say."""

    names: frozenset[str]

    def at(self, name: str, rows: NDArray[np.integer]) -> NDArray[Any]:
        """[len(rows), ...], of these documents in their order."""


def restored_at(arrays: ByRow, name: str, rows: NDArray[np.integer]) -> NDArray[np.float32]:
    """float32 [len(rows), d], the vectors that these documents have under this name."""
    scales = f"{name}.{SCALES}"
    return restored(arrays.at(name, rows), arrays.at(scales, rows) if scales in arrays.names else None)
