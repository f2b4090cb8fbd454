"""What mining kept and dropped, and samples to read: as JSON, and as text of 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.stages.base import Stage
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.mining.candidates import REASONS, Candidates
from mteb_cascade.training.mining.negatives import ORIGINS, Negatives
from mteb_cascade.training.options import Training
from mteb_cascade.values.run import PAD

SAMPLES = 20
"""Queries that are shown."""

DROPPED = 5
"""Dropped candidates that a sample shows, the first ones of each reason but `answer`."""

BINS = 20

TEXT = 400
"""Characters of a text that are kept."""


def report_of(
    what: str,
    data: str,
    lists: Lists,
    candidates: Candidates,
    negatives: Negatives,
    options: Training,
    stages: Sequence[Stage],
    judge: Stage | None,
) -> dict[str, Any]:
    """Everything there is to tell, as JSON values.

    Args:
        what: The spec.
        data: Name of the training data.
        lists: Q queries, relevant documents first.
        candidates: What became of what was retrieved.
        negatives: What was chosen.
        options: The `[training]` table.
        stages: The first stages.
        judge: Who judged, if anybody.
    """
    mining = options.mining
    reasons = candidates.reasons
    answers = int(lists.relevant.sum())
    return {
        "of": what,
        "data": data,
        "queries": len(lists),
        "documents": len(lists.corpus),
        "answers": answers,
        "answers_retrieved": int((reasons == REASONS.index("answer")).sum()),
        "options": {**(asdict(mining) if mining else {}), "negatives": options.negatives, "seed": options.seed},
        "first": [{"name": stage.label, "fingerprint": stage.fingerprint} for stage in stages],
        "judge": {"name": judge.label, "fingerprint": judge.fingerprint} if judge else None,
        "raw": mining is not None and judge is None and mining.skip == 0,
        "candidates": int(candidates.run.lengths.sum()),
        "dropped": {name: int((reasons == number).sum()) for number, name in enumerate(REASONS)},
        "believed": int(candidates.believed.sum()),
        "negatives": negatives.counts,
        "queries_filled_up": int((negatives.origin == ORIGINS.index("filled up")).any(axis=1).sum()),
        "histograms": histograms(candidates, stages, judge),
        "samples": samples(lists, candidates, negatives, options.seed),
    }


def histograms(candidates: Candidates, stages: Sequence[Stage], judge: Stage | None) -> list[dict[str, Any]]:
    """Scores of answers, of believed and of dropped candidates, by each first stage and by the judge.

    A first stage's answers are those that it retrieved; the judge's are all, and its dropped those that it dropped.
    """
    reasons, scores = candidates.reasons, candidates.run.scores
    answer = reasons == REASONS.index("answer")
    made = []
    for number, stage in enumerate(stages):
        own = candidates.source == number
        parts = own & answer, own & candidates.believed, own & (reasons > REASONS.index("answer"))
        made.append(histogram(stage.label, *(scores[part] for part in parts)))
    if judge is not None and candidates.scores is not None and candidates.of_answers is not None:
        judged = candidates.scores
        dropped = judged[reasons == REASONS.index("judge")]
        made.append(histogram(f"{judge.label}, judging", candidates.of_answers, judged[candidates.believed], dropped))
    return made


def histogram(
    name: str, answers: NDArray[np.float32], believed: NDArray[np.float32], dropped: NDArray[np.float32]
) -> dict[str, Any]:
    """Counts over `BINS` bins of one width; what is not finite is left out."""
    parts = {"answers": answers, "believed": believed, "dropped": dropped}
    finite = {part: values[np.isfinite(values)].astype(np.float64) for part, values in parts.items()}
    edges = np.histogram_bin_edges(np.concatenate(list(finite.values())), BINS)
    counts = {part: np.histogram(values, edges)[0].tolist() for part, values in finite.items()}
    return {"scores_of": name, "edges": edges.tolist(), **counts}


def samples(lists: Lists, candidates: Candidates, negatives: Negatives, seed: int) -> list[dict[str, Any]]:
    """Some queries with their answers, their negatives, and the first candidates that were dropped."""
    chosen = np.random.default_rng([seed, 3]).permutation(len(lists))[:SAMPLES]
    return [sample(int(row), lists, candidates, negatives) for row in np.sort(chosen)]


def sample(row: int, lists: Lists, candidates: Candidates, negatives: Negatives) -> dict[str, Any]:
    """One query to read."""
    reasons = candidates.reasons[row]
    columns = {int(doc): column for column, doc in enumerate(candidates.run.docs[row].tolist()) if doc != PAD}
    answers = lists.docs[row][lists.relevant[row]].tolist()
    own = zip(negatives.docs[row].tolist(), negatives.origin[row].tolist(), strict=True)
    shown = [(doc, ORIGINS[origin]) for doc, origin in own if doc != PAD]
    dropped: list[tuple[int, str]] = []
    for number, reason in enumerate(REASONS):
        if reason != "answer":
            at = np.flatnonzero(reasons == number)[:DROPPED]
            dropped += [(int(doc), reason) for doc in candidates.run.docs[row, at]]

    def told(doc: int, **more: Any) -> dict[str, Any]:
        column = columns.get(doc)
        found = {} if column is None else {"rank": column + 1, "score": plain(candidates.run.scores[row, column])}
        if column is not None and candidates.scores is not None:
            found["judge"] = plain(candidates.scores[row, column])
        return {"id": lists.corpus.id_of(doc), **more, **found, "text": lists.corpus.texts_at([doc])[0][:TEXT]}

    of_answers = candidates.of_answers
    return {
        "query": lists.queries.ids[row],
        "text": lists.queries.texts[row][:TEXT],
        "answers": [
            told(doc) | ({} if of_answers is None else {"judge": plain(of_answers[row, place])})
            for place, doc in enumerate(answers)
        ][:DROPPED],
        "negatives": [told(doc, origin=origin) for doc, origin in shown],
        "dropped": [told(doc, reason=reason) for doc, reason in dropped],
    }


def plain(value: np.floating) -> float | None:
    """A score as JSON; None where there is none."""
    return float(value) if np.isfinite(value) else None
