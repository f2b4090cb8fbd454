"""A spec's `[training]` table, through sentence-transformers' trainer of its kind, to a model folder."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.atomic import make_writable
from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.spec import Spec, SpecError, shown
from mteb_cascade.training import card, losses
from mteb_cascade.training.data import leaks
from mteb_cascade.training.data.training_data import TrainingData, load_training
from mteb_cascade.training.feeds import Form, feed
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.mining import text as mining_text
from mteb_cascade.training.mining.mined import Mined, mined
from mteb_cascade.training.mining.teacher import taught
from mteb_cascade.training.networks.build import NETWORKS, build
from mteb_cascade.training.options import Training
from mteb_cascade.training.steps import checkpoints
from mteb_cascade.training.steps.ranks import is_main, main_first, world_size
from mteb_cascade.training.watching.evaluation import LOG, DepthSweep

if TYPE_CHECKING:
    from datasets import Dataset

KEPT = 2
"""Checkpoints that are kept: the last whole one, and the best."""


@dataclass(frozen=True, eq=False)
class Prepared:
    """All that a training run needs.

    Args:
        spec: The model's.
        options: Its `[training]` table.
        data: Queries, answers, and what was held out.
        mined: The lists with their negatives, and the mining report.
        lists: What is learned from: as mined, or with a teacher's scores.
        network: The model, as the base left it.
        dataset: The lists in the form that the loss takes.
        loss: The loss around the network.
        evaluator: The depth sweep on held-out queries; None where there are none.
    """

    spec: Spec
    options: Training
    data: TrainingData
    mined: Mined
    lists: Lists
    network: Any
    dataset: Dataset
    loss: Any
    evaluator: DepthSweep | None

    @property
    def kind(self) -> str:
        """The spec's kind."""
        return self.spec.kind

    @property
    def what(self) -> str:
        """What messages name."""
        return shown(self.spec.path)

    @property
    def form(self) -> Form:
        """The form of the dataset's rows."""
        return losses.form_of(self.options.loss, self.kind, self.what)


def checked(spec: Spec) -> Training:
    """The options of a spec, without loading anything.

    Raises:
        SpecError: With every mistake in its `[training]` table.
    """
    if spec.kind not in NETWORKS:
        raise SpecError(spec.path, [f"[training] kind '{spec.kind}' cannot be trained; {', '.join(NETWORKS)} can"])
    options = Training.of(spec)
    mistakes = losses.check(spec.kind, options)
    if options.separate and spec.kind != "bi-encoder":
        mistakes.append("[training] separate: only a bi-encoder can have an encoder each for queries and documents")
    if options.matryoshka and spec.kind != "bi-encoder":
        mistakes.append(f"[training] matryoshka: a {spec.kind} has no vector to shorten; only a bi-encoder has")
    if options.query_length is not None and spec.kind != "late-interaction":
        mistakes.append("[training] query_length: only late interaction cuts queries apart; max_length cuts all texts")
    if mistakes:
        raise SpecError(spec.path, mistakes)
    return options


def prepare(spec: Spec, options: Training, folder: Path, progress: Progress = silent) -> Prepared:
    """Load the data, mine the negatives, ask the teacher, build the network.

    Args:
        spec: The model's.
        options: Its checked options.
        folder: The training folder: leaks, and a base from nothing, are written there.
        progress: Told of mining and of the teacher's scores.

    Raises:
        InputError: Data, base, first stage or teacher are missing, or nothing is left to learn from.
    """
    what = shown(spec.path)
    with main_first():
        data = load_training(options, what)
        found = mined(data, options, what, progress)
        lists = taught(found.lists, options.teacher, what, progress)
        network = build(spec.kind, options, lists.corpus, folder / "base", what)
        evaluator = None
        if data.held_out is not None:
            in_bfloat16 = computes_in_bfloat16(options)
            evaluator = DepthSweep.of(
                spec.kind, data, options.evaluation, options.seed, what, progress, bfloat16=in_bfloat16
            )
    need = losses.needs(options.loss, spec.kind)
    if need.scores and not lists.scored:
        raise InputError(
            f"{what}: [training] loss '{options.loss}' learns from a teacher's scores: "
            "give teacher, or a data file with scores"
        )
    form = losses.form_of(options.loss, spec.kind, what)
    dataset = feed(lists, form, positives=options.positives, negatives=options.negatives, what=what)
    loss = losses.build(spec.kind, network, options, what)
    return Prepared(spec, options, data, found, lists, network, dataset, loss, evaluator)


def trainer_of(prepared: Prepared, folder: Path, progress: Progress = silent, **changes: Any) -> Any:
    """Sentence-transformers' trainer of the kind, with ours around it.

    Args:
        prepared: What is trained.
        folder: Where checkpoints and logs go.
        progress: Told after each step.
        **changes: Training arguments of transformers instead of the options' own.
    """
    import torch

    from mteb_cascade.training.steps.batches import batch_sampler
    from mteb_cascade.training.steps.careful import arguments_class, trainer_class

    options, evaluator = prepared.options, prepared.evaluator
    pace = "steps" if options.evaluation.every else "epoch"
    given: dict[str, Any] = {
        "output_dir": str(folder),
        "num_train_epochs": options.epochs,
        "max_steps": options.max_steps or -1,
        "per_device_train_batch_size": per_device(options, len(prepared.dataset), prepared.what),
        "optim": options.optimizer,
        "learning_rate": options.learning_rate,
        "lr_scheduler_type": options.schedule,
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
        "save_total_limit": KEPT,
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
    return trainer_class(prepared.kind)(
        model=prepared.network,
        args=arguments_class(prepared.kind)(**given | changes),
        train_dataset=prepared.dataset,
        loss=prepared.loss,
        evaluator=evaluator,
        micro_batch=options.micro_batch,
        patience=options.evaluation.patience if evaluator is not None else None,
        query_ids=prepared.lists.queries.ids,
        what=prepared.what,
        progress=progress,
    )


def fit(
    spec: Spec,
    options: Training,
    beside: Path,
    folder: Path,
    records: Path,
    *,
    restart: bool = False,
    progress: Progress = silent,
) -> None:
    """Train, from the last whole checkpoint where there is one, and save the best model.

    Args:
        spec: The model's.
        options: Its checked options.
        beside: Where the finished model is written, by the first process alone.
        folder: The training folder, which holds the checkpoints.
        records: Where that goes which is to be read: refused queries, mining report, evaluations.
        restart: Throw away what was trained before.
        progress: Told of mining, scoring and every step.

    Raises:
        InputError: See `prepare`; or the checkpoints belong to another version of the spec, the loss is NaN, memory or
            disk do not suffice.
    """
    prepared = prepare(spec, options, folder, progress)
    last = checkpoints.resume_from(folder, checkpoints.identity(prepared), restart=restart, what=prepared.what)
    if is_main():
        make_writable(records)
        leaks.write(records / "leaks.tsv", prepared.data.leaks)
        if options.negatives:
            mining_text.write(prepared.mined.report, records, "mining")
    start = time.perf_counter()
    trainer = trainer_of(prepared, folder, progress)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    if is_main():
        trainer.model.save_pretrained(str(beside), create_model_card=False)
        card.write(prepared, trainer, beside, seconds=time.perf_counter() - start)
        if (log := folder / "eval" / LOG).exists():
            shutil.copy(log, records / LOG)


def per_device(options: Training, examples: int, what: str) -> int:
    """Examples of a step on each device.

    Raises:
        InputError: The batch cannot be split evenly among the processes, or is larger than the data.
    """
    world = world_size()
    if options.batch_size % world:
        raise InputError(f"{what}: [training] batch_size {options.batch_size} cannot be split among {world} processes")
    if examples < world:
        raise InputError(f"{what}: {examples} examples cannot be split among {world} processes")
    return max(1, min(options.batch_size, examples) // world)


def computes_in_bfloat16(options: Training) -> bool:
    """Whether forward passes run in bfloat16; "auto" does where a GPU can."""
    import torch

    if options.precision != "auto":
        return options.precision == "bf16"
    return torch.cuda.is_available() and torch.cuda.is_bf16_supported()


def columns_of(prepared: Prepared) -> dict[str, Any]:
    """What each column of texts is, for encoders: its prompt, and its encoder where there are two."""
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
    return found | ({"router_mapping": tasks} if prepared.options.separate else {})
