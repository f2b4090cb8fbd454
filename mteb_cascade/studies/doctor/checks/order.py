"""What a ranking must keep: the candidates, whatever the order, and at depth 1 the order too."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from mteb_cascade.errors import InputError
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.store.switch import bypassed
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.subject import DEPTH, Subject, checked
from mteb_cascade.values.run import PAD, Run

SET, DEPTH_1 = "set preservation", "depth-1 invariance"

FEW = 2
"""Queries that are ranked anew: scoring costs, and these laws hold for every query or are broken."""


def check(subject: Subject) -> Iterator[Finding]:
    """Whether ranking adds and loses nothing, and a cascade of depth 1 changes nothing."""
    with bypassed():
        yield preserved(subject)
        if isinstance(subject.stage, Cascade):
            yield invariant(subject, subject.stage)


def preserved(subject: Subject) -> Finding:
    """Whether `rank`, and each step of a cascade, hands on what it received, and pads stay pads."""
    stage, label = subject.stage, subject.stage.label
    queries = subject.queries.first(FEW)
    received = subject.candidates.rows(slice(0, FEW))
    received = received.widened(received.depth + 1)
    if isinstance(stage, Cascade):
        runs = stage.trace(queries, DEPTH, [min(depth, DEPTH) for depth in stage.depths])
    else:
        runs = [received, stage.rank(queries, received)]
    pairs = list(pairwise(runs))
    added = sum(strangers(after, before) for before, after in pairs)
    lost = sum(strangers(before, after) for before, after in pairs)
    faults = [f"{added} documents added", f"{lost} lost"] if added or lost else []
    unscored = 0
    if not isinstance(stage, Cascade):
        raw = np.asarray(stage.score(queries, received), np.float32)
        try:
            unscored = int(np.isneginf(checked(stage, received, raw)[received.docs != PAD]).sum())
            if not np.isneginf(raw[received.docs == PAD]).all():
                faults.append("pads get scores other than -inf")
        except InputError as error:
            faults.append(str(error))
    figures = {"queries": len(queries), "added": added, "lost": lost, "unscored": unscored}
    few = f"({len(queries)} queries)"
    if faults:
        remedy = "leave `rank` to the stage; write a `score` that gives one finite number a candidate and -inf at pads"
        return Finding(SET, label, "fail", f"{', '.join(faults)} {few}", remedy, figures)
    if unscored:
        evidence = (
            f"{unscored} of {int(received.lengths.sum())} candidates have no score and stand below the others {few}"
        )
        return Finding(SET, label, "note", evidence, figures=figures)
    return Finding(SET, label, "ok", f"no document added or lost {few}", figures=figures)


def strangers(run: Run, known: Run) -> int:
    """Documents of a run that the other has not, those that stand twice among them."""
    found = 0
    for docs, others in zip(run.docs, known.docs, strict=True):
        real = docs[docs != PAD]
        found += len(real) - len(np.intersect1d(real, others))
    return found


def invariant(subject: Subject, cascade: Cascade) -> Finding:
    """Whether a cascade of which every step reranks one candidate returns what its first stage does."""
    queries = subject.queries.first(FEW)
    runs = cascade.trace(queries, DEPTH, [1] * len(cascade.steps))
    kept = int((runs[0].docs == runs[-1].docs).all(axis=1).sum())
    figures = {"queries": len(queries), "kept": kept}
    evidence = f"{kept} of {len(queries)} queries keep the first stage's order where every step reranks one candidate"
    if kept == len(queries):
        return Finding(DEPTH_1, cascade.label, "ok", evidence, figures=figures)
    remedy = "let a step move only what it scores: what stands below its depth stays there, in its old order"
    return Finding(DEPTH_1, cascade.label, "fail", evidence, remedy, figures)
