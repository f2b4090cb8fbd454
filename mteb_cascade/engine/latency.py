"""How long one call takes, and on what machine."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike

CALLS = 200
"""Calls timed unless told otherwise: enough for a 99th percentile to be more than the single slowest call."""

Input = TypeVar("Input")


@dataclass(frozen=True)
class Latency:
    """Percentiles of the wall time of single calls, in milliseconds.

    Args:
        p50: The median.
        p95: Exceeded by one call in twenty.
        p99: Exceeded by one call in a hundred.
        calls: Calls timed.
        inputs: Different inputs among them.
    """

    p50: float
    p95: float
    p99: float
    calls: int
    inputs: int

    @classmethod
    def of(cls, seconds: ArrayLike, inputs: int) -> Latency:
        """Percentiles of the times of single calls, in seconds [calls], of which `inputs` had inputs of their own.

        >>> Latency.of([0.001, 0.003], 2).p50
        2.0
        """
        p50, p95, p99 = (float(value) for value in np.percentile(np.asarray(seconds) * 1_000, [50, 95, 99]))
        calls = int(np.size(seconds))
        return cls(p50, p95, p99, calls, min(calls, inputs))

    def as_json(self) -> dict[str, Any]:
        """The figures, to the microsecond."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Limit:
    """A latency that is asked for: once so many calls took longer that it cannot be kept, timing may end.

    Args:
        percentile: Percentage of the calls that should keep it, in (0, 100).
        milliseconds: What they should keep.
    """

    percentile: float
    milliseconds: float

    def is_broken(self, seconds: Sequence[float], calls: int) -> bool:
        """Whether the percentile of `calls` calls is over the limit, whatever those still to come take."""
        over = sum(one * 1_000 > self.milliseconds for one in seconds)
        # numpy's percentile lies between the two calls around this place: both must be over.
        return over >= calls - int((calls - 1) * self.percentile / 100)


def latency(call: Callable[[Input], Any], inputs: Sequence[Input], *, calls: int = CALLS, warm_up: int = 5) -> Latency:
    """Percentiles of the time that `call` takes on one input after the other; for arguments see `times`."""
    return Latency.of(times(call, inputs, calls=calls, warm_up=warm_up), len(inputs))


def times(
    call: Callable[[Input], Any],
    inputs: Sequence[Input],
    *,
    calls: int = CALLS,
    warm_up: int = 5,
    limit: Limit | None = None,
) -> list[float]:
    """Time `call` on one input after the other.

    Args:
        call: What is timed; it returns when its work is done (results on the CPU, for work on a GPU).
        inputs: One or more inputs; they start over where there are fewer than `calls`.
        calls: Calls timed, >= 1.
        warm_up: Calls before them that are not timed.
        limit: Ends the timing once it is certainly broken.

    Returns:
        Seconds of each call, `calls` of them or, with a broken limit, fewer.

    Raises:
        ValueError: There is no input, or nothing to time.
    """
    if not inputs or calls < 1:
        raise ValueError(f"expected one or more inputs and calls to time, got {len(inputs)} and {calls}")
    for one in islice(cycle(inputs), warm_up):
        call(one)
    found: list[float] = []
    for one in islice(cycle(inputs), calls):
        start = perf_counter()
        call(one)
        found.append(perf_counter() - start)
        if limit is not None and limit.is_broken(found, calls):
            break
    return found


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, torch's threads and GPU (where torch is loaded)."""
    found: dict[str, Any] = {"processor": processor(), "cores": usable_cores()}
    torch = sys.modules.get("torch")
    if torch is not None:
        found["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            found["gpu"] = torch.cuda.get_device_name()
    return found


def usable_cores() -> int:
    """Cores that this process may run on, which in a container are fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
