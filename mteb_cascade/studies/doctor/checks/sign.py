"""Scores of the wrong sign."""

from __future__ import annotations

from collections.abc import Iterator

from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.studies.doctor.checks import constant, swapped
from mteb_cascade.studies.doctor.finding import Finding, Verdict
from mteb_cascade.studies.doctor.lacking import lacking
from mteb_cascade.studies.doctor.separation import separation
from mteb_cascade.studies.doctor.subject import Subject

CHECK = "score sign"

REMEDY = (
    "a higher score has to mean more relevant: negate what `score` returns (a distance, a loss, the label 'irrelevant')"
)

REMEDY_OF_HYBRID = "its members' scores are right, so look at their weights: a negative one turns a member around"


def shown(subject: Subject) -> bool:
    """Whether answers are shown to score below other documents, and nothing else explains it."""
    explained = constant.shown(subject) or lacking(subject.stage) or swapped.shown(subject)
    return not explained and separation(subject.probe_scores, subject.part.clusters).below


def check(subject: Subject) -> Iterator[Finding]:
    """Whether answers score above documents that answer other queries, rather than below them."""
    label = subject.stage.label
    if isinstance(subject.stage, Cascade) or any(shown(part) for part in subject.parts):
        return
    found = separation(subject.probe_scores, subject.part.clusters)
    figures = {"area": found.area, "p_value": found.p_value, "queries": found.queries}
    if not found.queries:
        yield Finding(CHECK, label, "skipped", "no query has an answer that is scored", figures=figures)
    elif not found.below:
        verdict: Verdict = "skipped" if found.area < 0.5 else "ok"
        yield Finding(CHECK, label, verdict, str(found), figures=figures)
    elif shown(subject):
        remedy = REMEDY_OF_HYBRID if isinstance(subject.stage, Hybrid) else REMEDY
        yield Finding(CHECK, label, "fail", str(found), remedy, figures)
    else:
        yield Finding(CHECK, label, "skipped", f"{found}; another check says why", figures=figures)
