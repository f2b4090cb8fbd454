"""Which depths and blends to take: the best on development queries that a latency budget allows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mteb_cascade.values.pareto import front


@dataclass(frozen=True)
class Choice:
    """Depths and blends of a cascade, and what they are worth on development queries.

    Args:
        depths: One a step.
        blends: One a step.
        quality: The measure's mean.
        latency: Milliseconds, end to end.
        is_measured: Whether the latency was timed at these very depths; else it is told from others.
    """

    depths: tuple[int, ...]
    blends: tuple[float, ...]
    quality: float
    latency: float
    is_measured: bool = False

    def as_json(self) -> dict[str, Any]:
        """As a result file holds it."""
        return {
            "depths": list(self.depths),
            "blends": list(self.blends),
            "quality": round(self.quality, 6),
            "latency_ms": round(self.latency, 3),
            "measured": self.is_measured,
        }


def best_first(choices: Sequence[Choice]) -> list[Choice]:
    """The best first; of equally good ones the shallowest, the last step counting most, then the least blended."""
    return sorted(choices, key=lambda one: (-one.quality, one.depths[::-1], one.blends[::-1]))


def within_budget(choices: Sequence[Choice], budget: float) -> list[Choice]:
    """Those whose latency is at most the budget, in milliseconds; the best first."""
    return best_first([one for one in choices if one.latency <= budget])


def confirmed(
    choices: Sequence[Choice], budget: float, measure: Callable[[Choice], float]
) -> tuple[Choice | None, list[Choice]]:
    """The best choice that keeps the budget when it is timed end to end.

    Where one breaks it, those that are as deep in every step break it too: the next is looked for among the others.

    Args:
        choices: With latencies as they are expected.
        budget: Milliseconds.
        measure: Times a choice, in milliseconds.

    Returns:
        The choice with its measured latency, None where there is none; those that were timed and broke the budget.
    """
    left, broken = within_budget(choices, budget), list[Choice]()
    while left:
        timed = replace(left[0], latency=measure(left[0]), is_measured=True)
        if timed.latency <= budget:
            return timed, broken
        broken.append(timed)
        left = [one for one in left if any(a < b for a, b in zip(one.depths, timed.depths, strict=True))]
    return None, broken


def frontier(choices: Sequence[Choice]) -> list[Choice]:
    """The choices that none beats in both latency and quality, the fastest first.

    Of those with one latency and one quality, which differ in blend alone, the first by `best_first`.
    """
    ordered = best_first(choices)
    return [ordered[row] for row in front([one.latency for one in ordered], [one.quality for one in ordered])]
