"""A ceiling that makes the question moot: nothing to win by reranking, or no answers among the candidates."""

from __future__ import annotations

from collections.abc import Iterator

from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.studies.doctor.finding import Finding, Verdict
from mteb_cascade.studies.doctor.subject import Subject

CHECK = "ceiling"

FEW, HARDLY = 0.05, 0.1
"""Share of queries that a reranker can win at all, below which that is noted; and with an answer in the pool, below
which it fails."""

FEWEST = 10
"""Queries of which such a share is told as more than a note."""


def check(subject: Subject) -> Iterator[Finding]:
    """What a reranker receives: how many queries have an answer in it, and how many have it at rank 1 already."""
    stage = subject.stage
    if not reranks(stage, subject.whole):
        return
    pool = subject.received.without_identical_ids() if subject.collection.ignore_identical_ids else subject.received
    relevant = subject.qrels.of_run(pool) >= subject.qrels.relevance_level
    queries, depth = relevant.shape
    reachable = int(relevant.any(axis=1).sum())
    already = int(relevant[:, :1].any(axis=1).sum())
    to_win = reachable - already
    evidence = (
        f"of {queries} queries {reachable} have an answer among the first {depth} of {subject.sender}, {already} of "
        f"them at rank 1: reranking can win {to_win}"
    )
    figures = {"queries": queries, "depth": depth, "reachable": reachable, "at_rank_1": already, "to_win": to_win}
    label = stage.label
    moot: Verdict = "fail" if queries >= FEWEST else "note"
    if reachable < HARDLY * queries:
        remedy = f"mend {subject.sender} first, or make depth larger: what it does not find, no reranker can"
        yield Finding(CHECK, label, moot, evidence, remedy, figures)
    elif not to_win:
        remedy = "make depth larger, ask a harder collection, or leave the reranker out"
        yield Finding(CHECK, label, moot, evidence, remedy, figures)
    elif to_win < FEW * queries:
        remedy = "a larger depth or a harder collection would tell more"
        yield Finding(CHECK, label, "note", evidence, remedy, figures)
    else:
        yield Finding(CHECK, label, "ok", evidence, figures=figures)


def reranks(stage: Stage, whole: Stage) -> bool:
    """Whether a stage is there to rerank: a step of the cascade asked about, or one that could not search by itself."""
    if isinstance(whole, Cascade) and whole is not stage:
        return any(stage is step.stage for step in whole.steps)
    return stage is whole and type(stage).retrieve is Stage.retrieve
