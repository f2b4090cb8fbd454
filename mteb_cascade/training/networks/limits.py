"""Tokenizers that are fit to train with: a pad token, and no more tokens than the model has positions for."""

from __future__ import annotations

from typing import Any

from mteb_cascade.errors import InputError
from mteb_cascade.stages.padding import ensure_padding, give_pad_token

TABLES = ("position_embeddings", "wpe", "embed_positions")
"""What models call their table of learned positions."""


def prepare_tokenizer(network: Any, max_length: int | None, what: str) -> None:
    """Mend the tokenizers of a network before its first step; what cannot be mended is named.

    Args:
        network: Of any kind; one without a transformers model needs nothing.
        max_length: Tokens to keep of a text or pair; None takes the model's limit.
        what: What messages name.

    Raises:
        InputError: A tokenizer knows no word or has nothing to pad with, the model has fewer positions than
            `max_length`, or that leaves no room for a text.
    """
    from sentence_transformers import CrossEncoder, SentenceTransformer
    from sentence_transformers.base.modules import Transformer

    for module in network.modules():
        if not isinstance(module, Transformer):
            continue
        tokenizer: Any = module.tokenizer
        if len(tokenizer) <= len(tokenizer.all_special_ids):
            raise InputError(
                f"{what}: [training] base: its tokenizer knows no word: its tokenizer.json is missing or empty; "
                "fetch or save the base again, with its tokenizer"
            )
        limit = positions(module.model)
        if max_length is not None and limit is not None and max_length > limit:
            raise InputError(
                f"{what}: [training] max_length {max_length:,} is more than the {limit:,} tokens that its base takes; "
                "set it lower, or take a base for long texts"
            )
        marks = tokenizer.num_special_tokens_to_add(pair=isinstance(network, CrossEncoder))
        if max_length is not None and max_length <= marks:
            raise InputError(
                f"{what}: [training] max_length {max_length} leaves no room for text beside the {marks} tokens that "
                "the tokenizer adds; set it higher"
            )
        # Without a limit of its own a tokenizer passes on more than the model has positions for.
        most = min(tokenizer.model_max_length, limit or tokenizer.model_max_length)
        tokenizer.model_max_length = max(most, max_length or 1)
        if not isinstance(network, CrossEncoder):
            alone: Any = SentenceTransformer(modules=[module], device=str(network.device))
            give_pad_token(alone, what)
    if isinstance(network, CrossEncoder):
        ensure_padding(network, what, "float32", batch_size=2)


def positions(body: Any) -> int | None:
    """Tokens that a model takes at most; None where it counts distances between tokens, as T5 does."""
    from torch.nn import Embedding

    for name, module in body.named_modules():
        if isinstance(module, Embedding) and name.rsplit(".", 1)[-1] in TABLES:
            # RoBERTa's kind counts its positions from behind the one of pads.
            before = 0 if module.padding_idx is None else module.padding_idx + 1
            return int(module.num_embeddings) - before
    stated = getattr(body.config.get_text_config(), "max_position_embeddings", None)
    return int(stated) if stated and stated > 0 else None
