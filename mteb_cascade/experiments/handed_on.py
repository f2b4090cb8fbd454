"""What a language model is handed at each depth: recall of the first documents, and how many tokens they have."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Split
from mteb_cascade.experiments.depth_grid import grid_of
from mteb_cascade.experiments.swept import Swept
from mteb_cascade.experiments.tuning_choices import Tried
from mteb_cascade.experiments.within_budget import Choice
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.token_counts import token_counts
from mteb_cascade.values.kept import recall_per_token
from mteb_cascade.values.run import PAD, Run


def handed_on(tried: Tried, stage: Stage, split: Split, keep: int, chosen: Choice) -> list[dict[str, Any]]:
    """Recall, tokens and recall per 1,000 tokens of the first `keep` documents, at several depths.

    Args:
        tried: What was looked at on development queries.
        stage: Its tokenizer counts.
        split: The development queries.
        keep: Documents handed on.
        chosen: Its depth is among those that are told; with two stages, its blend is that of all.

    Returns:
        One entry a depth, or combination of depths, those of more latency later.
    """
    if tried.swept is not None:
        wanted = {*grid_of(tried.swept.depth), *chosen.depths}
        told = [one for one in tried.choices if one.blends == chosen.blends and one.depths[0] in wanted]
        counts = counts_of(tried.swept.received.cut(max(tried.swept.depth, keep)), stage)
        tokens = tokens_at_depths(tried.swept, split, counts, keep, chosen.blends[-1])
        per_choice = [tokens[one.depths[0]] for one in told]
    else:
        told = list(tried.choices)
        per_choice = [float(tokens_of(tried.runs[one.depths].cut(keep), stage).mean()) for one in told]
    entries = [
        {
            "depths": list(one.depths),
            f"recall@{keep}": round(one.quality, 6),
            "tokens": round(tokens, 1),
            "recall per 1,000 tokens": round(1000 * one.quality / tokens, 6) if tokens else 0.0,
            "latency_ms": round(one.latency, 3),
        }
        for one, tokens in zip(told, per_choice, strict=True)
    ]
    return sorted(entries, key=lambda entry: (entry["latency_ms"], entry["depths"]))


def tokens_at_depths(
    swept: Swept, split: Split, counts: NDArray[np.int64], keep: int, blend: float
) -> dict[int, float]:
    """{depth: mean tokens of the first `keep` documents}."""
    if swept.pointwise:
        kept = recall_per_token(swept.received, swept.scores[0], split.qrels, counts, keep, blend)
        return dict(zip(swept.depths, kept.tokens.tolist(), strict=True))
    return {
        depth: float(recall_per_token(swept.received, scores, split.qrels, counts, keep, blend).tokens[-1])
        for depth, scores in zip(swept.depths, swept.scores, strict=True)
    }


def counts_of(run: Run, stage: Stage) -> NDArray[np.int64]:
    """int64 [N], tokens of each document of the corpus that stands in the run; 0 for the others."""
    rows = np.unique(run.docs[run.docs != PAD])
    counts = np.zeros(len(run.corpus), np.int64)
    counts[rows] = token_counts(stage, run.corpus.texts_at(rows))
    return counts


def tokens_of(run: Run, stage: Stage) -> NDArray[np.int64]:
    """int64 [Q], tokens of all documents of a run."""
    counts = counts_of(run, stage)
    total: NDArray[np.int64] = np.where(run.docs == PAD, 0, counts[run.docs]).sum(axis=1)
    return total
