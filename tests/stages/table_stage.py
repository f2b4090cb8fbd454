"""A stage of one's own in ten lines: scores are looked up by text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.stages.base import Stage
from mteb_cascade.values.run import PAD, Run

TEXTS = ("red fox", "blue whale", "red whale", "old stone tree", "green tree", "fox fox red", "the zebra")


@dataclass(kw_only=True, eq=False)
class Table(Stage):
    """Scores by (query text, document text); what the table lacks cannot be scored."""

    kind: ClassVar[str] = "table"

    scores: Mapping[str, Mapping[str, float]]

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        found = np.full(candidates.docs.shape, -np.inf, np.float32)
        for row, column in zip(*np.nonzero(candidates.docs != PAD), strict=True):
            text = candidates.corpus.texts[int(candidates.docs[row, column])].as_py()
            found[row, column] = self.scores.get(queries.texts[row], {}).get(text, -np.inf)
        return found

    @classmethod
    def coarse(cls) -> Table:
        """Few levels, so that many documents tie, and some texts that cannot be scored."""
        return cls(
            scores={
                query: {
                    document: float((3 * row + 5 * column) % 3) - 1
                    for column, document in enumerate(TEXTS)
                    if (row + column) % 4
                }
                for row, query in enumerate(TEXTS)
            }
        )
