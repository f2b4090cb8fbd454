"""Every check on every stage of a model."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.load import load
from mteb_cascade.studies.doctor.checks import (
    ceiling,
    collapse,
    constant,
    head,
    labels,
    leak,
    normalisation,
    order,
    pad_token,
    padding,
    precision,
    prompts,
    sign,
    swapped,
    truncation,
)
from mteb_cascade.studies.doctor.checks.leak import specs_of
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.subject import Subject, sampled, subjects

Check = Callable[[Subject], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    order.check,
    constant.check,
    swapped.check,
    sign.check,
    head.check,
    padding.check,
    pad_token.check,
    collapse.check,
    precision.check,
    truncation.check,
    prompts.check,
    normalisation.check,
    leak.check,
    ceiling.check,
    labels.check,
)
"""In the order of the report: what breaks everything first."""

QUERIES = 50

REFUSED = "mend this first; the stage, and what it hands on to, are not examined"
STOPPED = "mend `score`: it gives float32 [queries, candidates], -inf at pads; no other check is run on this stage"


@dataclass(frozen=True)
class Examination:
    """What all checks found.

    Args:
        model: Label of the model.
        task: Title of the collection.
        split: Name of the split.
        queries: Queries sampled.
        findings: One or more a check and stage, in the order of the checks.
    """

    model: str
    task: str
    split: str
    queries: int
    findings: tuple[Finding, ...]

    @property
    def failed(self) -> bool:
        """Whether a check fails."""
        return any(finding.verdict == "fail" for finding in self.findings)

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        about = {"model": self.model, "task": self.task, "split": self.split, "queries": self.queries}
        return {**about, "failed": self.failed, "findings": [in_json(one.as_json()) for one in self.findings]}


def in_json(value: Any) -> Any:
    """A figure, or several, as JSON has them: None for what is no finite number."""
    if isinstance(value, Mapping):
        return {str(key): in_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [in_json(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def examine(
    name: str | Stage,
    task: str | Path | None = None,
    *,
    split: str | None = None,
    subset: str | None = None,
    first: str | Stage | None = None,
    queries: int = QUERIES,
    allow_empty: bool = False,
    progress: Progress = silent,
) -> Examination:
    """Examine a model on sampled queries; the specs' own training data are read for the leak check only.

    Args:
        name: A model by name, folder or hub id, or a stage.
        task: PythonDocs, a BEIR folder or a task of mteb; by default what the model was trained on, else PythonDocs.
        split: Split of the queries; the collection's default split where none is named.
        subset: Of a task that has several.
        first: Who finds candidates for a stage that nothing stands before; BM25 by default.
        queries: Queries sampled, at most.
        allow_empty: Accept documents without text.
        progress: Told of each check.

    Raises:
        InputError: Model or task are unknown, weights are missing, or no query has an answer.
    """
    whole = load(name)
    whole.fetch_missing()
    finder = None if first is None else load(first)
    if finder is not None:
        finder.prepare()
    collection = load_collection(task or trained_on(whole), split, subset=subset, allow_empty=allow_empty)
    split = split or collection.default_split
    part = sampled(collection, split, queries)
    if not len(part.queries):
        raise InputError(
            f"{collection.title}, {split}: no query has a relevant document in the corpus; nothing to examine"
        )
    progress(0, 1, "candidates")
    findings, refused = loaded(whole)
    seen = []
    try:
        seen = subjects(whole, collection, split, part, finder, refused)
    except Exception as error:  # a stage of the user's own may raise anything
        findings.append(Finding("retrieval", whole.label, "fail", f"stopped: {said(error)}", REFUSED))
    for subject in list(seen):
        progress(0, 1, f"scores: {subject.stage.label}")
        try:
            _ = subject.scores
        except Exception as error:
            findings.append(Finding("scores", subject.stage.label, "fail", f"stopped: {said(error)}", STOPPED))
            seen.remove(subject)
    steps = [(check, subject) for check in CHECKS for subject in seen]
    for number, (check, subject) in enumerate(steps):
        progress(number, len(steps), f"{name_of(check)}: {subject.stage.label}")
        findings += outcome(check, subject)
    progress(len(steps), max(len(steps), 1), "")
    return Examination(whole.label, collection.title, split, len(part.queries), tuple(findings))


def trained_on(whole: Stage) -> str:
    """The collection of the first [training] table behind a model that names one; else PythonDocs."""
    named = (spec.training.get("collection") for spec in specs_of(whole))
    return next((str(name) for name in named if name), "PythonDocs")


def loaded(stage: Stage) -> tuple[list[Finding], list[Stage]]:
    """A failure for each stage that refuses to be loaded, such as one with a random head; and these stages."""
    if stage.parts:
        several = [loaded(part) for part in stage.parts]
        return [one for found, _ in several for one in found], [one for _, refused in several for one in refused]
    try:
        stage.prepare()
    except Exception as error:
        return [Finding("loading", stage.label, "fail", said(error), REFUSED)], [stage]
    return [], []


def outcome(check: Check, subject: Subject) -> list[Finding]:
    """What a check finds; one that cannot be run says so, and the others go on."""
    findings: list[Finding] = []
    try:
        findings += check(subject)
    except Exception as error:
        evidence = f"could not be run: {said(error)}"
        findings.append(Finding(name_of(check), subject.stage.label, "skipped", evidence))
    return findings


def said(error: Exception) -> str:
    """An exception in one line; of ours the message says it all."""
    text = in_one_line(error)
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}".removesuffix(": ")


def name_of(check: Check) -> str:
    """What a check is called before it has found anything."""
    return str(getattr(sys.modules[check.__module__], "CHECK", check.__name__))
