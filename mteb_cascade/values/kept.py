"""What those pay who hand the first documents on to a language model: recall against tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mteb_cascade.values.curves import curves
from mteb_cascade.values.measures import mean
from mteb_cascade.values.order import order_keys
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import PAD, Run


@dataclass(frozen=True, eq=False)
class Kept:
    """The first documents of a ranking, at every rerank depth.

    Args:
        keep: Documents handed on.
        recall: float64 [D], mean recall@keep; column c holds depth c + 1.
        tokens: float64 [D], mean number of tokens handed on.
    """

    keep: int
    recall: NDArray[np.float64]
    tokens: NDArray[np.float64]

    @property
    def per_1000_tokens(self) -> NDArray[np.float64]:
        """float64 [D], mean recall over mean tokens, times 1,000; 0 where no token is handed on."""
        return 1000 * np.divide(self.recall, self.tokens, out=np.zeros_like(self.recall), where=self.tokens > 0)

    def as_json(self) -> dict[str, Any]:
        """As a result file holds it."""
        return {
            "keep": self.keep,
            f"recall@{self.keep}": self.recall.tolist(),
            "tokens": self.tokens.tolist(),
            "recall per 1,000 tokens": self.per_1000_tokens.tolist(),
        }


def recall_per_token(
    run: Run, scores: ArrayLike, qrels: Qrels, token_counts: ArrayLike, keep: int, blend: float = 0.0
) -> Kept:
    """What the first `keep` documents hold, and how long they are, at every rerank depth.

    Args:
        run: The ranking that the reranker received, [Q, K].
        scores: [Q, D], aligned with the first D <= K columns of `run`; -inf where a candidate could not be scored.
        qrels: Judgements.
        token_counts: [N], tokens of each document of the run's corpus.
        keep: Documents handed on, >= 1.
        blend: b in score + b * score before.

    Raises:
        ValueError: `keep` is below 1, there is not one count a document, shapes disagree, or a score is NaN.
    """
    counts = np.asarray(token_counts)
    if keep < 1 or counts.shape != (len(run.corpus),):
        raise ValueError(
            f"expected to keep at least 1 document and {len(run.corpus)} token counts; got {keep} and {counts.shape}"
        )
    name = f"recall@{keep}"
    recall = mean(curves(run, scores, qrels, [name], blend)[name])
    tokens = np.zeros(run.docs.shape)
    tokens[run.docs != PAD] = counts[run.docs[run.docs != PAD]]
    return Kept(keep, recall, _tokens_kept(order_keys(run, scores, blend), tokens, keep))


def _tokens_kept(keys: NDArray[np.int64], tokens: NDArray[np.float64], keep: int) -> NDArray[np.float64]:
    """float64 [D], mean tokens of the `keep` documents of largest key among the first d, topped up from the rest."""
    queries, columns = keys.shape
    total = tokens[:, :keep].sum(axis=1)
    found = np.full(columns, total.sum())
    best_keys, best_tokens = keys[:, :keep].copy(), tokens[:, :keep].copy()
    every_row = np.arange(queries)
    for column in range(keep, columns):
        lowest = best_keys.argmin(axis=1)
        enters = np.flatnonzero(keys[:, column] > best_keys[every_row, lowest])
        place = lowest[enters]
        total[enters] += tokens[enters, column] - best_tokens[enters, place]
        best_keys[enters, place], best_tokens[enters, place] = keys[enters, column], tokens[enters, column]
        found[column] = total.sum()
    found /= max(queries, 1)
    return found
