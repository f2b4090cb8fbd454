"""The options of a spec as training arguments of transformers."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from mteb_cascade.errors import InputError
from mteb_cascade.training.options import Training
from mteb_cascade.training.steps.batches import batch_sampler
from mteb_cascade.training.steps.ranks import is_main, world_size

if TYPE_CHECKING:
    from pathlib import Path

    from mteb_cascade.training.prepared import Prepared


def arguments(prepared: Prepared, folder: Path) -> dict[str, Any]:
    """Keyword arguments for the training arguments of the kind.

    Args:
        prepared: What is trained.
        folder: Where checkpoints and logs go.

    Raises:
        InputError: There is no example for each process.
    """
    import torch

    options, evaluator = prepared.options, prepared.evaluator
    pace = "steps" if options.evaluation.every else "epoch"
    given: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": options.epochs,
        "max_steps": options.max_steps or -1,
        "per_device_train_batch_size": per_device(options, len(prepared.dataset), prepared.what),
        "optim": options.optimizer,
        "learning_rate": options.learning_rate,
        "lr_scheduler_type": schedule_of(options),
        "warmup_steps": options.warmup,
        "weight_decay": options.weight_decay,
        "max_grad_norm": options.max_gradient,
        "bf16": computes_in_bfloat16(options),
        "activation_checkpointing": options.gradient_checkpointing,
        "dataloader_pin_memory": torch.cuda.is_available(),
        "use_cpu": not torch.accelerator.is_available(),
        "seed": options.seed,
        "report_to": options.report_to or "none",
        "logging_steps": 10,
        "disable_tqdm": True,
        "dataloader_drop_last": True,
        "batch_sampler": batch_sampler(prepared.lists, prepared.form, in_batch=options.in_batch, what=prepared.what),
        "save_strategy": pace,
        "save_steps": options.evaluation.every or 500,
        **columns_of(prepared),
    }
    if evaluator is not None:
        given |= {
            "eval_strategy": pace,
            "eval_steps": options.evaluation.every,
            "eval_on_start": True,
            "load_best_model_at_end": True,
            "metric_for_best_model": f"eval_{evaluator.primary_metric}",
            "greater_is_better": True,
        }
    return given


def per_device(options: Training, examples: int, what: str) -> int:
    """Examples of a step on each device.

    Raises:
        InputError: There is no example for each process.
    """
    world = world_size()
    if examples < world:
        raise InputError(f"{what}: {examples} examples cannot be split among {world} processes")
    if examples < options.batch_size and is_main():
        warnings.warn(
            f"{what}: [training] batch_size {options.batch_size:,} is more than the {examples:,} examples: a step "
            "learns from all of them",
            stacklevel=2,
        )
    return min(options.batch_size, examples) // world


def schedule_of(options: Training) -> str:
    """Transformers' name of the schedule; its "constant" would do without the warm-up."""
    return "constant_with_warmup" if options.schedule == "constant" and options.warmup else options.schedule


def computes_in_bfloat16(options: Training) -> bool:
    """Whether forward passes run in bfloat16; "auto" does where a GPU can."""
    import torch

    if options.precision != "auto":
        return options.precision == "bf16"
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def columns_of(prepared: Prepared) -> dict[str, Any]:
    """What each column of texts is, for encoders: its prompt, and its encoder where there are two."""
    from sentence_transformers.base.modules import Router

    if prepared.kind == "cross-encoder":
        return {}
    documents = [
        "positive",
        "negative",
        "document",
        *(f"negative_{n}" for n in range(1, prepared.options.negatives + 1)),
    ]
    tasks = {"query": "query", **dict.fromkeys(documents, "document")}
    prompts = {column: prepared.network.prompts.get(task) for column, task in tasks.items()}
    found: dict[str, Any] = {"prompts": {column: prompt for column, prompt in prompts.items() if prompt}}
    # A base that has two encoders keeps them, whether it is asked for or not.
    return found | ({"router_mapping": tasks} if isinstance(prepared.network[0], Router) else {})
