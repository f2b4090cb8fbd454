"""Hard negatives: what the first stages retrieve for the training queries, less what may be an answer after all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.base import Stage, hash_of
from mteb_cascade.store.folder import cache_folder, refuse_unwritable
from mteb_cascade.store.switch import answers as store_answers
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.mining import kept as mined_lists
from mteb_cascade.training.mining.answers import Answers
from mteb_cascade.training.mining.candidates import Candidates, interleaved, judged, retrieved, ruled
from mteb_cascade.training.mining.negatives import ORIGINS, Negatives, drawn, filled, taken
from mteb_cascade.training.mining.report import report_of
from mteb_cascade.training.mining.stage_scores import stage_of
from mteb_cascade.training.options import Training
from mteb_cascade.values.run import PAD

if TYPE_CHECKING:
    from mteb_cascade.training.data.training_data import TrainingData

RULES_VERSION = 1
"""Part of the name of what is kept: raised where the same options would choose other negatives."""


@dataclass(frozen=True, eq=False)
class Mined:
    """Training queries with their negatives, and how these were chosen.

    Args:
        lists: Relevant documents first, then the negatives, hardest first, drawn ones last.
        report: What was kept and dropped; `mining_report` writes it.
        folder: Where lists and report are kept; None where nothing is.
    """

    lists: Lists
    report: dict[str, Any]
    folder: Path | None = None


def mined(data: TrainingData, options: Training, what: str, progress: Progress = silent) -> Mined:
    """Training lists with `options.negatives` negatives each.

    Candidates are what each first stage retrieves, in turn, from the corpus of the lists. Out go, in this order,
    answers and what says the same (`answers.RULES`), the first `skip` of the rest, and what the judge scores above
    the best answer less the margin. A margin without a judge makes the first of the first stages the judge. With
    `skip = 0` and no judge the negatives are raw: answers that nobody marked are among them. A share is drawn from
    the whole corpus; a list that is still short gets the data's own negatives, then drawn ones. Without
    `[training.mining]` all that the data does not give is drawn.

    Memory: at most 50 bytes a candidate (100 with several first stages) and 60 a document, its text apart. A killed
    call goes on from what the stores of runs and pair scores have; a second one loads no model.

    Args:
        data: Queries with their relevant documents, perhaps with negatives.
        options: `negatives`, `mining` and `seed` decide.
        what: The spec, as messages call it.
        progress: Told of the queries, then of the pairs that the judge scores.

    Raises:
        InputError: A number or a stage cannot be meant, or the corpus has too few documents.
    """
    refuse(options, data.lists, what)
    mining = options.mining
    if mining is None:
        return without_mining(data, options, what)
    lists = data.lists
    if mining.queries is not None and mining.queries < len(lists):
        lists = lists.rows(np.sort(stream(options, 0).choice(len(lists), mining.queries, replace=False)))
    where = f"{what}: [training.mining]"
    stages = [stage_of(name, f"{where} first") for name in mining.first]
    judge = None
    if mining.judge is not None:
        judge = stage_of(mining.judge, f"{where} judge")
    elif mining.margin is not None or mining.relative_margin is not None:
        judge = stages[0]
    for stage in [*stages, *([judge] if judge else [])]:
        stage.index(lists.corpus)
    folder = folder_of(data, lists, options, stages, judge)
    if folder is not None:
        kept = mined_lists.read(folder, lists)
        if kept is not None:
            return Mined(*kept, folder)
        refuse_unwritable(folder)
    run, source = interleaved([retrieved(stage, lists, mining.depth, progress) for stage in stages])
    if not run.depth:
        raise InputError(
            f"{where} first: {', '.join(stage.label for stage in stages)} found nothing for any of the "
            f"{len(lists):,} training queries; a run file must name their ids"
        )
    answers = Answers(lists)
    candidates = ruled(run, source, answers, mining.skip, progress)
    if judge is not None:
        candidates = judged(candidates, lists, judge, mining, f"{where} judge", progress)
    hard = options.negatives - round(mining.random * options.negatives)
    found = taken(run.docs, candidates.believed, hard, mining.sampling, stream(options, 1))
    refused = np.where(candidates.believed, PAD, run.docs).astype(np.int32)
    negatives = filled(lists, answers, found, given_of(lists), refused, options.negatives, stream(options, 2), what)
    made = with_negatives(lists, negatives)
    report = report_of(what, data.name, lists, candidates, negatives, options, stages, judge)
    # Loading may have settled what a stage's fingerprint depends on.
    folder = folder_of(data, lists, options, stages, judge)
    if folder is not None:
        mined_lists.write(folder, made, report)
    return Mined(made, report, folder)


def without_mining(data: TrainingData, options: Training, what: str) -> Mined:
    """The lists as they are, short ones filled up with documents drawn from the whole corpus."""
    lists = data.lists
    given, count = given_of(lists), options.negatives
    negatives = Negatives(given, np.where(given == PAD, -1, ORIGINS.index("given")).astype(np.int8))
    if ((given != PAD).sum(axis=1) < count).any() and not lists.scored:
        given = np.pad(given, ((0, 0), (0, max(0, count - given.shape[1]))), constant_values=PAD)
        docs = given.copy()
        docs[:, :count] = drawn(lists, Answers(lists), given[:, :count], given[:, count:], stream(options, 2), what)
        origin = np.where(given == docs, ORIGINS.index("given"), ORIGINS.index("drawn"))
        negatives = Negatives(docs, np.where(docs == PAD, -1, origin).astype(np.int8))
        lists = with_negatives(lists, negatives)
    report = report_of(what, data.name, lists, Candidates.none(lists), negatives, options, [], None)
    return Mined(lists, report)


def refuse(options: Training, lists: Lists, what: str) -> None:
    """Raise InputError, with every mistake a line, where the options or the data cannot be mined with."""
    mining, mistakes = options.mining, []
    if options.negatives < 0:
        mistakes.append(f"[training] negatives: expected at least 0, got {options.negatives}")
    if mining is not None:
        where = "[training.mining]"
        if options.negatives < 1:
            mistakes.append(f"[training] negatives: expected at least 1 with {where}, got {options.negatives}")
        if lists.scored and options.teacher is None:
            mistakes.append(
                f"{where}: the data's lists have scores, and mined negatives would have none; name a teacher, "
                f"or leave {where} out"
            )
        if not mining.first:
            mistakes.append(f"{where} first: expected at least one stage")
        for name, least in (("depth", 1), ("queries", 1), ("skip", 0), ("margin", 0), ("relative_margin", 0)):
            value = getattr(mining, name)
            if value is not None and not least <= value < np.inf:
                mistakes.append(f"{where} {name}: expected at least {least}, got {value}")
        if not 0 <= mining.random <= 1:
            mistakes.append(f"{where} random: expected a share from 0 to 1, got {mining.random}")
        if 1 <= mining.depth * len(mining.first) <= mining.skip:
            mistakes.append(f"{where} skip: expected less than the {mining.depth * len(mining.first)} candidates")
    if mistakes:
        raise InputError("\n".join(f"{what}: {mistake}" for mistake in mistakes))


def stream(options: Training, number: int) -> np.random.Generator:
    """Random numbers of their own for each thing that is drawn."""
    return np.random.default_rng([options.seed, number])


def given_of(lists: Lists) -> NDArray[np.int32]:
    """int32 [Q, G], the negatives that lists have already, -1 at the end."""
    order = np.argsort(~lists.negative, axis=1, kind="stable")
    docs = np.take_along_axis(np.where(lists.negative, lists.docs, PAD), order, axis=1).astype(np.int32)
    return docs[:, : int(lists.negative.sum(axis=1).max(initial=0))]


def with_negatives(lists: Lists, negatives: Negatives) -> Lists:
    """The relevant documents of lists, with their labels, and behind them these negatives."""
    width = int(lists.relevant.sum(axis=1).max(initial=0))
    relevant = lists.relevant[:, :width]
    docs = np.hstack([np.where(relevant, lists.docs[:, :width], PAD), negatives.docs])
    labels = np.hstack([np.where(relevant, lists.labels[:, :width], 0), np.zeros(negatives.docs.shape)])
    relevant = np.hstack([relevant, np.zeros(negatives.docs.shape, bool)])
    order = np.argsort(docs == PAD, axis=1, kind="stable")
    docs, labels, relevant = (np.take_along_axis(values, order, axis=1) for values in (docs, labels, relevant))
    return replace(lists, docs=docs.astype(np.int32), labels=labels.astype(np.float32), relevant=relevant, scored=False)


def folder_of(
    data: TrainingData, lists: Lists, options: Training, stages: Sequence[Stage], judge: Stage | None
) -> Path | None:
    """Where these lists are kept: everything that decides them is in the name; None where that cannot be told."""
    asked = [*stages, *([judge] if judge else [])]
    # A run file is not stored again, but its content tells it apart.
    keys = [one.store_key(lists.queries) or (one.fingerprint if one.kind == "run" else None) for one in asked]
    if not store_answers() or None in keys or options.mining is None:
        return None
    mining = {**asdict(options.mining), "first": keys[: len(stages)], "judge": keys[len(stages) :]}
    decides = [RULES_VERSION, data.digest, lists.corpus.digest, mining, options.negatives, options.seed]
    return cache_folder() / "mined" / hash_of(decides)
