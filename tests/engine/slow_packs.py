"""Packing by the book, one text after the other, for tests to compare with."""

from __future__ import annotations

from collections.abc import Sequence


def slow_packs(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Micro-batches by falling length, each filled while longest x count stays within the budget."""
    found: list[list[int]] = []
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        if found and max(1, lengths[found[-1][0]]) * (len(found[-1]) + 1) <= budget:
            found[-1].append(row)
        else:
            found.append([row])
    return found
