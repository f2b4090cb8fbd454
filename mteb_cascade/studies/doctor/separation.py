"""Whether scores tell answers from documents that answer other queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.values.statistics import randomisation_test

SHOWN = 0.001
"""The p-value under which something counts as shown: with some twenty checks a model, one in twenty would not do."""

SEEN = 0.05
"""The p-value under which a wrong sign is thought of where scores are no better than chance."""


@dataclass(frozen=True, eq=False)
class Separation:
    """How often an answer scores above other documents, query by query.

    Args:
        areas: [Q], the share of a query's other documents that its answer scores above, ties by half: the area under
            the ROC curve. NaN where the answer, or every other document, has no score.
        p_value: Two-sided, of answers being scored like any document.
    """

    areas: NDArray[np.float64]
    p_value: float

    @property
    def queries(self) -> int:
        """Queries that could be told."""
        return int((~np.isnan(self.areas)).sum())

    @property
    def area(self) -> float:
        """The mean; .5 is chance."""
        return float(np.nanmean(self.areas)) if self.queries else float("nan")

    @property
    def above(self) -> bool:
        """Whether answers are shown to stand above other documents."""
        return self.area > 0.5 and self.p_value < SHOWN

    @property
    def below(self) -> bool:
        """Whether answers are shown to stand below them."""
        return self.area < 0.5 and self.p_value < SHOWN

    @property
    def perhaps_below(self) -> bool:
        """Whether they seem to, though it is not shown."""
        return self.area < 0.5 and self.p_value < SEEN and not self.below

    def __str__(self) -> str:
        return (
            f"answers score above {self.area:.0%} of answers to other queries ({self.queries} queries, "
            f"chance 50%, p {p_text(self.p_value)})"
        )


def separation(scores: NDArray[np.float32], clusters: Sequence[str] | None = None) -> Separation:
    """How well scores tell answers from other documents.

    Args:
        scores: float32 [Q, 1 + n], a query's answer in the first column; -inf at what has no score.
        clusters: One name a query where queries are not independent.

    >>> separation(np.float32([[3, 1, 2], [0, 0, 5], [1, -np.inf, -np.inf]])).areas.tolist()
    [1.0, 0.25, nan]
    """
    answer, others = scores[:, :1].astype(np.float64), scores[:, 1:].astype(np.float64)
    known = np.isfinite(others)
    won = np.where(known, (answer > others) + 0.5 * (answer == others), 0.0).sum(axis=1)
    told = known.any(axis=1) & np.isfinite(answer[:, 0])
    areas = np.where(told, won / np.maximum(known.sum(axis=1), 1), np.nan)
    return Separation(areas, p_of(areas - 0.5, clusters))


def p_of(differences: NDArray[np.float64], clusters: Sequence[str] | None = None) -> float:
    """Two-sided p-value of paired differences [Q] being chance; 1 where none is told, NaN being left out."""
    told = ~np.isnan(differences)
    if not told.any():
        return 1.0
    kept = differences[told]
    names = None if clusters is None else [name for name, one in zip(clusters, told, strict=True) if one]
    return randomisation_test(kept, np.zeros_like(kept), names)


def p_text(p_value: float) -> str:
    """A p-value as prose has it.

    >>> p_text(0.00009), p_text(0.04)
    ('< .001', '= .04')
    """
    return "< .001" if p_value < SHOWN else f"= {p_value:.2g}".replace("0.", ".")
