"""Exact inner products of vectors of 8-bit numbers."""

from __future__ import annotations

import warnings
from functools import cache

import numpy as np
from numpy.typing import NDArray

EXACT = 1_024
"""Dimensions whose products float32 adds up without rounding: 1,024 * 127 * 127 < 2^24."""

FEW = 16
"""Dimensions below which torch is not asked: of a single one it multiplies what lies elsewhere in memory (2.13)."""


def int8_products(queries: NDArray[np.int8], codes: NDArray[np.int8]) -> NDArray[np.int32]:
    """int32 [Q, n], every query [Q, d] with every document [n, d]; values lie in -127..127."""
    if queries.shape[1] < FEW or not torch_is_exact():
        return by_floats(queries, codes)
    import torch

    return np.asarray(torch._int_mm(torch.from_numpy(queries), torch.from_numpy(codes).T).numpy())


def by_floats(queries: NDArray[np.int8], codes: NDArray[np.int8]) -> NDArray[np.int32]:
    """As `int8_products`, in float32, several times slower."""
    found = np.zeros((len(queries), len(codes)), np.int32)
    for start in range(0, queries.shape[1], EXACT):
        part = slice(start, start + EXACT)
        found += (queries[:, part].astype(np.float32) @ codes[:, part].astype(np.float32).T).astype(np.int32)
    return found


@cache
def torch_is_exact() -> bool:
    """Whether torch multiplies 8-bit numbers here, and without saturation, which depends on the processor."""
    import torch

    warnings.filterwarnings("ignore", "The given NumPy array is not writable", UserWarning)
    largest = np.full((33, 200), 127, np.int8)
    try:
        found = [torch._int_mm(torch.from_numpy(largest[:rows]), torch.from_numpy(-largest).T) for rows in (1, 33)]
    except (AttributeError, RuntimeError, NotImplementedError):
        return False
    return all(bool((one == -200 * 127 * 127).all()) for one in found)
