"""Tiny encoder-decoders of T5's family with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FAMILIES = ("T5", "MT5", "UMT5", "T5Gemma")
WIDTH = 16


def config_of(family: str, tokenizer: Any) -> Any:
    """Two layers of that width."""
    import transformers

    special = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.sep_token_id}
    if family != "T5Gemma":
        return getattr(transformers, f"{family}Config")(
            vocab_size=len(tokenizer), d_model=WIDTH, d_kv=8, d_ff=32, num_layers=2, num_heads=2, **special
        )
    side = {
        "vocab_size": len(tokenizer), "hidden_size": WIDTH, "intermediate_size": 32, "num_hidden_layers": 2,
        "num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 8, "query_pre_attn_scalar": 8,
        "max_position_embeddings": 64, "bos_token_id": tokenizer.cls_token_id, **special,
    }  # fmt: skip
    return transformers.T5GemmaConfig(encoder=dict(side), decoder=dict(side), vocab_size=len(tokenizer), **special)


def saved(family: str, head: str, tokenizer: Any, folder: Path, **changes: Any) -> Path:
    """The folder of such a model with a head, such as ConditionalGeneration, and its tokenizer."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = config_of(family, tokenizer)
    for name, value in changes.items():
        setattr(config, name, value)
    getattr(transformers, f"{family}For{head}")(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
