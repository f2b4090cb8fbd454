"""Who wins alone: queries that one system answers at rank 1 and none of the others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray


def alone(first: Mapping[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.bool_]]:
    """Queries that a system is the only one to get right.

    Args:
        first: {system: bool [Q]}, whether it has a relevant document at rank 1; same queries in the same order.

    Returns:
        {system: bool [Q]}.

    Raises:
        ValueError: The systems differ in their number of queries.

    >>> {name: won.tolist() for name, won in alone({"a": np.array([1, 1]) > 0, "b": np.array([1, 0]) > 0}).items()}
    {'a': [False, True], 'b': [False, False]}
    """
    lengths = {name: len(right) for name, right in first.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"systems are compared on the same queries; got {lengths}")
    if not first:
        return {}
    only_one = np.sum([right.astype(bool) for right in first.values()], axis=0) == 1
    return {name: right.astype(bool) & only_one for name, right in first.items()}
