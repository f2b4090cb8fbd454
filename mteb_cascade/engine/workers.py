"""Several devices: sentence-transformers' worker processes, one a device, each with the model."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.memory import is_out_of_memory
from mteb_cascade.engine.packing import longest_first, within
from mteb_cascade.errors import InputError, in_one_line

Result = TypeVar("Result")

NARROW = 0.8
"""Texts that are handed out together have at least this share of the longest one's tokens, and so are little padded."""

PACKS = 4
"""Micro-batches in a piece of work: few enough that no worker waits long for another at the end."""


class Workers:
    """The worker processes of a network; they end with the network that they were started for, or with this process.

    Args:
        network: Any model of sentence-transformers; it moves to the CPU.
        devices: Two or more, one worker each.
        what: What messages name.

    Raises:
        InputError: The model cannot be handed to another process.
    """

    def __init__(self, network: Any, devices: Sequence[str], what: str) -> None:
        self.devices, self.what = tuple(devices), what
        try:
            self.pool = network.start_multi_process_pool(list(devices))
        except (TypeError, AttributeError, ValueError, RuntimeError) as error:
            raise InputError(
                f"{what}: cannot run on several devices ({', '.join(devices)}), since its model cannot be handed to "
                f"another process: {in_one_line(error)}. Name one device"
            ) from error
        self.stop = weakref.finalize(network, stopped, network.stop_multi_process_pool, self.pool)

    @property
    def alive(self) -> bool:
        """Whether every worker is there."""
        return bool(self.stop.alive) and all(process.is_alive() for process in self.pool["processes"])

    def run(
        self, work: Callable[[NDArray[np.intp], dict[str, Any]], Result], lengths: NDArray[np.integer], budget: int
    ) -> Iterator[tuple[NDArray[np.intp], Result]]:
        """Have the workers do texts of about one length after the other, in micro-batches within the budget.

        Where memory of a device runs out, the micro-batches are half as large from there on.

        Args:
            work: Called with positions of texts and what the model's own method takes beside them.
            lengths: Tokens of each text, or about as many.
            budget: Padded tokens of a micro-batch, >= 1.

        Yields:
            Positions and what `work` gave for them, the longest texts first.

        Raises:
            InputError: A worker ended, or the memory of its device does not hold a single text.
        """
        order = longest_first(lengths)
        ordered = np.asarray(lengths)[order]
        start = 0
        while start < len(order):
            longest = int(ordered[start])
            stop = int(np.searchsorted(-ordered, -NARROW * longest, side="right"))
            rows, size = order[start : max(stop, start + 1)], within(longest, budget)
            share = -(-len(rows) // len(self.devices))
            piece = min(size * PACKS, max(size, share))
            try:
                result = work(rows, {"pool": self.pool, "batch_size": size, "chunk_size": piece})
            except BaseException as error:
                died = not self.alive
                # What was handed out and not fetched would be taken for answers to the next question.
                self.stop()
                if died:
                    raise InputError(
                        f"{self.what}: a worker process ended while it was working ({', '.join(self.devices)}). Its "
                        "memory may have run out: set batch_size lower, or name fewer devices"
                    ) from error
                if not is_out_of_memory(error) or size == 1:
                    raise
                raise SmallerError(longest * (size // 2)) from None
            yield rows, result
            start += len(rows)


class SmallerError(Exception):
    """Memory of a device ran out; `budget` is half of what was tried."""

    def __init__(self, budget: int) -> None:
        super().__init__(budget)
        self.budget = max(1, budget)


def stopped(stop: Callable[[Any], None], pool: Any) -> None:
    """End the processes of a pool; one that has ended already is no mistake."""
    with suppress(ValueError, OSError):
        stop(pool)


_started: weakref.WeakKeyDictionary[Any, Workers] = weakref.WeakKeyDictionary()


def workers_of(network: Any, devices: Sequence[str], what: str) -> Workers:
    """The workers of a network, started at the first time and where one has ended."""
    found = _started.get(network)
    if found is None or found.devices != tuple(devices) or not found.alive:
        if found is not None:
            found.stop()
        found = _started[network] = Workers(network, devices, what)
    return found


def shared_out(
    network: Any,
    devices: Sequence[str],
    what: str,
    work: Callable[[NDArray[np.intp], dict[str, Any]], Result],
    lengths: NDArray[np.integer],
    budget: int,
) -> Iterator[tuple[NDArray[np.intp], Result]]:
    """As `Workers.run`, by workers that are started anew with half the budget where memory runs out."""
    left = np.arange(len(lengths))
    while len(left):
        done: list[NDArray[np.intp]] = []
        try:
            for rows, result in workers_of(network, devices, what).run(
                lambda rows, options, left=left: work(left[rows], options),  # type: ignore[misc]
                np.asarray(lengths)[left],
                budget,
            ):
                done.append(rows)
                yield left[rows], result
            return
        except SmallerError as smaller:
            budget = smaller.budget
            left = np.delete(left, np.concatenate(done)) if done else left
