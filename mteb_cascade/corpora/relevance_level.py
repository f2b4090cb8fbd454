"""From which grade on a document is relevant, by dataset and split."""

from __future__ import annotations

from typing import Any

TREC_DEEP_LEARNING = 2
"""TREC's passage judgements call 1 "related": recall, MRR and success count from 2 on (Craswell et al. 2020)."""

LEVELS = {
    ("TRECDL2019", "test"): TREC_DEEP_LEARNING,
    ("TRECDL2020", "test"): TREC_DEEP_LEARNING,
    # The test split of MS MARCO is TREC DL 2019 in mteb, as in BEIR; so it is in what was translated or cut from it.
    ("MSMARCO", "test"): TREC_DEEP_LEARNING,
    ("MSMARCOHardNegatives", "test"): TREC_DEEP_LEARNING,
    ("MSMARCO-PL", "test"): TREC_DEEP_LEARNING,
    ("MSMARCO-PLHardNegatives", "test"): TREC_DEEP_LEARNING,
    ("MSMARCO-FaHardNegatives", "test"): TREC_DEEP_LEARNING,
}


def relevance_level(task: str, split: str) -> int:
    """A grade of at least this is relevant in this split of a task of mteb; 1 unless known otherwise."""
    return LEVELS.get((task.removesuffix("Cascade"), split), 1)


def level_of(task: Any, split: str) -> int:
    """As `relevance_level`, of a task object; one that says its level itself, as a BEIR folder's does, is believed."""
    own = getattr(task, "relevance_level", None)
    return relevance_level(task.metadata.name, split) if own is None else int(own)
