"""Texts without padding: flash attention over a batch that is one long row, where it is installed."""

from __future__ import annotations

from typing import Any

FLASH = "flash_attention_2"

HALVES = ("bfloat16", "float16")
"""What flash attention computes in."""

FLATTENED = ("feature-extraction", "fill-mask")
"""Tasks of transformers whose heads read every place alike, and not the first one of each row."""


def unpadded(network: Any, dtype: str) -> bool:
    """Have a network's transformer read its batches without padding, as sentence-transformers does it.

    That takes a CUDA device, half precision, the package flash-attn, and a model that knows it and has no head of its
    own on top. Elsewhere the network stays as it is.

    Args:
        network: Any model of sentence-transformers.
        dtype: What its body computes in.

    Returns:
        Whether it does.
    """
    if getattr(network, "transformers_model", None) is None or dtype not in HALVES or network.device.type != "cuda":
        return False
    first = network[0]
    body: Any = getattr(first, "model", None)
    if getattr(first, "transformer_task", None) not in FLATTENED or not getattr(body, "_supports_flash_attn", False):
        return False
    from transformers.utils.import_utils import is_flash_attn_2_available

    if not is_flash_attn_2_available():
        return False
    before = body.config._attn_implementation
    body.set_attn_implementation(FLASH)
    first.unpad_inputs = None  # Looked at anew.
    if not first.can_flatten_inputs:
        body.set_attn_implementation(before)
        first.unpad_inputs = None
    return bool(first.can_flatten_inputs)
