"""Bytes, seconds and devices in words."""

from __future__ import annotations

from typing import Any


def device_name(device: Any, *, bfloat16: bool) -> str:
    """Such as "NVIDIA A10G, bfloat16 over float32 weights"."""
    import torch

    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    return f"{name}, " + ("bfloat16 over float32 weights" if bfloat16 else "float32")


def size(count: int) -> str:
    """Bytes in words.

    >>> size(3 * 2**30)
    '3.0 GB'
    """
    return f"{count / 2**30:.1f} GB" if count >= 2**30 else f"{count / 2**20:.0f} MB"


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> [duration(one) for one in (0.4, 75, 3 * 3600 + 120)]
    ['0.4 s', '1 min 15 s', '3 h 2 min']
    """
    if seconds < 60:
        return f"{seconds:.2g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
