"""Rerankers score in batches: a pad token for those that came without, and proof that padding changes no score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mteb_cascade.errors import InputError

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder as Network

PAIRS = [
    ("what do whales eat", "Baleen whales filter krill and small fish from the sea; toothed whales hunt squid."),
    ("red fox", "A fox."),
    ("who wrote the first program", "Ada Lovelace published an algorithm for the Analytical Engine in 1843."),
    ("how far is the moon from the earth", "On average 384,400 kilometres"),
]
"""Pairs of different lengths, so that all but one are padded when they are scored together."""

TOLERANCE = {"float32": 2e-4, "float16": 0.05, "bfloat16": 0.25}
"""How far a score may move in a padded batch, as a share of the largest one (of 1 where all are smaller)."""


def ensure_padding(network: Network, what: str, dtype: str, batch_size: int | None) -> None:
    """Make padding work: one pad token in tokenizer and configuration, and scores that do not depend on the batch.

    A decoder's score is read at the last token that is not the configuration's pad token. Without one transformers
    refuses batches; with another than the tokenizer pads with, it reads the scores of pads.

    Args:
        network: One label, text pairs.
        what: What messages name.
        dtype: What the body runs in.
        batch_size: Pairs that will be scored together; of 1, nothing is padded and nothing checked.

    Raises:
        InputError: It has no token to pad with, or a pair scores otherwise in a padded batch than alone.
    """
    if network.transformers_model is None:
        return
    give_pad_token(network, what)
    if batch_size == 1:
        return
    # A pair alone has no pads: this is the score that the model was made for, whatever its configuration says.
    alone = logits(network, batch_size=1)
    pad = network.tokenizer.pad_token_id
    for config in configs(network):
        config.pad_token_id = pad
    together = logits(network, batch_size=len(PAIRS))
    moved = np.abs(together - alone).max()
    if not moved <= TOLERANCE[dtype] * max(1.0, np.abs(alone).max()):
        raise InputError(
            f"{what}: a pair's score moves by {moved:.2g} when it is padded in a batch, so batches would change scores "
            f"(pad token '{network.tokenizer.pad_token}', padding on the {network.tokenizer.padding_side}). "
            "Set batch_size = 1, or mend pad token and padding side of its tokenizer"
        )


def give_pad_token(network: Network, what: str) -> None:
    """Give the tokenizer a pad token where it has none that the model has a row for: never a new one.

    Raises:
        InputError: Every special token of its own can also end a text.
    """
    tokenizer = network.tokenizer
    body: Any = network.transformers_model
    rows = body.get_input_embeddings().num_embeddings
    if tokenizer.pad_token_id is not None and tokenizer.pad_token_id < rows:
        return
    stated = [config.pad_token_id for config in configs(network)]
    known = [tokenizer.convert_ids_to_tokens(pad) for pad in stated if pad is not None and 0 <= pad < rows]
    for token in (*known, tokenizer.eos_token, tokenizer.bos_token, tokenizer.unk_token):
        if token is not None:
            tokenizer.pad_token = token
            # A token that the tokenizer puts at the end of every pair would be taken for padding there.
            if token in known or network.preprocess(PAIRS[:1])["input_ids"][0, -1] != tokenizer.pad_token_id:
                return
    raise InputError(
        f"{what}: its tokenizer has no pad token, and no special token that never ends a text to use as one. "
        "Set batch_size = 1 after giving it one, such as tokenizer.pad_token = tokenizer.eos_token"
    )


def configs(network: Network) -> list[Any]:
    """The model's configuration and, where it is nested, the one of its text part: transformers asks the latter."""
    body: Any = network.transformers_model
    config = body.config
    text = config.get_text_config()
    return [config] if text is config else [config, text]


def logits(network: Network, batch_size: int) -> np.ndarray:
    """float64 [len(PAIRS)], scored this many at a time."""
    import torch

    scores = network.predict(
        PAIRS, batch_size=batch_size, activation_fn=torch.nn.Identity(), show_progress_bar=False, convert_to_numpy=True
    )
    return np.asarray(scores, np.float64)
