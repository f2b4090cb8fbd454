"""Which number formats and back-ends a model stage can compute in, and how its transformer comes to OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.engine import dtypes, openvino
from mteb_cascade.engine.devices import device_type
from mteb_cascade.errors import InputError
from mteb_cascade.stages.modules import is_module
from mteb_cascade.stages.weights import MODULE_KEY, read_json

if TYPE_CHECKING:
    from mteb_cascade.stages.model_stage import ModelStage

SAMPLES = 24
"""Queries and documents by which OpenVINO's int8 is calibrated, half of the documents long ones."""

IMPOSSIBLE = {("torch", "int8"), ("openvino", "bfloat16"), ("openvino", "float16")}


def ensure_possible(backend: str, dtype: str) -> None:
    """Refuse a format that a back-end does not compute in.

    Raises:
        InputError: It does not.
    """
    if (backend, dtype) in IMPOSSIBLE:
        raise InputError(
            f'backend = "{backend}" does not compute in dtype = "{dtype}": expected "float32" or "int8" with '
            '"openvino", "float32", "bfloat16" or "float16" with "torch"'
        )


def bytes_of(files: Sequence[Path]) -> int:
    """Bytes of the weights among a model's files."""
    return sum(file.stat().st_size for file in files if file.suffix == ".safetensors")


def is_without_transformer(folder: Path) -> bool:
    """Whether a folder holds a network of ours, or modules of which none is a transformer."""
    if read_json(folder / "config.json").get(MODULE_KEY):
        return True
    modules = [str(one.get("type", "")) for one in read_json(folder / "modules.json")]
    return bool(modules) and not any(name.endswith("Transformer") for name in modules)


def swap_transformer(stage: ModelStage, network: Any, digest: str) -> None:
    """Let OpenVINO compute what a network's transformer does, in the stage's format.

    Args:
        stage: Whose network it is.
        network: Loaded in float32.
        digest: Of its files.

    Raises:
        InputError: OpenVINO is not installed, or cannot compute it here.
    """
    device = device_type(stage.device)
    if device != "cpu":
        raise InputError(f'{stage.what}: OpenVINO computes on the CPU, and this stage on {device}; set device = "cpu"')
    openvino.expect_installed(stage.what)
    if is_module(network):
        raise InputError(f'{stage.what}: OpenVINO does not compute this network of ours; set backend = "torch"')
    questions, passages = dtypes.texts()
    long = dtypes.long_passages(passages)
    openvino.swap(
        network,
        stage.samples(network, questions[::2][:SAMPLES], [*passages[: SAMPLES // 2], *long[SAMPLES // 2 : SAMPLES]]),
        model=digest,
        precision="int8" if stage.computes_in == "int8" else "float32",
        heads=stage.heads(network),
        what=stage.what,
    )
