"""A random or missing head: scores that tell answers from other documents no better than chance."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.studies.doctor.checks import constant, sign, swapped
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.lacking import lacking
from mteb_cascade.studies.doctor.separation import separation
from mteb_cascade.studies.doctor.subject import Subject

CHECK = "random head"

HARDLY = 0.65
"""Answers that beat a smaller share of other documents beat hardly more than chance would have it."""

FEWEST = 11
"""Queries below which no verdict reaches the level of proof."""

PERHAPS_TURNED = (
    "its scores may have the wrong sign: see whether negated ones do better, or ask more with --queries 200"
)

REMEDY = "name a model that was trained to rank, or train this one: `mteb-cascade train NAME` with this model as base"


def check(subject: Subject) -> Iterator[Finding]:
    """Whether all that decides scores was loaded, and tells answers from other documents."""
    stage, label = subject.stage, subject.stage.label
    if isinstance(stage, Cascade):
        return
    names = lacking(stage)
    found = separation(subject.probe_scores, subject.part.clusters)
    figures = {"missing": names, "area": found.area, "p_value": found.p_value, "queries": found.queries}
    if names:
        evidence = f"{named(names)} not in the weight files, so random at every load; {found}"
        yield Finding(CHECK, label, "fail", evidence, REMEDY, figures)
        return
    if not found.queries:
        yield Finding(CHECK, label, "skipped", "no query has an answer that is scored", figures=figures)
        return
    explained = [one.CHECK for one in (constant, swapped, sign) if one.shown(subject)]
    hardly = found.area <= HARDLY
    if explained:
        yield Finding(CHECK, label, "skipped", f"see '{explained[0]}'", figures=figures)
    elif not subject.reads_texts and not stage.untrained and (subject.parts or not hardly):
        return
    elif stage.untrained:
        evidence = f"never trained to rank, a baseline; {found}"
        yield Finding(CHECK, label, "note", evidence, figures=figures)
    elif hardly and found.queries < FEWEST:
        yield Finding(CHECK, label, "skipped", f"too few queries to tell: {found}", figures=figures)
    elif hardly and not found.above:
        remedy = f"{PERHAPS_TURNED}; else {REMEDY}" if found.perhaps_below else REMEDY
        yield Finding(CHECK, label, "fail", f"no better than chance: {found}{untouched(stage)}", remedy, figures)
    elif hardly:
        yield Finding(CHECK, label, "note", f"hardly better than chance: {found}", figures=figures)
    else:
        yield Finding(CHECK, label, "ok", str(found), figures=figures)


def named(names: Sequence[str]) -> str:
    """The first few tensors, and how many more."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more} {'is' if len(names) == 1 else 'are'}"


def untouched(stage: Stage) -> str:
    """A word on a score head whose bias is exactly 0, as networks are made; '' where it has been moved."""
    network: Any = getattr(stage, "network", None)
    body: Any = getattr(network, "transformers_model", None)
    biases = [
        name
        for name, value in (body.named_parameters() if body is not None else ())
        if not name.startswith(f"{body.base_model_prefix}.") and name.endswith("bias") and not value.any()
    ]
    return f"; {named(biases)} exactly 0, as before any training" if biases else ""
