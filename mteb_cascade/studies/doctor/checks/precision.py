"""Whether a short number format changes the best candidate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.dtypes import FLIPS
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.stages.modules import is_module
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.subject import Subject, checked

CHECK = "format flips"

FEW = 16
"""Queries scored in the other format: float32 takes several times as long where bfloat16 pays."""

LEVEL = 0.05
"""Of the test that there are more than `FLIPS`, which a stage that serves in a short format fails by."""


def check(subject: Subject) -> Iterator[Finding]:
    """How often the best candidate in the format that serves is another than in float32; of float32, in bfloat16."""
    stage, label = subject.stage, subject.stage.label
    if not isinstance(stage, ModelStage) or not stage.files() or is_module(stage.network):
        return
    if stage.network.transformers_model is None or stage.computes_in == "float16":
        return
    from scipy.stats import binomtest

    is_short = stage.computes_in != "float32"
    short = str(stage.number_format) if is_short else "bfloat16"
    count = min(FEW, len(subject.queries))
    queries, candidates = subject.queries.rows(range(count)), subject.candidates.rows(slice(0, count))
    twin = replace(stage, dtype="float32" if is_short else "bfloat16", backend="torch")
    flips = flipped(subject.scores[:count], checked(twin, candidates, twin.score(queries, candidates)))
    found = int(flips.sum())
    figures = {"queries": count, "flips": found, "serves": stage.computes_in}
    evidence = f"{short} and float32 disagree on the best candidate of {found} of {count} queries"
    if not is_short:
        yield Finding(CHECK, label, "ok", f"{evidence}; float32 serves", figures=figures)
    elif binomtest(found, count, FLIPS, alternative="greater").pvalue < LEVEL:
        more = f"{evidence}, shown to be more than {FLIPS:.0%}"
        yield Finding(CHECK, label, "fail", more, 'set dtype = "float32" in its spec', figures)
    else:
        yield Finding(CHECK, label, "note" if found else "ok", evidence, figures=figures)


def flipped(one: NDArray[np.float32], other: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Queries whose best candidate in one is not among the best in the other, bool [Q]; scores [Q, K]."""
    best = one.argmax(axis=1)[:, None]
    flips: NDArray[np.bool_] = np.take_along_axis(other, best, axis=1)[:, 0] < other.max(axis=1)
    return flips
