"""How a step's scores join the ranking it received: blend, tail, and one cascade step on a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mteb_cascade.values.run import PAD, Run

TAIL_STEP = 2.0**-20
"""Distance of two tail placeholders, relative to the lowest score above them: at least eight float32 steps."""


def weighted_sum(member_scores: Sequence[NDArray[np.floating]], weights: Sequence[float]) -> NDArray[np.float32]:
    """Sum of weight * score over members, raw.

    Args:
        member_scores: M arrays of one shape, -inf where a member has no score.
        weights: M numbers; a member of weight 0 has no say at all.

    Returns:
        float32 of that shape, added up in float32; -inf where a member with a say has none, whatever its sign.
        NaN only where a score is NaN.

    Raises:
        ValueError: There is no member, or not one weight each.

    >>> weighted_sum([np.array([[2.0, -np.inf]]), np.array([[1.0, -np.inf]])], [1.0, -0.5])
    array([[ 1.5, -inf]], dtype=float32)
    """
    if not member_scores or len(member_scores) != len(weights):
        raise ValueError(f"{len(member_scores)} members need as many weights, at least one; got {len(weights)}")
    total = np.zeros(np.shape(member_scores[0]), np.float32)
    with np.errstate(over="ignore"):
        for member, weight in zip(member_scores, weights, strict=True):
            if weight:
                scores = np.asarray(member, np.float32)
                total += np.where(np.isneginf(scores), scores, np.float32(weight) * scores)
    return total


def blended(score: NDArray[np.floating], before: NDArray[np.floating], b: float) -> NDArray[np.float32]:
    """Raw score + b * before: no per-query normalisation, which would change with the depth.

    Args:
        score: [Q, K], what the step gave; -inf where it could not score.
        before: [Q, K], what the ranking that the step received had.
        b: Weight of `before`; at 0 it is not looked at.

    Returns:
        float32 [Q, K]; -inf stays -inf.

    >>> blended(np.array([[1.0, -np.inf]]), np.array([[4.0, -np.inf]]), 0.5)
    array([[  3., -inf]], dtype=float32)
    """
    return weighted_sum([score, before], [1.0, b])


def fused(
    run: Run, scores: ArrayLike, blend: float = 0.0, looked_at: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """The scores that a step sorts by.

    Args:
        run: The ranking that the step received, [Q, K].
        scores: [Q, D], aligned with the first D <= K columns of `run`; -inf where a candidate could not be scored.
        blend: Weight of the run's own scores.
        looked_at: bool [Q, D], the cells whose scores count; all of them when None.

    Returns:
        float32 [Q, D], finite or -inf; -inf at pads and where not looked at.

    Raises:
        ValueError: The shapes disagree, or a score that counts is NaN or too large for float32 (the pair is named).
    """
    with np.errstate(over="ignore"):
        scores = np.asarray(scores, np.float32)
    if scores.ndim != 2 or len(scores) != len(run.docs) or scores.shape[1] > run.depth:
        raise ValueError(f"expected scores for the first columns of a run {run.docs.shape}; got shape {scores.shape}")
    columns = scores.shape[1]
    counts = run.docs[:, :columns] != PAD
    if looked_at is not None:
        counts &= looked_at
    total = np.where(counts, blended(scores, run.scores[:, :columns], blend), np.float32(-np.inf))
    wrong = np.isnan(total) | np.isposinf(total)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        what = "NaN" if np.isnan(total[row, column]) else "too large for float32"
        raise ValueError(
            f"the score of query '{run.query_ids[row]}' and document "
            f"'{run.corpus.id_of(int(run.docs[row, column]))}' is {what}; "
            "expected a finite number, or -inf for a pair that cannot be scored"
        )
    return total


def with_tail(scores: NDArray[np.float32], scored: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Placeholders below the scored cells, falling from left to right.

    The j-th other cell of a row gets m - s * j, where m is the row's lowest score and s = 2^-20 * max(|m|, 2^-60).
    It is worked out in float64 and rounded once. Two neighbours differ by s, which exceeds the spacing of float32
    until the size has grown eightfold: strictly decreasing for 7 million columns.

    Args:
        scores: float32 [Q, K], finite where scored.
        scored: bool [Q, K], the cells that keep their score; a row that has none is returned as it is.

    Returns:
        float32 [Q, K].

    Raises:
        ValueError: m lies so close to the end of float32 that the tail would fall off it.

    >>> with_tail(np.array([[3.0, 1.0, 9.0, 9.0]], np.float32), np.array([[True, True, False, False]])).tolist()
    [[3.0, 1.0, 0.9999990463256836, 0.9999980926513672]]
    """
    touched = scored.any(axis=1, keepdims=True)
    lowest = np.min(scores, axis=1, keepdims=True, where=scored, initial=np.inf).astype(np.float64)
    lowest = np.where(touched, lowest, 0.0)
    step = TAIL_STEP * np.maximum(np.abs(lowest), 2.0**-60)
    below = lowest - step * np.cumsum(~scored, axis=1)
    if below.size and below.min() < np.finfo(np.float32).min:
        row = int(np.argmin(below.min(axis=1)))
        raise ValueError(
            f"the lowest score of row {row}, {lowest[row, 0]:g}, leaves no room in float32 for what stands below it; "
            "give -inf for a pair that cannot be scored"
        )
    return np.where(scored | ~touched, scores, below.astype(np.float32))


def rerank(run: Run, scores: ArrayLike, depth: int | NDArray[np.integer], blend: float = 0.0) -> Run:
    """One step of a cascade: the first `depth` columns sorted anew, the rest below them in its old order.

    A candidate of the head that could not be scored stands below the scored ones, in its old order, like the tail.

    Args:
        run: The ranking that the step received, [Q, K].
        scores: [Q, D], aligned with the first D columns of `run`, D >= the deepest depth (or K); -inf where a
            candidate could not be scored. Scores beyond the depth are not looked at.
        depth: Candidates reranked, one number or one a query, >= 0; 0 leaves the query's row untouched.
        blend: b in score + b * score before.

    Returns:
        A permutation of each row. Its scores are those sorted by and, below them, placeholders (`with_tail`): handed
        out as a dictionary they give the same ranking back. A row in which nothing could be scored is untouched.

    Raises:
        ValueError: Shapes disagree; a depth is negative or deeper than `scores`; a score within the depth is NaN or
            too large for float32 (the pair is named).
    """
    scores = np.asarray(scores)
    depths = np.broadcast_to(np.asarray(depth), len(run.docs)) if np.ndim(depth) == 0 else np.asarray(depth)
    if depths.shape != (len(run.docs),) or (depths < 0).any():
        raise ValueError(f"a depth is an int >= 0, or one for each of {len(run.docs)} queries; got {depth}")
    if scores.ndim == 2 and (np.minimum(depths, run.depth) > scores.shape[1]).any():
        raise ValueError(f"depth {depths.max()} needs scores for as many columns; got {scores.shape[1]}")
    columns = scores.shape[-1]
    total = fused(run, scores, blend, np.arange(columns) < depths[:, None])
    total = np.pad(total, ((0, 0), (0, run.depth - columns)), constant_values=-np.inf)
    scored = total != -np.inf
    rows = np.flatnonzero(scored.any(axis=1))
    ids = [run.query_ids[row] for row in rows]
    ranked = Run.ranked(ids, run.corpus, run.docs[rows], with_tail(total[rows], scored[rows]))
    docs, new_scores = run.docs.copy(), run.scores.copy()
    docs[rows], new_scores[rows] = ranked.docs, ranked.scores
    return Run(run.query_ids, run.corpus, docs, new_scores)
