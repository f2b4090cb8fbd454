"""A pair scored in a batch beside longer texts against the same pair scored alone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.studies.doctor.checks import pad_token
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.subject import Subject, afresh, checked, unranked
from mteb_cascade.values.run import PAD

CHECK = "padded batch"

FEW = 8
"""Queries of which a pair is scored both ways."""

TOLERANCE = {"float32": 1e-3, "float16": 0.1, "bfloat16": 0.3}
"""How far a score may move, as a share of the deviation of the stage's scores."""

REMEDY = (
    "hand the attention mask on to the model, leave pads out of pooling, pad with the token and on the side that it "
    "was trained with; until then batch_size = 1. A stage that means to compare its candidates says pointwise = False"
)

REMEDY_OF_CHANCE = "put the network into evaluation mode (network.eval()): dropout or sampling changes its scores"


def check(subject: Subject) -> Iterator[Finding]:
    """Whether a score depends on what is scored with it, of stages that say that it does not."""
    if not subject.reads_texts:
        return
    stage, label = subject.stage, subject.stage.label
    shortest, longest = by_length(subject)
    rows = np.flatnonzero((shortest != PAD) & (shortest != longest))[:FEW]
    if not len(rows):
        yield Finding(CHECK, label, "skipped", "all candidates are of one length")
        return
    short = shortest[rows, None]
    # Second, since alone it is first: a score that follows from its place in the list moves as well.
    beside = np.hstack([np.full_like(short, longest), short])
    alone = one_by_one(subject, rows, short)
    together = scored(subject, afresh(stage), rows, beside)[:, 1]
    spread = float(np.std(subject.scores[np.isfinite(subject.scores)]))
    moved = np.abs(together - alone) / max(spread, 1e-12)
    dtype = stage.computes_in if isinstance(stage, ModelStage) else "float32"
    tolerance = TOLERANCE.get(dtype, TOLERANCE["float32"])
    figures = {"queries": len(rows), "largest": float(moved.max()), "tolerance": tolerance, "dtype": dtype}
    evidence = (
        f"a pair's score moves by up to {moved.max():.2g} of the scores' deviation when it is scored beside a longer "
        f"text ({len(rows)} pairs, {dtype}, up to {tolerance:g} is rounding)"
    )
    if moved.max() <= tolerance:
        yield Finding(CHECK, label, "ok", evidence, figures=figures)
        return
    again = np.abs(one_by_one(subject, rows, short) - alone).max() / max(spread, 1e-12)
    if again > tolerance:
        evidence = (
            f"a pair scored alone, twice, moves by up to {again:.2g} of the scores' deviation ({len(rows)} pairs)"
        )
        yield Finding(CHECK, label, "fail", evidence, REMEDY_OF_CHANCE, figures)
    elif pad_token.shown(subject):
        yield Finding(CHECK, label, "skipped", f"{evidence}; see '{pad_token.CHECK}'", figures=figures)
    else:
        yield Finding(CHECK, label, "fail", evidence, REMEDY, figures)


def by_length(subject: Subject) -> tuple[NDArray[np.int32], int]:
    """Each query's shortest candidate [Q], -1 where it has none, and the longest of all."""
    docs = subject.candidates.docs
    sizes = pc.binary_length(subject.candidates.corpus.texts).to_numpy()[docs].astype(np.float64)
    shortest = docs[np.arange(len(docs)), np.where(docs == PAD, np.inf, sizes).argmin(axis=1)]
    return shortest, int(docs.flat[np.where(docs == PAD, -np.inf, sizes).argmax()])


def scored(subject: Subject, stage: Stage, rows: NDArray[np.intp], docs: NDArray[np.int32]) -> NDArray[np.float32]:
    """Scores of documents [n, K] for the queries at these rows, in one call."""
    queries = subject.queries.rows(rows.tolist())
    run = unranked(queries.ids, subject.candidates.corpus, docs)
    return checked(stage, run, stage.score(queries, run))


def one_by_one(subject: Subject, rows: NDArray[np.intp], docs: NDArray[np.int32]) -> NDArray[np.float32]:
    """Scores of documents [n, 1] for the queries at these rows, float32 [n], each in a call of its own."""
    stage = afresh(subject.stage)
    parts = [scored(subject, stage, rows[at : at + 1], docs[at : at + 1]) for at in range(len(rows))]
    return np.concatenate(parts)[:, 0]
