"""Whether vectors are compared as their model says, and as the card says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.prompts import prompt_of
from mteb_cascade.studies.doctor.subject import Subject
from mteb_cascade.values.run import PAD

CHECK = "normalisation"

QUERIES, DOCUMENTS = 8, 3
"""Pairs that are compared anew: so many queries with so many candidates each."""

TOLERANCE = 0.05
"""Difference from the model's own similarity, as a share of what similarities vary by."""

MEASURES = ("cosine", "dot", "euclidean", "manhattan")


def check(subject: Subject) -> Iterator[Finding]:
    """The scores of a bi-encoder against its model's own similarity of vectors that are encoded anew."""
    stage = subject.stage
    if not isinstance(stage, BiEncoder):
        return
    docs = subject.candidates.docs[:QUERIES, :DOCUMENTS]
    real = docs != PAD
    if not real.any():
        return
    network, measure = stage.network, stage.network.similarity_fn_name
    asked = network.encode_query(
        list(subject.queries.texts[:QUERIES]), prompt=prompt_of(stage, "query"), show_progress_bar=False
    )
    distinct, place = np.unique(docs[real], return_inverse=True)
    documents = network.encode_document(
        subject.candidates.corpus.texts_at(distinct), prompt=prompt_of(stage, "document"), show_progress_bar=False
    )
    rows = np.nonzero(real)[0]
    left, right = (np.asarray(one, np.float64) for one in (asked[rows], documents[place]))
    lengths = np.linalg.norm(documents.astype(np.float64), axis=1)
    varying = float(lengths.std() / max(lengths.mean(), 1e-12))
    expected = {name: similarity(name, left, right) for name in MEASURES}
    given = subject.scores[:QUERIES, :DOCUMENTS][real].astype(np.float64)
    off = distance(given, expected[measure])
    said = f"the model compares by {measure}"
    sizes = (
        "vectors have length 1"
        if varying < 1e-3 and abs(lengths.mean() - 1) < 1e-3
        else (f"lengths of document vectors vary by {varying:.1%}")
    )
    figures: dict[str, Any] = {
        "similarity": measure,
        "pairs": len(given),
        "difference": off,
        "length_mean": float(lengths.mean()),
        "length_varies": varying,
    }
    if off > TOLERANCE:
        nearest = min(MEASURES, key=lambda name: distance(given, expected[name]))
        instead = (
            f"the stage's scores are by {nearest}"
            if distance(given, expected[nearest]) <= TOLERANCE
            else ("the stage's scores are something else")
        )
        evidence = (
            f"{said}, but {instead} ({len(given)} pairs; {sizes}; "
            f"{differently(real, given, expected[measure]):.0%} of {len(docs)} queries are ranked otherwise)"
        )
        yield Finding(CHECK, stage.label, "fail", evidence, remedy_of(measure), figures)
        return
    stated = stage.spec.card.get("similarity_fn_name") if stage.spec else None
    if stated in MEASURES and stated != measure:
        share = differently(real, expected[stated], expected[measure])
        evidence = (
            f"{said}, but [card] similarity_fn_name says {stated}: {share:.0%} of {len(docs)} queries are ranked "
            f"otherwise by it ({sizes})"
        )
        remedy = f'similarity_fn_name = "{measure}" in the [card]'
        yield Finding(CHECK, stage.label, "fail" if share else "note", evidence, remedy, {**figures, "card": stated})
        return
    yield Finding(CHECK, stage.label, "ok", f"{said}, and so do {len(given)} scores; {sizes}", figures=figures)


def similarity(measure: str, left: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [n], of matching rows [n, d]; sentence-transformers' own."""
    import torch
    from sentence_transformers import SimilarityFunction

    pairwise = SimilarityFunction.to_similarity_pairwise_fn(measure)
    found: NDArray[np.float64] = pairwise(torch.from_numpy(left), torch.from_numpy(right)).numpy()
    return found


def distance(given: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Largest difference, as a share of the standard deviation of what was expected."""
    off = np.abs(given - expected).max()
    return float(off / max(expected.std(), 1e-9))


def differently(real: NDArray[np.bool_], given: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Share of the queries whose candidates stand in another order; values are those of the real cells [Q, K]."""
    orders = []
    for values in (given, expected):
        table = np.full(real.shape, -np.inf)
        table[real] = values
        orders.append(np.argsort(-table, axis=1, kind="stable"))
    return float((orders[0] != orders[1]).any(axis=1).mean())


def remedy_of(measure: str) -> str:
    """What to do where the stage compares otherwise."""
    if measure == "cosine":
        return "normalise the vectors to length 1 before their inner products, or end the model with a Normalize module"
    return f"compare by {measure}, or set similarity_fn_name in config_sentence_transformers.json to what is meant"
