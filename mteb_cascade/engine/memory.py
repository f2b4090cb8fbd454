"""Micro-batches on a machine of which nobody knows how much memory is free: one that does not fit is halved."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.packing import end_of_pack, longest_first
from mteb_cascade.errors import InputError

Result = TypeVar("Result")

SIGNS = ("out of memory", "can't allocate memory", "alloc_failed")
"""How allocators say that they failed, those of CUDA, ROCm, Apple's and the CPU's."""


def packed(
    run: Callable[[NDArray[np.intp]], Result],
    lengths: NDArray[np.integer],
    budget: int,
    what: str,
    names: NDArray[np.intp] | None = None,
    least: int | None = None,
) -> Generator[tuple[NDArray[np.intp], Result], None, int]:
    """Run micro-batches, each padded to its longest text within the budget; one text alone may be over it.

    Where memory runs out, this micro-batch and all after it are half as large.

    Args:
        run: Called with positions of texts.
        lengths: Tokens of each text.
        budget: Padded tokens of a micro-batch, >= 1.
        what: What messages name.
        names: What is yielded for each position; None yields positions.
        least: See `packing.end_of_pack`.

    Yields:
        Positions and what `run` gave for them, the longest texts first.

    Returns:
        The budget that memory held.

    Raises:
        InputError: A single text does not fit.
    """
    order = longest_first(lengths)
    falling = np.asarray(lengths, np.int64)[order]
    start = 0
    while start < len(order):
        longest = int(falling[start])
        pack = order[start : end_of_pack(falling, start, budget, least)]
        try:
            result = run(pack)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if len(pack) == 1:
                raise InputError(
                    f"{what}: memory does not hold a single text of {longest:,} tokens. Set max_length lower, take "
                    "another device or a smaller model, or end other programs that use the memory"
                ) from None
        else:
            yield (pack if names is None else names[pack]), result
            start += len(pack)
            continue
        # Not in the handler: as long as the error lives, so do the tensors of the frames that it came through.
        release()
        budget = max(1, longest) * (len(pack) // 2)
    return budget


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of whatever device."""
    return isinstance(error, MemoryError) or any(sign in str(error).lower() for sign in SIGNS)


def release() -> None:
    """Give back what torch keeps of an accelerator's memory for later."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.accelerator.is_available():
        torch.accelerator.memory.empty_cache()
