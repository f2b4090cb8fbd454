"""Pairs through a cross-encoder: each text tokenised once, packed by token budget, halved where memory runs out."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.chunks import Tokens, in_chunks
from mteb_cascade.engine.packing import budget_of
from mteb_cascade.engine.pair_template import template_of
from mteb_cascade.engine.text_pairs import TextPairs
from mteb_cascade.engine.tokens import Tokenised, default_prompt, plain_transformer
from mteb_cascade.engine.watched import watched
from mteb_cascade.engine.workers import shared_out

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


def scores_of_pairs(
    network: CrossEncoder,
    pairs: TextPairs,
    batch_size: int | None,
    what: str,
    devices: Sequence[str] = (),
) -> NDArray[np.float32]:
    """The logit of every pair: what `predict` gives for it alone, but for the rounding of the type it computes in.

    Args:
        network: A cross-encoder of sentence-transformers with one label.
        pairs: n pairs.
        batch_size: See `packing.budget_of`.
        what: What messages name.
        devices: Two or more: a worker process each; else the network runs here.

    Returns:
        float32 [n], without sigmoid.

    Raises:
        InputError: Memory does not hold a single pair, or a worker ended.
    """
    network.eval()
    found = np.empty(len(pairs), np.float32)
    with (
        watched(len(pairs), "Pairs") as done,
        closing(packs_of_pairs(network, pairs, batch_size, what, devices)) as packs,
    ):
        for rows, scores in packs:
            found[rows] = scores
            done(len(rows))
    return found


def packs_of_pairs(
    network: CrossEncoder, pairs: TextPairs, batch_size: int | None, what: str, devices: Sequence[str]
) -> Generator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Positions of pairs and their logits, micro-batch by micro-batch."""
    estimates = pairs.estimates(network.max_seq_length)
    if len(devices) > 1:
        budget = budget_of(batch_size, devices[0])

        def worked(rows: NDArray[np.intp], options: dict[str, Any]) -> NDArray[np.float32]:
            return predicted(network, pairs.texts(rows), **options)

        yield from shared_out(network, devices, what, worked, estimates, budget)
        return
    device = network.device.type
    template = template_of(network)
    plain = plain_transformer(network)
    prompt = default_prompt(network)

    def tokenise(rows: NDArray[np.intp]) -> Tokens | None:
        if template is not None:
            return template.tokenised(pairs, rows)
        return Tokenised.of(network, pairs.texts(rows), prompt=prompt) if plain else None

    def run(tokens: Tokens, pack: NDArray[np.intp]) -> NDArray[np.float32]:
        return forwarded(network, tokens, pack)

    def plainly(rows: NDArray[np.intp]) -> NDArray[np.float32]:
        return predicted(network, pairs.texts(rows), batch_size=len(rows))

    budget = budget_of(batch_size, device)
    yield from in_chunks(estimates, tokenise, run, plainly, budget, what, device=device)


def forwarded(network: CrossEncoder, pairs: Tokens, pack: NDArray[np.intp]) -> NDArray[np.float32]:
    """float32 [len(pack)], one forward pass."""
    import torch
    from sentence_transformers.util import batch_to_device

    with torch.inference_mode():
        scores: torch.Tensor = network(batch_to_device(pairs.padded(pack), network.device))["scores"]
        logits: NDArray[np.float32] = scores.float().reshape(len(pack)).cpu().numpy()
    return logits


def predicted(network: CrossEncoder, pairs: list[tuple[str, str]], **options: Any) -> NDArray[np.float32]:
    """float32 [len(pairs)], by the library's own way."""
    import torch

    scores = network.predict(
        pairs, activation_fn=torch.nn.Identity(), show_progress_bar=False, convert_to_numpy=True, **options
    )
    return np.asarray(scores, np.float32)
