"""Query and document in each other's place."""

from __future__ import annotations

from collections.abc import Iterator

from mteb_cascade.studies.doctor.checks import constant
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.separation import p_of, p_text, separation
from mteb_cascade.studies.doctor.subject import Subject

CHECK = "query and document swapped"

CLEARLY = 0.05
"""How much more of the other candidates an answer has to beat when the texts are swapped."""

LEVEL = 0.01
"""Of the paired test; a sound model is expected to lose by swapping, so chance has a long way to go."""

REMEDY = (
    "give the model (query, document) in the order that it was trained on; of a bi-encoder, encode queries with the "
    "query's prompt or route and documents with the document's"
)


def applies(subject: Subject) -> bool:
    """Whether the two could be swapped: of stages that read two texts, and read them differently."""
    return subject.reads_texts and not subject.symmetric


def shown(subject: Subject) -> bool:
    """Whether answers stand out among close candidates only when the texts are swapped."""
    if not applies(subject):
        return False
    clusters = subject.close_part.clusters
    given, turned = separation(subject.close_scores, clusters), separation(subject.swapped_scores, clusters)
    gained = turned.areas - given.areas
    clear = turned.area - given.area >= CLEARLY and p_of(gained, clusters) < LEVEL
    # Scores of the wrong sign gain by swapping too, but more by being negated; and they are wrong of any document.
    negated = 1 - given.area
    better = turned.area > negated or (turned.area == negated and not far_below(subject))
    return clear and better and turned.area > 0.5 and turned.p_value < LEVEL


def far_below(subject: Subject) -> bool:
    """Whether answers score below answers to other queries, as they are given."""
    return separation(subject.probe_scores, subject.part.clusters).area < 0.5


def check(subject: Subject) -> Iterator[Finding]:
    """Whether the stage does better with queries for documents and documents for queries."""
    if not subject.reads_texts:
        return
    label = subject.stage.label
    if constant.shown(subject):
        yield Finding(CHECK, label, "skipped", f"see '{constant.CHECK}'")
        return
    if subject.symmetric:
        yield Finding(CHECK, label, "ok", "symmetric: a pair scores the same both ways")
        return
    given = separation(subject.close_scores, subject.close_part.clusters)
    turned = separation(subject.swapped_scores, subject.close_part.clusters)
    if not given.queries:
        yield Finding(CHECK, label, "skipped", "no query has an answer and another candidate that are scored")
        return
    p_value = p_of(turned.areas - given.areas, subject.close_part.clusters)
    evidence = (
        f"answers score above {given.area:.0%} of other close candidates as it is, above {turned.area:.0%} with the "
        f"texts swapped ({given.queries} queries, p {p_text(p_value)})"
    )
    figures = {"given": given.area, "swapped": turned.area, "queries": given.queries, "p_value": p_value}
    fails = shown(subject)
    yield Finding(CHECK, label, "fail" if fails else "ok", evidence, REMEDY if fails else "", figures)
