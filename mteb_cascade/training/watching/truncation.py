"""How much of the training text a model reads, and how much it cuts off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.training.lists import Lists


@dataclass(frozen=True)
class Truncation:
    """Texts of one side, against the tokens that the model keeps of them.

    Args:
        side: "queries", "documents" or "pairs".
        limit: Tokens kept; None where nothing is cut.
        texts: Looked at.
        longer: Share of them that are cut, in [0, 1].
        typical: Median of their tokens, uncut.
        longest: Most tokens of one, uncut.
    """

    side: str
    limit: int | None
    texts: int
    longer: float
    typical: int
    longest: int

    def __str__(self) -> str:
        sizes = f"median {self.typical:,} tokens, longest {self.longest:,}"
        if self.limit is None:
            return f"no {self.side} cut ({sizes})"
        return f"{self.longer:.1%} of {self.side} cut at {self.limit:,} tokens ({sizes})"


def truncation(kind: str, network: Any, lists: Lists, *, sample: int = 1000, seed: int = 0) -> list[Truncation]:
    """Tokenise a sample of the training text without cutting it.

    Args:
        kind: Of the network: a cross-encoder reads pairs, the others queries and documents apart.
        network: The sentence-transformers model.
        lists: Training lists, at least one document in all.
        sample: Texts, or pairs, of each side at most.
        seed: Draws them.

    Returns:
        One entry for each side.
    """
    draw = np.random.default_rng(seed)
    rows, columns = np.nonzero(lists.real)
    chosen = np.sort(draw.choice(len(rows), min(sample, len(rows)), replace=False))
    documents = lists.corpus.texts_at(lists.docs[rows[chosen], columns[chosen]])
    if kind == "cross-encoder":
        queries = [lists.queries.texts[row] for row in rows[chosen]]
        return [against("pairs", network.max_seq_length, token_counts(network.tokenizer, queries, documents))]
    asked = np.sort(draw.choice(len(lists), min(sample, len(lists)), replace=False))
    sides = {"queries": ("query", lists.queries.rows(asked.tolist()).texts), "documents": ("document", documents)}
    return [
        against(
            side,
            limit_of(network, role),
            token_counts(network.tokenizer, [(network.prompts.get(role) or "") + text for text in texts]),
        )
        for side, (role, texts) in sides.items()
    ]


def limit_of(network: Any, role: str) -> float | None:
    """Tokens that an encoder keeps of a query or a document; late interaction has a limit for each."""
    own: float | None = getattr(network[0], f"{role}_length", None)
    limit: float | None = network.max_seq_length if own is None else own
    return limit


def token_counts(tokenizer: Any, *texts: Sequence[str]) -> NDArray[np.int64]:
    """int64 [n], tokens of each text or pair, special ones among them and nothing cut."""
    columns = [list(column) for column in texts]
    if hasattr(tokenizer, "encode_batch"):
        ids = [one.ids for one in tokenizer.encode_batch(*columns)]
    else:
        ids = tokenizer(*columns, truncation=False, padding=False, verbose=False)["input_ids"]
    return np.array([len(one) for one in ids], np.int64)


def against(side: str, limit: float | None, counts: NDArray[np.int64]) -> Truncation:
    """What a limit does to texts of so many tokens."""
    most = None if limit is None or not np.isfinite(limit) else int(limit)
    longer = 0.0 if most is None else float((counts > most).mean())
    return Truncation(side, most, len(counts), longer, int(np.median(counts)), int(counts.max()))
