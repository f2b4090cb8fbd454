"""What a spec names of other libraries: whether it is here, and works by its name alone; told before data are read."""

from __future__ import annotations

from dataclasses import fields
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

from mteb_cascade.errors import in_one_line, suggestion
from mteb_cascade.training.options import Training

FLASH = "flash_attention_2"


def mistakes(options: Training) -> list[str]:
    """A line on each optimizer, schedule, attention or place to report to that cannot be used here."""
    found = [of_optimizer(options.optimizer), of_schedule(options.schedule), *map(of_report, options.report_to)]
    if options.attention == FLASH and find_spec("flash_attn") is None:
        found.append(f"[training] attention: {FLASH} needs a package that is not here: pip install flash-attn")
    return [text for text in found if text]


def of_optimizer(name: str) -> str:
    """What is wrong with an optimizer of transformers; '' where nothing is."""
    from transformers import Trainer
    from transformers.training_args import OptimizerNames, TrainingArguments

    # Made as the class that it stands for, it would choose a device, and form the group of processes.
    arguments: Any = SimpleNamespace(**{one.name: one.default for one in fields(TrainingArguments)} | {"optim": name})

    known = [one.value for one in OptimizerNames]
    if name not in known:
        return f"[training] optimizer: unknown optimizer '{name}'. {suggestion(name, known)}"
    try:
        Trainer.get_optimizer_cls_and_kwargs(arguments)
    except (ImportError, ValueError, RuntimeError) as error:
        return f"[training] optimizer: '{name}' cannot be used here: {in_one_line(error)}"
    return ""


def of_schedule(name: str) -> str:
    """What is wrong with a learning rate schedule of transformers; '' where nothing is."""
    import torch
    from transformers import SchedulerType, get_scheduler

    known = [one.value for one in SchedulerType]
    if name not in known:
        return f"[training] schedule: unknown schedule '{name}'. {suggestion(name, known)}"
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    try:
        get_scheduler(name, optimizer, num_warmup_steps=1, num_training_steps=2)
    except (TypeError, ValueError) as error:
        return f"[training] schedule: '{name}' needs more than its name: {in_one_line(error)}"
    return ""


def of_report(name: str) -> str:
    """What is wrong with a place where the curves go; '' where nothing is."""
    from transformers.integrations import integration_utils

    known = integration_utils.INTEGRATION_TO_CALLBACK
    if name not in known:
        return f"[training] report_to: unknown place '{name}'. {suggestion(name, known)}"
    if name not in integration_utils.get_available_reporting_integrations():  # type: ignore[no-untyped-call]
        return f"[training] report_to: {name} is not installed here: pip install {name}"
    return ""
