"""Texts into micro-batches by a token budget, sorted by length, so that little is padded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

TOKENS = {"cpu": 128}
"""Tokens that one unit of `batch_size` stands for: on a CPU small packs, which its caches hold, are the fastest."""

TOKENS_ELSEWHERE = 512

DEFAULT = 32
"""The batch size where nobody says and none was found."""


LEAST = {"cpu": 512}
"""Tokens from which on a micro-batch may end before its budget is full, where the texts that follow are shorter: on a
CPU it is as fast as a larger one."""

NARROW = 0.95
"""Share of the longest text's tokens below which a text is shorter."""


def budget_of(batch_size: int | None, device: str) -> int:
    """Padded tokens of one micro-batch; of a `batch_size` of 1, one text at a time.

    Args:
        batch_size: >= 1; None takes the default.
        device: Torch device or its type.

    >>> budget_of(32, "cpu"), budget_of(32, "cuda:0"), budget_of(1, "cuda")
    (4096, 16384, 1)
    """
    batch_size = DEFAULT if batch_size is None else batch_size
    return 1 if batch_size == 1 else batch_size * TOKENS.get(device.split(":")[0], TOKENS_ELSEWHERE)


def longest_first(lengths: Sequence[int] | NDArray[np.integer]) -> NDArray[np.intp]:
    """Positions of the texts by falling length; equal ones in their order.

    The longest come first so that a batch that memory does not hold shows at once, not after hours.
    """
    return np.argsort(-np.asarray(lengths, np.int64), kind="stable")


def within(longest: int, budget: int) -> int:
    """Texts of at most this many tokens that a budget holds, at least one."""
    return max(1, budget // max(1, longest))


def end_of_pack(falling: NDArray[np.integer], start: int, budget: int, least: int | None) -> int:
    """Where the micro-batch ends that begins with a text.

    Args:
        falling: Tokens of all texts, the longest first.
        start: The text that it begins with.
        budget: Padded tokens that it has at most, but for a single text.
        least: Padded tokens from which on it ends where texts get shorter; None fills the budget.

    >>> lengths = np.array([10, 10, 9, 5, 5, 4])
    >>> end_of_pack(lengths, 0, 60, None), end_of_pack(lengths, 0, 60, 20), end_of_pack(lengths, 3, 60, 20)
    (6, 2, 6)
    """
    longest = int(falling[start])
    count = within(longest, budget)
    if least is not None:
        shorter = int(np.searchsorted(-falling, -NARROW * longest, side="right")) - start
        count = min(count, max(shorter, -(-least // max(1, longest))))
    return min(start + count, len(falling))
