"""Which kind of device a model will run on."""

from __future__ import annotations

import sys
from pathlib import Path

from mteb_cascade.errors import InputError

DRIVERS = ("nvidia*", "kfd", "dxg", "dri", "accel*")
"""Files below /dev without which Linux has no accelerator."""


def devices_of(device: str | None) -> tuple[str, ...]:
    """The devices that are named, separated by commas; none where torch is to choose one.

    >>> devices_of("cuda:0, cuda:1"), devices_of("cpu"), devices_of(None)
    (('cuda:0', 'cuda:1'), ('cpu',), ())

    Raises:
        InputError: Two of them are of different kinds: scores would depend on which of them a pair falls to.
    """
    named = tuple(filter(None, (one.strip() for one in (device or "").split(","))))
    kinds = dict.fromkeys(one.partition(":")[0] for one in named)
    if len(kinds) > 1:
        raise InputError(f"device: expected devices of one kind, got '{device}', which are {' and '.join(kinds)}")
    return named


def device_type(device: str | None = None) -> str:
    """Such as "cpu" or "cuda": of the first device that was named, else of the one that torch chooses.

    Where nothing can be there to choose, torch is not loaded to say so: that takes seconds.

    >>> device_type("cuda:1")
    'cuda'
    """
    if named := devices_of(device):
        return named[0].partition(":")[0]
    if "torch" not in sys.modules and sys.platform == "linux":
        drivers = (file for name in DRIVERS for file in Path("/dev").glob(name))
        if next(drivers, None) is None:
            return "cpu"
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    return found.type if found else "cpu"
