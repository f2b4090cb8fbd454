"""From which grade on a document is relevant, by dataset and split."""

from __future__ import annotations

LEVELS = {
    ("MSMARCO", "test"): 2,
    ("TRECDL2019", "test"): 2,
    ("TRECDL2020", "test"): 2,
}
"""TREC's passage judgements call 1 "related": recall, MRR and success count from 2 on (Craswell et al. 2020)."""


def relevance_level(task: str, split: str) -> int:
    """A grade of at least this is relevant in this split of a task of mteb; 1 unless known otherwise."""
    return LEVELS.get((task.removesuffix("Cascade"), split), 1)
