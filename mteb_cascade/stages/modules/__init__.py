"""Network modules of our own: loaded by name from this allow-list, never by code that comes with a model."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from mteb_cascade.errors import InputError
from mteb_cascade.stages.weights import MODULE_KEY, read_json

MODULES = {"interaction": "mteb_cascade.stages.modules.interaction:Interaction"}
"""{name in config.json: class}."""

KIND_OF_MODULE = {"interaction": "cross-encoder"}
"""The kind of stage that a module serves."""


def is_module(network: Any) -> bool:
    """Whether a loaded network is one of ours rather than of sentence-transformers."""
    return type(network).__module__.startswith(f"{__name__}.")


def load_module(folder: Path, device: str | None = None) -> Any:
    """The module in a folder, by the name in its config.json.

    Raises:
        InputError: The name is not on the list.
    """
    name = read_json(folder / "config.json").get(MODULE_KEY)
    if name not in MODULES:
        raise InputError(f"{folder}: module '{name}' is none of ours; expected {', '.join(MODULES)}")
    module, attribute = MODULES[name].split(":")
    return getattr(importlib.import_module(module), attribute).load(folder, device)
