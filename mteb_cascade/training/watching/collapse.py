"""Collapse: a network that gives every text one answer learns no more, and its loss alone does not say so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

ALIKE = 0.99
"""Mean cosine of different texts above which they count as one: a contrastive loss sees hardly a difference there."""

CROWDED = 0.9
"""Mean cosine above which that is said; some good models live there, of which most were trained at temperature .01."""

FEW = 0.05
"""Share of the directions that there could be, below which vectors count as lying in few."""

FLAT = 1e-3
"""Deviation of logits below which the documents of a list count as scored alike."""

BLIND = 0.05
"""Share of the deviation of logits that lies within lists, below which a score is said to follow the query alone."""


@dataclass(frozen=True)
class Collapse:
    """What the vectors of different texts have in common.

    Args:
        texts: Vectors looked at.
        mean_cosine: Over all pairs of vectors that are not 0; NaN of fewer than two.
        effective_rank: Directions that they use, from 1 to `directions`; NaN where all are 0.
        directions: How many there could be: the smaller of vectors and dimensions.
        zero: Share of vectors that are 0: a sparse model that was regularised to death.
    """

    texts: int
    mean_cosine: float
    effective_rank: float
    directions: int
    zero: float

    @property
    def collapsed(self) -> bool:
        """Whether retrieval by these vectors is hopeless."""
        return self.zero > 0.5 or not self.mean_cosine <= ALIKE or not self.effective_rank >= 2

    @property
    def verdict(self) -> str:
        """One line for people."""
        figures = f"mean cosine {self.mean_cosine:.2f}, effective rank {self.effective_rank:.1f} of {self.directions}"
        if self.zero > 0.5:
            return f"collapsed: {self.zero:.0%} of the vectors are 0"
        if self.collapsed:
            return f"collapsed: different texts get almost the same vector ({figures})"
        if self.mean_cosine > CROWDED:
            return f"crowded: different texts get similar vectors ({figures})"
        if self.effective_rank < FEW * self.directions:
            return f"narrow: the vectors lie in few directions ({figures})"
        return f"healthy ({figures})"

    @property
    def figures(self) -> dict[str, float]:
        """What an evaluation logs."""
        return {"mean_cosine": self.mean_cosine, "effective_rank": self.effective_rank, "zero_vectors": self.zero}


@dataclass(frozen=True)
class Spread:
    """How the logits of a reranker differ within the lists that it ranks.

    Args:
        lists: Lists of at least two documents.
        within: Mean over the lists of the standard deviation of a list's logits.
        between: Standard deviation of the lists' means.
        flat: Share of the lists whose logits are all equal.
    """

    lists: int
    within: float
    between: float
    flat: float

    @property
    def collapsed(self) -> bool:
        """Whether these scores rank nothing."""
        return self.flat > 0.5 or not self.within >= FLAT

    @property
    def verdict(self) -> str:
        """One line for people."""
        figures = f"deviation of logits {self.within:.2g} within lists, {self.between:.2g} between"
        if self.flat > 0.5:
            return f"collapsed: all documents score the same in {self.flat:.0%} of the lists ({figures})"
        if self.collapsed:
            return f"collapsed: the documents of a list score almost the same ({figures})"
        if self.within < BLIND * (self.within + self.between):
            return f"blind: the score follows the query and hardly the document ({figures})"
        return f"healthy ({figures})"

    @property
    def figures(self) -> dict[str, float]:
        """What an evaluation logs."""
        return {"spread_within": self.within, "spread_between": self.between, "flat_lists": self.flat}


def collapse(vectors: NDArray[np.floating]) -> Collapse:
    """Read collapse off the vectors of texts that have nothing to do with each other.

    The effective rank is exp(H(p)), p the singular values of the vectors, each brought to length 1, over their sum
    (Roy and Vetterli 2007, "The effective rank"). Directions alone count: lengths and a common scale do not.

    Args:
        vectors: [n, d], n >= 1.

    Returns:
        NaN figures where a vector is not finite: a network that gives those is as dead.

    >>> round(collapse(np.eye(4)).effective_rank, 3)
    4.0
    >>> collapse(np.ones((4, 3))).verdict
    'collapsed: different texts get almost the same vector (mean cosine 1.00, effective rank 1.0 of 3)'
    """
    values = np.asarray(vectors, np.float64)
    directions = min(values.shape)
    if not np.isfinite(values).all():
        return Collapse(len(values), np.nan, np.nan, directions, 0.0)
    lengths = np.linalg.norm(values, axis=1)
    there = lengths > 0
    zero = float(1 - there.mean())
    count = int(there.sum())
    if not count:
        return Collapse(len(values), np.nan, np.nan, directions, zero)
    unit = values[there] / lengths[there, None]
    total = unit.sum(axis=0)
    mean_cosine = float((total @ total - count) / (count * (count - 1))) if count > 1 else np.nan
    sizes = np.linalg.svd(unit, compute_uv=False)
    shares = sizes / sizes.sum()
    shares = shares[shares > 0]
    rank = float(np.exp(-(shares * np.log(shares)).sum()))
    return Collapse(len(values), mean_cosine, rank, directions, zero)


def spread(scores: NDArray[np.floating]) -> Spread:
    """Read collapse off a reranker's scores.

    Args:
        scores: [Q, K], a list a row; -inf at pads. Lists of one document say nothing and are left out.

    >>> spread(np.array([[1.0, 1.0], [3.0, 3.0]])).flat
    1.0
    """
    lists = [values for row in np.asarray(scores, np.float64) if len(values := row[~np.isneginf(row)]) > 1]
    if not lists:
        return Spread(0, np.nan, np.nan, np.nan)
    within = float(np.mean([one.std() for one in lists]))
    between = float(np.std([one.mean() for one in lists]))
    return Spread(len(lists), within, between, float(np.mean([np.ptp(one) == 0 for one in lists])))


def of_stage(stage: Any, texts: Sequence[str], seed: int = 0) -> Collapse:
    """As `collapse`, of the vectors that an encoder stage gives documents.

    Args:
        stage: `BiEncoder`, `Sparse` or `LateInteraction`; of the last, one token's vector of each document is looked
            at, drawn by the seed: every document has the same special tokens, whose vectors would be alike anyway.
        texts: At least one document.
        seed: Of that draw.
    """
    vectors = stage.encode_documents(list(texts))
    if stage.kind == "sparse":
        used = np.flatnonzero(vectors.getnnz(axis=0))
        dense = vectors[:, used].toarray() if len(used) else np.zeros((len(texts), 1))
        found = collapse(dense)
        return Collapse(found.texts, found.mean_cosine, found.effective_rank, min(vectors.shape), found.zero)
    if stage.kind == "late-interaction":
        draw = np.random.default_rng(seed)
        vectors = np.stack([one[draw.integers(len(one))].numpy() for one in vectors])
    return collapse(vectors)
