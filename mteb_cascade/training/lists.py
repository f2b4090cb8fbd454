"""What a model learns from, whatever its kind and loss: queries, and for each a list of labelled documents."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.values.run import PAD


@dataclass(frozen=True, eq=False, repr=False)
class Lists:
    """Q training queries with L documents each; texts stay in Arrow, only row numbers are moved about.

    Args:
        queries: Q queries.
        corpus: What the rows of `docs` point into: N documents.
        docs: int32 [Q, L], rows of the corpus, relevant ones first; -1 pads the end of a short list.
        labels: float32 [Q, L], a grade (0 for a negative) or, where `scored`, a teacher's score; 0 at pads.
        relevant: bool [Q, L], which documents answer the query.
        groups: int32 [N], documents that say the same, of which none is a negative for what another one answers; None
            where each stands for itself.
        scored: Whether the labels are a teacher's scores.

    Raises:
        ValueError: The shapes disagree.
    """

    queries: Queries
    corpus: Corpus
    docs: NDArray[np.int32]
    labels: NDArray[np.float32]
    relevant: NDArray[np.bool_]
    groups: NDArray[np.int32] | None = None
    scored: bool = False

    def __post_init__(self) -> None:
        if not self.docs.shape == self.labels.shape == self.relevant.shape or len(self.docs) != len(self.queries):
            raise ValueError(
                f"lists of {len(self.queries)} queries need docs, labels and relevant of one shape [Q, L]; got "
                f"{self.docs.shape}, {self.labels.shape} and {self.relevant.shape}"
            )

    def __len__(self) -> int:
        return len(self.queries)

    def __repr__(self) -> str:
        return f"Lists({len(self):,} queries x {self.docs.shape[1]} documents from {self.corpus!r})"

    @property
    def real(self) -> NDArray[np.bool_]:
        """Bool [Q, L], false at pads."""
        return np.asarray(self.docs != PAD)

    @property
    def negative(self) -> NDArray[np.bool_]:
        """Bool [Q, L], documents that do not answer the query."""
        return self.real & ~self.relevant

    def rows(self, rows: NDArray[np.integer]) -> Lists:
        """The queries at these rows, in this order."""
        return replace(
            self,
            queries=self.queries.rows(rows.tolist()),
            docs=self.docs[rows],
            labels=self.labels[rows],
            relevant=self.relevant[rows],
        )
