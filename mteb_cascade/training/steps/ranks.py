"""One process for each device: which of them this is, and who goes first."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from mteb_cascade.errors import InputError, in_one_line

if TYPE_CHECKING:
    import torch

HOURS = 48
"""How long ranks wait for the first one, which mines and asks a teacher alone: torch gives up after ten minutes."""


def world_size() -> int:
    """How many processes `accelerate launch` or `torchrun` started; 1 without them."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def rank() -> int:
    """Which of them this is, from 0."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Whether this is the one that writes, prints and mines."""
    return rank() == 0


@contextmanager
def main_first() -> Iterator[None]:
    """The first rank does what is inside alone; the others do it after, and find in the cache what it left there."""
    if world_size() == 1:
        yield
        return
    if not is_main():
        wait_for_everyone()
    yield
    if is_main():
        wait_for_everyone()


def wait_for_everyone() -> None:
    """Go on when all ranks are here.

    Raises:
        InputError: One has ended, which has said why.
    """
    if world_size() > 1:
        try:
            joined().wait_for_everyone()
        except RuntimeError as error:
            raise InputError(f"another process of this training has ended: {in_one_line(error)}") from None


def joined() -> Any:
    """The group of processes, as accelerate keeps it; formed here before the trainer would, for its patience."""
    from datetime import timedelta

    import torch
    from accelerate import PartialState

    if not torch.accelerator.is_available():
        # Only `accelerate launch --cpu` says so by itself; `torchrun` does not.
        os.environ["ACCELERATE_USE_CPU"] = "true"
    on_cpu = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    return PartialState(cpu=on_cpu, timeout=timedelta(hours=HOURS))


def share_weights(network: torch.nn.Module) -> None:
    """Every rank takes the parameters and buffers of the first."""
    if world_size() > 1:
        from torch import distributed

        for tensor in (*network.parameters(), *network.buffers()):
            distributed.broadcast(tensor.data, src=0)


def average_gradients(parameters: Iterable[torch.nn.Parameter]) -> None:
    """Every rank takes the mean of all ranks' gradients.

    In place of DistributedDataParallel, which takes a parameter's first gradient for its last where a loss runs the
    network more than once, as with separate encoders or in micro-batches.
    """
    if world_size() > 1:
        from torch import distributed

        gradients = [one.grad for one in parameters if one.grad is not None]
        for work in [distributed.all_reduce(gradient, async_op=True) for gradient in gradients]:
            work.wait()
        for gradient in gradients:
            gradient /= world_size()
