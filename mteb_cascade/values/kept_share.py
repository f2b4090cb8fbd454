"""How much of an exact ranking's top a cheaper search finds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.values.run import PAD, Run


def kept_share(found: Run, exact: Run, depth: int) -> NDArray[np.float64]:
    """Share of the first `depth` documents of an exact ranking that another ranking has among its first `depth`.

    Args:
        found: Q queries, ranked by the cheaper search.
        exact: The same queries over the same corpus.
        depth: Documents looked at, >= 1.

    Returns:
        float64 [Q], in [0, 1]; NaN where the exact ranking is empty.

    Raises:
        ValueError: The runs are of other queries, or `depth` is below 1.
    """
    if found.query_ids != exact.query_ids or depth < 1:
        raise ValueError(f"expected two runs of the same queries and a depth of at least 1, got depth {depth}")
    wanted, there = exact.cut(depth).docs, found.cut(depth).docs
    size = len(exact.corpus) + 1
    offset = np.arange(len(wanted), dtype=np.int64)[:, None] * size
    kept = np.isin(offset + wanted, offset + there) & (wanted != PAD)
    of = (wanted != PAD).sum(axis=1)
    shares = np.full(len(wanted), np.nan)
    shares[of > 0] = kept.sum(axis=1)[of > 0] / of[of > 0]
    return shares
