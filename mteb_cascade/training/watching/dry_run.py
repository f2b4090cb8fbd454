"""What a training run will take, from a few real steps: `train NAME --dry-run`."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.training.watching.quantities import device_name, duration, size
from mteb_cascade.training.watching.truncation import Truncation, truncation
from mteb_cascade.training.watching.untouched import quiet_trainer

if TYPE_CHECKING:
    from mteb_cascade.training.prepared import Prepared

WARM = 2
"""First steps that are not timed: memory is laid out and kernels are chosen."""

ASKED = 5
"""Held-out queries by which the time of an evaluation is estimated."""


@dataclass(frozen=True)
class DryRun:
    """What was counted and measured.

    Args:
        model: Class and base of the network.
        parameters: Of the network, all and those that are trained.
        data: Lines about queries, documents and lists.
        truncations: What is cut, by side.
        device: What was computed on, and in what.
        batch: Examples of a step, and texts or pairs in memory at once after the steps.
        steps: Optimiser steps that the spec asks for.
        seconds: A step's, mean without the first two.
        spread: Standard deviation of a step's seconds.
        evaluations: How often the depth sweep will run.
        evaluation: Seconds of one, estimated; 0 where nothing is held out.
        memory: Bytes that the device held at most, or this process where there is none; and what the device has.
        losses: The first and the last of the few steps.
    """

    model: str
    parameters: tuple[int, int]
    data: tuple[str, ...]
    truncations: tuple[Truncation, ...]
    device: str
    batch: tuple[int, int | None]
    steps: int
    seconds: float
    spread: float
    evaluations: int
    evaluation: float
    memory: tuple[int, int | None]
    losses: tuple[float, float]

    @property
    def total(self) -> float:
        """Seconds that training will take, evaluations among them."""
        return self.steps * self.seconds + self.evaluations * self.evaluation

    def __str__(self) -> str:
        every, trained = (f"{count / 1e6:.3g} M" for count in self.parameters)
        examples, at_once = self.batch
        held, there = self.memory
        lines = [("model", self.model), ("parameters", every if every == trained else f"{every}, {trained} trained")]
        lines += [("data" if at == 0 else "", text) for at, text in enumerate(self.data)]
        lines += [("read" if at == 0 else "", str(one)) for at, one in enumerate(self.truncations)]
        lines += [
            ("device", self.device),
            ("batch", f"{examples:,} examples" + (f", {at_once:,} texts or pairs at once" if at_once else "")),
            ("memory", size(held) + (f" of {size(there)} at most" if there else " at most, of this process")),
            ("loss", f"{self.losses[0]:.4g} -> {self.losses[1]:.4g} in the steps tried; the weights are not kept"),
            ("step", f"{self.seconds:.3g} s (deviation {self.spread:.2g} s)"),
            ("steps", f"{self.steps:,}"),
        ]
        if self.evaluation:
            lines.append(("evaluations", f"{self.evaluations:,}, about {duration(self.evaluation)} each"))
        lines.append(("total", f"about {duration(self.total)}"))
        return "\n".join(f"{name:<12} {text}" for name, text in lines)


def dry_run(prepared: Prepared, steps: int = 10, progress: Progress = silent) -> DryRun:
    """Take a few real steps, measure them, and put the weights back.

    Args:
        prepared: What `train` would train.
        steps: How many; the first two are not timed.
        progress: Told after each step.

    Raises:
        InputError: Fewer than `WARM` + 1 steps are asked for, the loss is NaN, or memory does not suffice.
    """
    import torch

    if steps <= WARM:
        raise InputError(f"dry run: expected at least {WARM + 1} steps, got {steps}")
    network, options = prepared.network, prepared.options
    clock = stop_watch(network.device.type)
    on_accelerator = network.device.type != "cpu"
    if on_accelerator:
        torch.accelerator.memory.reset_peak_memory_stats()
    with quiet_trainer(prepared, progress, max_steps=steps) as trainer:
        trainer.add_callback(clock)
        trainer.train()
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        an_epoch = max(1, len(trainer.get_train_dataloader()))
    taken = np.diff(clock.ends[WARM - 1 :])
    asked = options.max_steps or math.ceil(options.epochs * an_epoch)
    parameters = list(network.parameters())
    return DryRun(
        model=f"{type(network).__name__} from {options.base}",
        parameters=(sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad)),
        data=counts(prepared),
        truncations=tuple(truncation(prepared.kind, network, prepared.lists, seed=options.seed)),
        device=device_name(network.device, bfloat16=bool(trainer.args.bf16)),
        batch=(
            trainer.args.per_device_train_batch_size * trainer.args.world_size,
            getattr(trainer, "micro_batch", None),
        ),
        steps=asked,
        seconds=float(taken.mean()),
        spread=float(taken.std()),
        evaluations=evaluations(prepared, asked, an_epoch),
        evaluation=seconds_of_evaluation(prepared),
        memory=held(on_accelerator),
        losses=(losses[0], losses[-1]),
    )


def counts(prepared: Prepared) -> tuple[str, ...]:
    """What there is to learn from, in words."""
    lists = prepared.lists
    answers, negatives = (lists.relevant & lists.real).sum(1).mean(), lists.negative.sum(1).mean()
    examples = f"{len(lists):,} queries in {len(prepared.dataset):,} examples of the form '{prepared.form}'"
    each = f"{answers:.1f} answers and {negatives:.1f} negatives in a list, on average"
    return (*prepared.data.notes, examples, each)


def evaluations(prepared: Prepared, steps: int, an_epoch: int) -> int:
    """How often the depth sweep runs: before the first step, then every so many steps or epochs, and at the end."""
    if prepared.evaluator is None:
        return 0
    return 1 + math.ceil(steps / (prepared.options.evaluation.every or an_epoch))


def seconds_of_evaluation(prepared: Prepared) -> float:
    """How long a depth sweep takes, by that of a few queries."""
    if prepared.evaluator is None:
        return 0.0
    few = prepared.evaluator.first(ASKED)
    begun = perf_counter()
    few(prepared.network)
    return (perf_counter() - begun) * prepared.evaluator.work / max(few.work, 1)


def stop_watch(device: str) -> Any:
    """A callback that knows when each step ended, what is queued on the device done."""
    import torch
    from transformers import TrainerCallback

    class StopWatch(TrainerCallback):
        def __init__(self) -> None:
            self.ends: list[float] = []

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if device != "cpu":
                torch.accelerator.synchronize()
            self.ends.append(perf_counter())

    return StopWatch()


def held(on_accelerator: bool) -> tuple[int, int | None]:
    """Bytes that were held at most, by the device and of how many, or by this process since it began."""
    import torch

    if on_accelerator:
        total = torch.accelerator.memory.get_memory_info()[1]
        return torch.accelerator.memory.max_memory_reserved(), total
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, None
