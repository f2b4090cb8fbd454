"""Can it learn at all? One batch, again and again: a model that cannot learn it by heart will learn nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.load import stage_class
from mteb_cascade.training.feeds import best_as_answer
from mteb_cascade.training.steps.batches import Batches
from mteb_cascade.training.watching.collapse import Collapse, Spread, of_stage, spread
from mteb_cascade.training.watching.evaluation import at_rest
from mteb_cascade.training.watching.untouched import quiet_trainer
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    from mteb_cascade.training.prepared import Prepared

STEPS = 100
"""Steps for each batch, unless it is known by heart before."""

BY_HEART = 0.95
"""Share of queries whose answer has to come first."""

NEXT_TO_NOTHING = 0.01
"""Share of the first loss at which there is nothing left to learn."""

DOCUMENTS = 256
"""Documents that are looked at for collapse."""


@dataclass(frozen=True)
class Overfit:
    """What became of a batch that was trained on again and again.

    Args:
        examples: Rows of the dataset that were learned.
        steps: Optimiser steps.
        first_loss: Mean over the batches before any of them was learned.
        last_loss: Mean over the batches at the end.
        before: Share of the comparisons that the network gets right, untrained; NaN where there are none.
        after: The same in the end.
        compared: What was compared, in words.
        reading: Collapse in the end.
    """

    examples: int
    steps: int
    first_loss: float
    last_loss: float
    before: float
    after: float
    compared: str
    reading: Collapse | Spread

    @property
    def learned(self) -> bool:
        """Whether the batch is known by heart; by the loss where there is nothing to compare."""
        if math.isnan(self.after):
            return self.last_loss <= 0.1 * self.first_loss
        return self.after >= BY_HEART

    @property
    def verdict(self) -> str:
        """One line for people."""
        if self.learned:
            return "it can learn: the batch is known by heart"
        if self.reading.collapsed:
            return f"it does not learn, it collapses: {self.reading.verdict}"
        if self.last_loss < 0.9 * self.first_loss or self.after > self.before:
            return "it learns, but does not know the batch by heart: try more steps or a higher learning rate"
        return "it does not learn: try another learning rate, temperature or loss"

    def __str__(self) -> str:
        lines = {
            "examples": f"{self.examples:,}, {self.steps:,} steps",
            "loss": f"{self.first_loss:.4g} -> {self.last_loss:.4g}",
            "right": f"{self.before:.0%} -> {self.after:.0%} of {self.compared}",
            "vectors" if isinstance(self.reading, Collapse) else "logits": self.reading.verdict,
            "verdict": self.verdict,
        }
        if math.isnan(self.after):
            del lines["right"]
        return "\n".join(f"{name:<10} {text}" for name, text in lines.items())


class Again(Batches):
    """The first few batches of another sampler's first epoch, in every epoch.

    Args:
        batches: The sampler.
        count: Batches that are taken of it, at most.
    """

    def __init__(self, batches: Batches, count: int) -> None:
        self.__dict__.update(vars(batches))
        self.few = list(islice(batches.of_epoch(0), count))
        self.steps = len(self.few)

    def of_epoch(self, epoch: int) -> Iterator[list[int]]:
        """The same batches, whatever the epoch."""
        return iter(self.few)


@dataclass(frozen=True, eq=False)
class Shown:
    """The documents that a few examples show, by query.

    Args:
        queries: Q queries.
        candidates: [Q, K], each query's documents.
        answers: bool [Q, K], which of them should come first.
        alone: Whether examples are single documents: their scores are compared across queries.
    """

    queries: Queries
    candidates: Run
    answers: NDArray[np.bool_]
    alone: bool

    @property
    def others(self) -> NDArray[np.bool_]:
        """Bool [Q, K], documents that should not come first."""
        return np.asarray((self.candidates.docs != PAD) & ~self.answers)

    @property
    def ranked(self) -> NDArray[np.bool_]:
        """Bool [Q], queries that have both an answer and something else."""
        return np.asarray(self.answers.any(axis=1) & self.others.any(axis=1))

    @property
    def compared(self) -> str:
        """What `right` counts, in words."""
        if self.alone:
            return (
                f"{self.answers.sum() * self.others.sum():,} comparisons of an answer's score with another document's"
            )
        return f"{self.ranked.sum():,} queries, whose answer is first of {self.candidates.lengths.mean():.0f} documents"

    def right(self, scores: NDArray[np.float32]) -> float:
        """Share of the comparisons that scores [Q, K] get right; a tie is wrong. NaN where there are none."""
        if self.alone:
            below = scores[self.others][None, :] < scores[self.answers][:, None]
            return float(below.mean()) if below.size else math.nan
        best, rival = (np.where(cells, scores, -np.inf).max(axis=1) for cells in (self.answers, self.others))
        return float((best > rival)[self.ranked].mean()) if self.ranked.any() else math.nan


def overfit(prepared: Prepared, batches: int = 1, steps: int | None = None, progress: Progress = silent) -> Overfit:
    """Train on a few batches again and again, at the spec's learning rate without warm-up, and see what stays.

    The network is afterwards as it was before.

    Args:
        prepared: What `train` would train.
        batches: How many.
        steps: Optimiser steps; by default `STEPS` for each batch, fewer where nothing is left to learn.
        progress: Told after each step.

    Raises:
        InputError: `batches` is none, the loss is NaN, or memory does not suffice.
    """
    if batches < 1:
        raise InputError(f"overfit: expected at least 1 batch, got {batches}")
    most = steps or STEPS * batches
    changes = {"max_steps": most, "lr_scheduler_type": "constant", "warmup_steps": 0, "weight_decay": 0.0}
    with quiet_trainer(prepared, progress, **changes) as trainer:
        sampler = trainer.args.batch_sampler
        trainer.args.batch_sampler = lambda *given, **options: Again(sampler(*given, **options), batches)
        trainer.get_train_dataloader()
        again = trainer.batches
        rows = [row for batch in again.few for row in batch]
        shown = shown_by(prepared, rows)
        before, _ = known(prepared, shown)
        if steps is None:
            trainer.add_callback(nothing_left(len(again.few)))
        trainer.train()
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        after, reading = known(prepared, shown)
    few = len(again.few)
    return Overfit(
        examples=len(rows),
        steps=trainer.state.global_step,
        first_loss=float(np.mean(losses[:few])),
        last_loss=float(np.mean(losses[-few:])),
        before=before,
        after=after,
        compared=shown.compared,
        reading=reading,
    )


def nothing_left(batches: int) -> Any:
    """A callback that ends the training where each batch's last loss is next to nothing."""
    from transformers import TrainerCallback

    class NothingLeft(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            losses = [line["loss"] for line in state.log_history if "loss" in line]
            if len(losses) > batches and max(losses[-batches:]) < NEXT_TO_NOTHING * max(losses[:batches]):
                control.should_training_stop = True

    return NothingLeft()


def shown_by(prepared: Prepared, rows: list[int]) -> Shown:
    """What these rows of the dataset show: in form "tuples" every document to every query, else each query its own.

    The answers are the relevant documents; where a teacher's scores are learned, the one that it scores highest.
    """
    lists = best_as_answer(prepared.lists)
    learns_scores = lists.scored and prepared.form in ("scored", "lists")
    examples = prepared.dataset.with_format(None).select(rows)
    documents: dict[int, set[int]] = {}
    for query, docs in zip(examples["query"], examples["documents"], strict=True):
        documents.setdefault(query, set()).update(docs)
    together = prepared.form == "tuples" and prepared.options.in_batch
    everything = set().union(*documents.values())
    own = {query: sorted(everything if together else docs) for query, docs in documents.items()}
    queries = sorted(own)
    docs = np.full((len(own), max(map(len, own.values()))), PAD, np.int32)
    answers = np.zeros(docs.shape, bool)
    for place, query in enumerate(queries):
        listed = own[query]
        docs[place, : len(listed)] = listed
        labels = dict(zip(lists.docs[query].tolist(), lists.labels[query].tolist(), strict=True))
        right = set(lists.docs[query][lists.relevant[query]].tolist())
        if learns_scores:
            right = {max(documents[query], key=lambda doc: labels.get(doc, -np.inf))}
        answers[place, : len(listed)] = [doc in right for doc in listed]
    asked = lists.queries.rows(queries)
    scores = np.where(docs == PAD, -np.inf, 0).astype(np.float32)
    return Shown(asked, Run(asked.ids, lists.corpus, docs, scores), answers, prepared.form == "labelled")


def known(prepared: Prepared, shown: Shown) -> tuple[float, Collapse | Spread]:
    """Share of the comparisons that are right, and the collapse reading, as the network is now."""
    run = shown.candidates
    with at_rest(prepared.network):
        stage: Any = stage_class(prepared.kind)
        stage = stage.around(prepared.network, name=prepared.what)
        scores = stage.scored(shown.queries, run)
        if prepared.kind == "cross-encoder":
            reading: Collapse | Spread = spread(scores)
        else:
            documents = np.unique(run.docs[run.docs != PAD])[:DOCUMENTS]
            reading = of_stage(stage, run.corpus.texts_at(documents))
    return shown.right(scores), reading
