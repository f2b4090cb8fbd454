"""Several runs of the same queries side by side: the union of their documents, and each run's score for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.values.run import PAD, Run


def united(runs: Sequence[Run]) -> Run:
    """Every document of any of these runs of the same queries, once, with score 0."""
    docs = np.sort(np.hstack([run.docs for run in runs]), axis=1)
    docs[:, 1:][docs[:, 1:] == docs[:, :-1]] = PAD
    run = Run(runs[0].query_ids, runs[0].corpus, docs, np.zeros(docs.shape, np.float32))
    run = run.without(docs == PAD)
    return run.cut(int(run.lengths.max(initial=0)))


def looked_up(
    run: Run, wanted: Run, missing: NDArray[np.float64], values: NDArray[np.floating] | None = None
) -> NDArray[np.float64]:
    """A run's score for other documents of the same queries.

    Args:
        run: [Q, K].
        wanted: [Q, U], the documents asked for.
        missing: float64 [Q], what a document is worth that the run does not have.
        values: [Q, K], looked up in place of the run's scores; a cell of -inf counts as not there.

    Returns:
        float64 [Q, U].
    """
    size = len(run.corpus) + 1
    offset = np.arange(len(run.docs), dtype=np.int64)[:, None] * size
    values = (run.scores if values is None else values).ravel().astype(np.float64)
    keys = (offset + run.docs + 1).ravel()
    keys, values = keys[values > -np.inf], values[values > -np.inf]
    found = np.repeat(missing[:, None], wanted.depth, axis=1)
    if not len(keys):
        return found
    order = np.argsort(keys)
    keys, values = keys[order], values[order]
    cells = offset + wanted.docs + 1
    at = np.minimum(np.searchsorted(keys, cells), len(keys) - 1)
    hit = keys[at] == cells
    found[hit] = values[at[hit]]
    return found
