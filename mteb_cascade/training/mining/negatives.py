"""Which of the believed candidates become negatives, and what fills a list that has too few."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.errors import InputError
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.mining.answers import Answers
from mteb_cascade.training.mining.stage_scores import rows_at_once
from mteb_cascade.values.run import PAD

ROUNDS = 20
"""Blind draws before the documents that are left are counted out: a corpus that needs them is small."""

ORIGINS = ("mined", "given", "drawn", "filled up")
"""Where a negative is from: the candidates, the data itself, the corpus as asked, the corpus for want of any."""


@dataclass(frozen=True, eq=False)
class Negatives:
    """The negatives of Q queries.

    Args:
        docs: int32 [Q, n], hardest first, drawn ones last; -1 at pads.
        origin: int8 [Q, n], number of one of `ORIGINS`; -1 at pads.
    """

    docs: NDArray[np.int32]
    origin: NDArray[np.int8]

    @property
    def counts(self) -> dict[str, int]:
        """{where from: negatives}."""
        return {name: int((self.origin == number).sum()) for number, name in enumerate(ORIGINS)}


def filled(
    lists: Lists,
    answers: Answers,
    mined: NDArray[np.int32],
    given: NDArray[np.int32],
    refused: NDArray[np.int32],
    count: int,
    rng: np.random.Generator,
    what: str,
) -> Negatives:
    """Mined negatives, where there are too few the data's own, and drawn ones for the rest.

    Args:
        lists: Q queries.
        answers: What may be no negative.
        mined: int32 [Q, h], h <= count, -1 at the end.
        given: int32 [Q, G], the data's own.
        refused: int32 [Q, K], candidates that were dropped, -1 anywhere: none comes back by chance.
        count: Negatives of a query; count - h are drawn whatever else there is.
        rng: Of the draw.
        what: What messages name.

    Raises:
        InputError: The corpus has too few documents.
    """
    hard = mined.shape[1]
    known = np.pad(given_first(answers, mined, given, hard), ((0, 0), (0, count - hard)), constant_values=PAD)
    columns = np.arange(count)
    origin = np.where(columns < (mined != PAD).sum(axis=1)[:, None], ORIGINS.index("mined"), ORIGINS.index("given"))
    origin = np.where(known == PAD, ORIGINS.index("filled up"), origin)
    origin[:, hard:] = ORIGINS.index("drawn")
    return Negatives(drawn(lists, answers, known, refused, rng, what), origin.astype(np.int8))


def taken(
    docs: NDArray[np.int32],
    believed: NDArray[np.bool_],
    count: int,
    sampling: Literal["top", "random"],
    rng: np.random.Generator,
) -> NDArray[np.int32]:
    """Some of each query's believed candidates.

    Args:
        docs: int32 [Q, K], candidates by rank.
        believed: bool [Q, K], which of them may be taken.
        count: How many.
        sampling: "top" takes the first, "random" any.
        rng: Of "random".

    Returns:
        int32 [Q, count], by rank; -1 at the end where there are fewer.
    """
    size = docs.shape[1]
    places = np.where(believed, rng.random(docs.shape) if sampling == "random" else np.arange(size), np.inf)
    order = np.argsort(places, axis=1, kind="stable")[:, :count]
    order = np.sort(np.where(np.take_along_axis(believed, order, axis=1), order, size), axis=1)
    padded = np.pad(docs, ((0, 0), (0, max(1, count - size + 1))), constant_values=PAD)
    order = np.pad(order, ((0, 0), (0, count - order.shape[1])), constant_values=size)
    return np.asarray(np.take_along_axis(padded, order, axis=1), np.int32)


def given_first(
    answers: Answers, negatives: NDArray[np.int32], given: NDArray[np.int32], count: int
) -> NDArray[np.int32]:
    """The negatives, behind them those that the data gave, each document once.

    Args:
        answers: What may be no negative.
        negatives: int32 [Q, n], -1 at pads.
        given: int32 [Q, G], -1 at pads; what answers the query after all is passed over.
        count: Negatives that are kept.

    Returns:
        int32 [Q, count], -1 at the end.
    """
    rows, columns = np.nonzero(given != PAD)
    given = given.copy()
    given[rows, columns] = np.where(answers.rule(rows, given[rows, columns]) < 0, given[rows, columns], PAD)
    docs = np.hstack([negatives, given])
    gone = repeated(docs) | (docs == PAD)
    order = np.argsort(gone, axis=1, kind="stable")[:, :count]
    kept = np.take_along_axis(np.where(gone, PAD, docs), order, axis=1)
    return np.pad(kept, ((0, 0), (0, count - kept.shape[1])), constant_values=PAD).astype(np.int32)


def drawn(
    lists: Lists,
    answers: Answers,
    negatives: NDArray[np.int32],
    refused: NDArray[np.int32],
    rng: np.random.Generator,
    what: str,
) -> NDArray[np.int32]:
    """Fill lists up with documents drawn from the whole corpus.

    Args:
        lists: Q queries.
        answers: What may be no negative.
        negatives: int32 [Q, n], -1 where one is to be drawn.
        refused: int32 [Q, K], documents that are not drawn, -1 anywhere.
        rng: Of the draw.
        what: What messages name.

    Returns:
        int32 [Q, n] without -1: no answer, none of its group or with its text, and no document twice.

    Raises:
        InputError: The corpus has too few documents for that.
    """
    docs = negatives.copy()
    size = len(lists.corpus)
    for _ in range(ROUNDS if size else 0):
        rows, columns = np.nonzero(docs == PAD)
        if not len(rows):
            return docs
        docs[rows, columns] = rng.integers(size, size=len(rows), dtype=np.int32)
        wrong = repeated(docs)
        asked = docs[rows, columns]
        wrong[rows, columns] |= (answers.rule(rows, asked, near=False) >= 0) | in_row(refused, rows, asked)
        docs[wrong] = PAD
    everything = np.arange(size, dtype=np.int32)
    for row in np.flatnonzero((docs == PAD).any(axis=1)).tolist():
        allowed = everything[answers.rule(np.full(size, row), everything, near=False) < 0]
        allowed = rng.permutation(np.setdiff1d(allowed, np.concatenate([docs[row], refused[row]])))
        empty = np.flatnonzero(docs[row] == PAD)
        if len(allowed) < len(empty):
            possible = docs.shape[1] - len(empty) + len(allowed)
            raise InputError(
                f"{what}: [training] negatives: expected at most {possible}, got {docs.shape[1]}; the corpus of "
                f"{size:,} documents has no more that may be taken not to answer query '{lists.queries.ids[row]}'"
            )
        docs[row, empty] = allowed[: len(empty)]
    return docs


def in_row(docs: NDArray[np.int32], rows: NDArray[np.integer], asked: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Bool [n], whether each document asked for stands in that row of `docs` [Q, K]."""
    found = np.zeros(len(rows), bool)
    for start in range(0, len(rows), rows_at_once(docs.shape[1])):
        part = slice(start, start + rows_at_once(docs.shape[1]))
        found[part] = (docs[rows[part]] == asked[part, None]).any(axis=1)
    return found


def repeated(docs: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Bool [Q, K], documents that stand further left in their row; no pad does.

    >>> repeated(np.array([[3, 5, 3, -1, -1]], np.int32)).tolist()
    [[False, False, True, False, False]]
    """
    order = np.argsort(docs, axis=1, kind="stable")
    in_order = np.take_along_axis(docs, order, axis=1)
    again = np.zeros(docs.shape, bool)
    again[:, 1:] = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] != PAD)
    found = np.zeros(docs.shape, bool)
    np.put_along_axis(found, order, again, axis=1)
    return found
