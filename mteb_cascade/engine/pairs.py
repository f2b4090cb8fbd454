"""Pairs through a cross-encoder: each tokenised once, packed by token budget, halved where memory runs out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.memory import packed
from mteb_cascade.engine.packing import budget_of
from mteb_cascade.engine.tokens import TokenisedPairs, estimated
from mteb_cascade.engine.watched import watched

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

PAIRS_AT_ONCE = 2**15
"""Pairs that are sorted by length together: enough that little is padded, and ids that take some 100 MB."""


def scores_of_pairs(
    network: CrossEncoder, pairs: Sequence[tuple[str, str]], batch_size: int, what: str
) -> NDArray[np.float32]:
    """The logit of every pair: what `predict` gives for it alone, but for the rounding of the type it computes in.

    Args:
        network: A cross-encoder of sentence-transformers with one label.
        pairs: n pairs (query, document).
        batch_size: See `packing.budget_of`.
        what: What messages name.

    Returns:
        float32 [n], without sigmoid.

    Raises:
        InputError: Memory does not hold a single pair.
    """
    network.eval()
    found = np.empty(len(pairs), np.float32)
    with watched(len(pairs), "Pairs") as done:
        for start in range(0, len(pairs), PAIRS_AT_ONCE):
            part = pairs[start : start + PAIRS_AT_ONCE]
            for pack, scores in packs_of_pairs(network, part, batch_size, what):
                found[start + pack] = scores
                done(len(pack))
    return found


def packs_of_pairs(
    network: CrossEncoder, pairs: Sequence[tuple[str, str]], batch_size: int, what: str
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Positions of pairs and their logits, micro-batch by micro-batch."""
    tokenised = TokenisedPairs.of(network, pairs)
    lengths = estimated_pairs(network, pairs) if tokenised is None else tokenised.lengths

    def run(pack: NDArray[np.intp]) -> NDArray[np.float32]:
        if tokenised is None:
            return predicted(network, [pairs[row] for row in pack])
        return forwarded(network, tokenised, pack)

    yield from packed(run, lengths, budget_of(batch_size, network.device.type), what)


def forwarded(network: CrossEncoder, pairs: TokenisedPairs, pack: NDArray[np.intp]) -> NDArray[np.float32]:
    """float32 [len(pack)], one forward pass."""
    import torch
    from sentence_transformers.util import batch_to_device

    with torch.inference_mode():
        scores: torch.Tensor = network(batch_to_device(pairs.padded(pack), network.device))["scores"]
        logits: NDArray[np.float32] = scores.float().reshape(len(pack)).cpu().numpy()
    return logits


def predicted(network: CrossEncoder, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
    """float32 [len(pairs)], by the library's own way in one batch."""
    import torch

    scores = network.predict(
        pairs, batch_size=len(pairs), activation_fn=torch.nn.Identity(), show_progress_bar=False, convert_to_numpy=True
    )
    return np.asarray(scores, np.float32)


def estimated_pairs(network: CrossEncoder, pairs: Sequence[tuple[str, str]]) -> NDArray[np.int64]:
    """int64 [n], about as many tokens as the pairs have."""
    sides = [estimated(side) for side in zip(*pairs, strict=True)]
    limit = network.max_seq_length
    total = np.asarray(sum(sides), np.int64)
    return total if limit is None else np.minimum(total, limit)
