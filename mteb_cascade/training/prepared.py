"""All that a training run needs: data, negatives, the network, its loss, and what watches it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.spec import Spec, SpecError, shown
from mteb_cascade.stages.training_facts import SCRATCH
from mteb_cascade.training import losses
from mteb_cascade.training.arguments import computes_in_bfloat16
from mteb_cascade.training.data.training_data import TrainingData, load_training, without_scores
from mteb_cascade.training.feeds import Form, feed
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.mining.mined import Mined, mined
from mteb_cascade.training.mining.stage_scores import stage_of
from mteb_cascade.training.mining.teacher import taught
from mteb_cascade.training.networks.build import NETWORKS, base_folder, build
from mteb_cascade.training.options import Training
from mteb_cascade.training.steps import by_name
from mteb_cascade.training.steps.ranks import main_first, world_size
from mteb_cascade.training.watching import evaluation
from mteb_cascade.training.watching.evaluation import DepthSweep

if TYPE_CHECKING:
    from datasets import Dataset


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
    mistakes = [*losses.check(spec.kind, options), *by_name.mistakes(options), *evaluation.mistakes(options.evaluation)]
    if options.separate and spec.kind != "bi-encoder":
        mistakes.append("[training] separate: only a bi-encoder can have an encoder each for queries and documents")
    if options.batch_size % world_size():
        mistakes.append(
            f"[training] batch_size: {options.batch_size} cannot be split evenly among {world_size()} processes"
        )
    if options.matryoshka and spec.kind != "bi-encoder":
        mistakes.append(f"[training] matryoshka: a {spec.kind} has no vector to shorten; only a bi-encoder has")
    taught = [word for word in losses.words(spec.kind) if losses.needs(word, spec.kind).scores]
    if options.teacher is not None and options.loss in losses.words(spec.kind) and options.loss not in taught:
        mistakes.append(f"[training] teacher: loss '{options.loss}' learns from no scores; {', '.join(taught)} do")
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
    need = losses.needs(options.loss, spec.kind)
    with main_first():
        # What is named is looked for before hours are spent on what comes before it.
        if options.base != SCRATCH:
            base_folder(options, what)
        if options.teacher is not None:
            stage_of(options.teacher, f"{what}: [training] teacher")
        data = load_training(options, what)
        if data.lists.scored and not need.scores:
            data = without_scores(data)
        if need.scores and options.teacher is None and not data.lists.scored:
            raise InputError(
                f"{what}: [training] loss '{options.loss}' learns from a teacher's scores: "
                "give teacher, or a data file with scores"
            )
        network = build(spec.kind, options, data.lists.corpus, folder / "base", what)
        loss = losses.build(spec.kind, network, options, what)
        evaluator = None
        if data.held_out is not None:
            in_bfloat16 = computes_in_bfloat16(options)
            evaluator = DepthSweep.of(
                spec.kind, data, options.evaluation, options.seed, what, progress, bfloat16=in_bfloat16
            )
        found = mined(data, options, what, progress)
        lists = taught(found.lists, options.teacher, what, progress)
    form = losses.form_of(options.loss, spec.kind, what)
    dataset = feed(lists, form, positives=options.positives, negatives=options.negatives, what=what)
    return Prepared(spec, options, data, found, lists, network, dataset, loss, evaluator)
