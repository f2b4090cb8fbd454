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

    def as_json(self) -> dict[str, Any]:
        """The figures, to the microsecond."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


def latency(call: Callable[[Input], Any], inputs: Sequence[Input], *, calls: int = CALLS, warm_up: int = 5) -> Latency:
    """Time `call` on one input after the other.

    Args:
        call: What is timed; it returns when its work is done (results on the CPU, for work on a GPU).
        inputs: One or more inputs; they start over where there are fewer than `calls`.
        calls: Calls timed, >= 1.
        warm_up: Calls before them that are not timed.

    Raises:
        ValueError: There is no input, or nothing to time.
    """
    if not inputs or calls < 1:
        raise ValueError(f"expected one or more inputs and calls to time, got {len(inputs)} and {calls}")
    for one in islice(cycle(inputs), warm_up):
        call(one)
    times = []
    for one in islice(cycle(inputs), calls):
        start = perf_counter()
        call(one)
        times.append(perf_counter() - start)
    p50, p95, p99 = (float(value) * 1_000 for value in np.percentile(times, [50, 95, 99]))
    return Latency(p50, p95, p99, calls, min(calls, len(inputs)))


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
