"""Scores that say nothing: the same for every document, or whatever is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.subject import Subject

CHECK = "constant scores"

MOST = 0.5
"""Share of queries from which on it is no longer the queries."""


@dataclass(frozen=True)
class Constancy:
    """How much scores vary.

    Args:
        queries: Queries with at least two scored documents.
        flat: Those of them whose scores are all equal.
        documents: Documents scored for at least two queries.
        deaf: Those of them whose scores are all equal, though scores differ from document to document.
    """

    queries: int
    flat: int
    documents: int
    deaf: int

    @property
    def constant(self) -> bool:
        """Whether most queries do not tell documents apart."""
        return self.queries > 0 and self.flat >= MOST * self.queries

    @property
    def ignores_queries(self) -> bool:
        """Whether most documents score the same whatever is asked."""
        return not self.constant and self.documents > 0 and self.deaf >= MOST * self.documents


def constancy(subject: Subject) -> Constancy:
    """How much a stage's scores of candidates and probes vary."""
    docs, scores = subject.probes.docs, subject.probe_scores
    queries = [row[np.isfinite(row)] for row in np.hstack([subject.scores, scores])]
    by_document = [scores[(docs == document) & np.isfinite(scores)] for document in np.unique(docs[docs >= 0])]
    return Constancy(*counted(queries), *counted(by_document))


def counted(groups: list[NDArray[np.float32]]) -> tuple[int, int]:
    """Groups of two or more scores, and those of them that are all equal."""
    told = [group for group in groups if len(group) > 1]
    return len(told), sum(bool(np.ptp(group) == 0) for group in told)


def shown(subject: Subject) -> bool:
    """Whether scores are constant, or deaf to the query."""
    found = constancy(subject)
    return found.constant or found.ignores_queries


def check(subject: Subject) -> Iterator[Finding]:
    """Whether scores differ between documents, and between queries."""
    if isinstance(subject.stage, Cascade):
        return
    found = constancy(subject)
    figures = {"queries": found.queries, "flat": found.flat, "documents": found.documents, "deaf": found.deaf}
    label = subject.stage.label
    flat = f"{found.flat} of {found.queries} queries give all their candidates the same score"
    if not found.queries:
        yield Finding(CHECK, label, "skipped", "no query has two scored candidates", figures=figures)
    elif found.constant:
        scores = subject.scores[np.isfinite(subject.scores)]
        value = f", {scores[0]:.6g}" if len(scores) and np.ptp(scores) == 0 else ""
        yield Finding(CHECK, label, "fail", flat + value, remedy_of_constant(scores), figures)
    elif found.ignores_queries:
        evidence = f"{found.deaf} of {found.documents} documents score the same whatever is asked"
        remedy = "hand the query's text on to the model: compare what `score` gives to the tokenizer with the query"
        yield Finding(CHECK, label, "fail", evidence, remedy, figures)
    else:
        yield Finding(CHECK, label, "ok", flat, figures=figures)


def remedy_of_constant(scores: NDArray[np.float32]) -> str:
    """What to do about scores that are all alike."""
    if len(scores) and set(np.unique(scores).tolist()) <= {0.0, 1.0}:
        return "score with raw logits (activation_fn=torch.nn.Identity()): a sigmoid has rounded them to 0 or 1"
    return (
        "look at what the model is given: texts that are empty or cut to nothing, weights that are all 0, a softmax "
        "over one label"
    )
