"""Labels too sparse to tell: what takes rank 1 is not judged, or the queries are too few."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.studies.doctor.finding import Finding, Verdict
from mteb_cascade.studies.doctor.subject import DEPTH, Subject
from mteb_cascade.values.qrels import UNJUDGED
from mteb_cascade.values.run import PAD, Run

CHECK = "labels"

SPARSE, BLIND = 0.2, 0.05
"""Judged@1 below which labels tell little of rank 1, and below which they tell nothing."""

FEW_QUERIES = 20


def check(subject: Subject) -> Iterator[Finding]:
    """Judged@1 and Judged@`DEPTH` of the whole model's ranking and of the one that it received.

    The better judged of the two counts: a ranking of nothing but unjudged documents may be the model's own fault, where
    the one before it is judged.
    """
    stage = subject.stage
    if stage is not subject.whole:
        return
    run = ranking_of(subject)
    after, before = (subject.qrels.of_run(one) for one in (run, subject.received.cut(DEPTH)))
    at_1 = judged(run, after, 1), judged(subject.received, before, 1)
    deeper = judged(run, after, DEPTH), judged(subject.received, before, DEPTH)
    queries = len(run.query_ids)
    low = float((after[:, :1] >= subject.qrels.relevance_level).sum() / queries)
    high = min(1.0, low + 1 - at_1[0])
    evidence = (
        f"of the first documents {at_1[0]:.0%} are judged, of the first {DEPTH} {deeper[0]:.0%} (of {subject.sender}'s "
        f"{at_1[1]:.0%} and {deeper[1]:.0%}); success@1 lies between {low:.2f} and {high:.2f}, the unjudged taken for "
        f"wrong or for right ({queries} queries)"
    )
    verdict: Verdict = "ok"
    remedy = ""
    if max(at_1) < SPARSE:
        verdict = "fail" if max(at_1) < BLIND and queries >= FEW_QUERIES else "note"
        remedy = (
            "take a collection with deeper judgements: here a wrong document at rank 1 is one that nobody looked at"
        )
    elif queries < FEW_QUERIES:
        verdict = "note"
        remedy = f"a share of {queries} queries is uncertain by {0.98 / np.sqrt(queries):.2f} either way: ask more"
    figures = {
        "queries": queries,
        "judged@1": at_1[0],
        f"judged@{DEPTH}": deeper[0],
        "received_judged@1": at_1[1],
        f"received_judged@{DEPTH}": deeper[1],
        "success@1_low": low,
        "success@1_high": high,
    }
    yield Finding(CHECK, stage.label, verdict, evidence, remedy, figures)


def ranking_of(subject: Subject) -> Run:
    """What the model ranks first: a cascade's own list, of other models the candidates by their scores."""
    stage: Stage = subject.stage
    if isinstance(stage, Cascade):
        return stage.retrieved(subject.queries, DEPTH)
    candidates = subject.candidates
    return Run.ranked(candidates.query_ids, candidates.corpus, candidates.docs, subject.scores)


def judged(run: Run, grades: NDArray[np.int32], depth: int) -> float:
    """Share of the first `depth` documents that have a judgement, over all queries."""
    real = run.docs[:, :depth] != PAD
    return float((grades[:, :depth] != UNJUDGED)[real].mean()) if real.any() else 0.0
