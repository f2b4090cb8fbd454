"""What a judge or a teacher says of the documents of training lists, some million pairs at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress
from mteb_cascade.spec import SpecError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.load import load
from mteb_cascade.values.run import PAD, Run

AT_ONCE = 2_000_000
"""Cells of lists that are looked at together: about 100 bytes each."""


def stage_of(name: str, where: str) -> Stage:
    """The stage of this name, its weights on this disk.

    Raises:
        InputError: There is none, or its weights were never trained; the message begins with `where`.
    """
    try:
        stage = load(name)
        stage.fetch_missing()
    except SpecError:
        raise
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    return stage


def scores_by(
    stage: Stage, queries: Queries, corpus: Corpus, docs: NDArray[np.int32], where: str, progress: Progress
) -> NDArray[np.float32]:
    """A stage's scores, through the store.

    Args:
        stage: Any that scores.
        queries: Q queries.
        corpus: N documents.
        docs: int32 [Q, L], -1 anywhere.
        where: How messages begin.
        progress: Told of the pairs, first of how many there are.

    Returns:
        float32 [Q, L], -inf at pads and at what cannot be scored.

    Raises:
        InputError: A score is NaN or infinite; the pair is named.
    """
    stage.index(corpus)
    scores = np.full(docs.shape, -np.inf, np.float32)
    total, before = int((docs != PAD).sum()), 0
    note = f"{total:,} pairs by {stage.label}"
    progress(0, total, note)

    def told(done: int, _: int, note: str) -> None:
        progress(before + done, total, note)

    for start in range(0, len(docs), rows_at_once(docs.shape[1])):
        part = docs[start : start + rows_at_once(docs.shape[1])]
        asked = queries.rows(range(start, start + len(part)))
        blank = np.where(part == PAD, -np.inf, 0).astype(np.float32)
        found = stage.scored(asked, Run(asked.ids, corpus, part, blank), told)
        if (wrong := np.isnan(found) | (found == np.inf)).any():
            row, column = np.argwhere(wrong)[0]
            raise InputError(
                f"{where}: {stage.label}'s score of query '{asked.ids[row]}' and document "
                f"'{corpus.id_of(int(part[row, column]))}' is {found[row, column]}; expected a finite number"
            )
        scores[start : start + len(part)] = found
        before += int((part != PAD).sum())
        progress(before, total, note)
    return scores


def rows_at_once(columns: int) -> int:
    """Lists of so many columns that are looked at together."""
    return max(1, AT_ONCE // max(columns, 1))
