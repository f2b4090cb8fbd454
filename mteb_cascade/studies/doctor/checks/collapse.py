"""Scores that a sigmoid has pressed together, and ties at rank 1."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.lexical import LexicalStage
from mteb_cascade.stages.sparse import Sparse
from mteb_cascade.studies.doctor.checks import constant
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.subject import Subject
from mteb_cascade.values.run import PAD

CHECK = "ties at rank 1"

MOST = 0.1
"""Share of queries whose best score may be shared where scores look like a sigmoid's."""

WIDE = 0.1
"""What success@1 may depend on how ties are broken."""

END = 1e-6
"""How near to 0 or 1 a tied score lies that a sigmoid has rounded."""


@dataclass(frozen=True)
class Ties:
    """Shared best scores.

    Args:
        queries: Queries with two or more scored candidates.
        tied: Those whose best score several different texts share.
        at_an_end: Those of them whose best score is 0 or 1.
        best: Success@1 over these queries where every tie is broken in favour of an answer.
        expected: ... where ties are broken by lot.
        worst: ... where they are broken against it.
    """

    queries: int
    tied: int
    at_an_end: int
    best: float
    expected: float
    worst: float


def check(subject: Subject) -> Iterator[Finding]:
    """Whether the first rank is decided by scores, or by how ties are broken."""
    if isinstance(subject.stage, Cascade):
        return
    label = subject.stage.label
    if constant.shown(subject):
        yield Finding(CHECK, label, "skipped", f"see '{constant.CHECK}'")
        return
    found = ties(subject)
    if not found.queries:
        yield Finding(CHECK, label, "skipped", "no query has two scored candidates")
        return
    within = bool(((subject.scores >= 0) & (subject.scores <= 1))[np.isfinite(subject.scores)].all())
    evidence = (
        f"{found.tied} of {found.queries} queries share their best score between different texts: success@1 "
        f"{found.best:.2f} at best, {found.expected:.2f} expected, {found.worst:.2f} at worst"
    )
    figures = {
        "queries": found.queries, "tied": found.tied, "best": found.best, "expected": found.expected,
        "worst": found.worst, "within_0_and_1": within,
    }  # fmt: skip
    if within and found.at_an_end > MOST * found.queries:
        at = f"all scores lie in [0, 1], and of {found.at_an_end} queries several are exactly 0 or 1; {evidence}"
        remedy = "return raw logits (activation_fn=torch.nn.Identity()): a sigmoid or softmax rounds the best ones to 1"
        yield Finding(CHECK, label, "fail", at, remedy, figures)
    elif found.best - found.worst > WIDE and counts_words(subject.stage):
        remedy = "short queries tie where documents share the same words with them; another stage behind it decides"
        yield Finding(CHECK, label, "note", evidence, remedy, figures)
    elif found.best - found.worst > WIDE:
        remedy = "keep scores in float32 up to the ranking; round or bin them nowhere"
        yield Finding(CHECK, label, "fail", evidence, remedy, figures)
    else:
        yield Finding(CHECK, label, "ok", evidence, figures=figures)


def counts_words(stage: Stage) -> bool:
    """Whether scores are sums over shared words, which tie by nature."""
    return isinstance(stage, LexicalStage | Sparse)


def ties(subject: Subject) -> Ties:
    """The ties among the candidates' best scores; equal texts tie rightly, and count as one."""
    rows = [
        of_query(docs, scores, relevant, subject)
        for docs, scores, relevant in zip(subject.candidates.docs, subject.scores, subject.relevant, strict=True)
        if np.isfinite(scores).sum() > 1
    ]
    if not rows:
        return Ties(0, 0, 0, 0.0, 0.0, 0.0)
    tied, at_an_end, share = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    return Ties(
        len(rows),
        int(tied.sum()),
        int((tied * at_an_end).sum()),
        float((share > 0).mean()),
        float(share.mean()),
        float((share == 1).mean()),
    )


def of_query(
    docs: NDArray[np.int32], scores: NDArray[np.float32], relevant: NDArray[np.bool_], subject: Subject
) -> tuple[bool, bool, float]:
    """Whether different texts share the best score, whether that is 0 or 1, and the share of answers among them."""
    known = (docs != PAD) & np.isfinite(scores)
    best = scores[known].max()
    first = known & (scores == best)
    texts = subject.candidates.corpus.texts_at(docs[first])
    answers = {text for text, answer in zip(texts, relevant[first], strict=True) if answer}
    distinct = set(texts)
    return len(distinct) > 1, min(abs(best), abs(best - 1)) <= END, len(answers) / len(distinct)
