"""Which kind of device a model will run on."""

from __future__ import annotations

import sys
from pathlib import Path

DRIVERS = ("nvidia*", "kfd", "dxg", "dri", "accel*")
"""Files below /dev without which Linux has no accelerator."""


def device_type(device: str | None = None) -> str:
    """Such as "cpu" or "cuda": of the device that was named, else of the one that torch chooses.

    Where nothing can be there to choose, torch is not loaded to say so: that takes seconds.

    >>> device_type("cuda:1")
    'cuda'
    """
    if device:
        return device.partition(":")[0]
    if "torch" not in sys.modules and sys.platform == "linux":
        drivers = (file for name in DRIVERS for file in Path("/dev").glob(name))
        if next(drivers, None) is None:
            return "cpu"
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return found.type if found else "cpu"
