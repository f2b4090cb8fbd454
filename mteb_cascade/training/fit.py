"""A spec's `[training]` table, through sentence-transformers' trainer of its kind, to a model folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mteb_cascade.atomic import make_writable
from mteb_cascade.progress import Progress, silent
from mteb_cascade.spec import Spec
from mteb_cascade.training import card
from mteb_cascade.training.arguments import arguments
from mteb_cascade.training.data import leaks
from mteb_cascade.training.mining import text as mining_text
from mteb_cascade.training.options import Training
from mteb_cascade.training.prepared import Prepared, prepare
from mteb_cascade.training.steps import checkpoints
from mteb_cascade.training.steps.ranks import is_main
from mteb_cascade.training.watching import evaluation
from mteb_cascade.training.watching.evaluation import LOG


def trainer_of(prepared: Prepared, folder: Path, progress: Progress = silent, **changes: Any) -> Any:
    """Sentence-transformers' trainer of the kind, with ours around it.

    Args:
        prepared: What is trained.
        folder: Where checkpoints and logs go.
        progress: Told after each step.
        **changes: Training arguments of transformers instead of the options' own.
    """
    from mteb_cascade.training.steps.careful import arguments_class, trainer_class

    options, evaluator = prepared.options, prepared.evaluator
    return trainer_class(prepared.kind)(
        model=prepared.network,
        args=arguments_class(prepared.kind)(**arguments(prepared, folder) | changes),
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
    say: Callable[[str], None] = lambda text: None,
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
        say: Told how it ended, line by line.

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
    with curves_in(records / "tensorboard"):
        trainer = trainer_of(prepared, folder, progress)
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    if is_main():
        shutil.rmtree(beside, ignore_errors=True)
        trainer.model.save_pretrained(str(beside), create_model_card=False)
        card.write(prepared, trainer, beside, seconds=time.perf_counter() - start)
        if (log := folder / "eval" / LOG).exists():
            shutil.copy(log, records / LOG)
        say(outcome(prepared, trainer, folder))
        say(f"leaks, mining report and evaluations: {records}")


def outcome(prepared: Prepared, trainer: Any, folder: Path) -> str:
    """A line on the checkpoint that was chosen, and what it is to be compared with."""
    state, count = trainer.state, trainer.state.global_step
    steps = f"{count:,} step{'s' if count != 1 else ''}"
    figures = {line["step"]: line for line in evaluation.logged(folder / "eval")}
    if prepared.evaluator is None or state.best_metric is None or not figures:
        return f"{steps}; the last weights are kept, for no queries are held out to choose by"
    metric = prepared.options.evaluation.metric
    before = figures.get(0, {}).get(str(prepared.evaluator.primary_metric))
    first = next(iter(figures.values())).get(f"first_{metric}")
    told = [
        f"{name} {value:.3f}"
        for name, value in (("before training", before), ("first stage", first))
        if value is not None
    ]
    best = f"best of {steps}: step {state.best_global_step:,}, {metric} {state.best_metric:.3f} on held-out queries"
    worse = "; training made it worse" if before is not None and before > state.best_metric else ""
    return best + (f" ({', '.join(told)})" if told else "") + worse


@contextmanager
def curves_in(folder: Path) -> Iterator[None]:
    """What is made meanwhile writes TensorBoard's curves there, unless the user says where.

    By itself it writes them into the training folder, which is removed.
    """
    name = "TENSORBOARD_LOGGING_DIR"
    if name in os.environ:
        yield
        return
    os.environ[name] = str(folder)
    try:
        yield
    finally:
        del os.environ[name]
