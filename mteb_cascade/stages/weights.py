"""Where a model's files are, and what kind of model they hold."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.spec import NAME, Spec, shown

KIND_OF_MODEL_TYPE = {
    "SentenceTransformer": "bi-encoder",
    "CrossEncoder": "cross-encoder",
    "SparseEncoder": "sparse",
    "MultiVectorEncoder": "late-interaction",
    "ColBERT": "late-interaction",
}
"""`model_type` in config_sentence_transformers.json; "ColBERT" is PyLate's older spelling."""

MODULE_KEY = "mteb_cascade_module"
"""Key in config.json that names a module of ours; `stages/modules` holds the allow-list."""


def is_path(model: str) -> bool:
    """Whether a model is given as a folder rather than by name: absolute, or starting with ./ or ~."""
    return Path(model).is_absolute() or model.startswith(("./", "~"))


def offline() -> bool:
    """Whether the user told the hub's client not to use the network."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in {"1", "true", "yes", "on"}


def local_folder(model: str, revision: str | None = None) -> Path | None:
    """The folder of a model on this disk: its own, or the hub's snapshot where it was fetched before; else None."""
    if is_path(model):
        return Path(model).expanduser()
    if not NAME.fullmatch(model):
        return None
    from huggingface_hub import try_to_load_from_cache

    for name in ("config.json", "modules.json"):
        found = try_to_load_from_cache(model, name, revision=revision)
        if isinstance(found, str):
            return Path(found).parent
    return None


def fetched_folder(model: str, revision: str | None, spec: Spec | None, what: str) -> Path:
    """As `local_folder`, fetching from the hub what is not here.

    Raises:
        InputError: There is nothing of that name here or on the hub, or weights that training should have made.
    """
    folder = local_folder(model, revision)
    if folder is not None and folder.is_dir() and any(folder.iterdir()):
        return folder
    if spec is not None and folder == spec.weights:
        raise InputError(
            f"{shown(spec.path)}: no weights in {shown(folder)}; train it with `mteb-cascade train {spec.short_name}`"
        )
    if is_path(model):
        raise InputError(f"{what}: no model in {shown(Path(model).expanduser())}: the folder is missing or empty")
    if not NAME.fullmatch(model):
        raise InputError(
            f"{what}: '{model}' is no hub id, and a folder is given as an absolute path or starting with ./ or ~"
        )
    if offline():
        raise InputError(
            f"{what}: '{model}' is no model known here and not in the hub's cache; HF_HUB_OFFLINE is set, so it "
            "cannot be fetched. Fetch it once on a machine with network, or give a folder as an absolute path"
        )
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, ignore_patterns=["*.bin", "*.pt", "*.pkl", "onnx/*"]))
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{what}: '{model}' is no model known here, and the hub did not give it: {reason}") from None


def kind_of(folder: Path) -> str | None:
    """The kind of model in a folder, told from its configuration as sentence-transformers would; None if unclear.

    Raises:
        InputError: It names a module of ours that there is not.
    """
    config = read_json(folder / "config.json")
    if config.get(MODULE_KEY):
        from mteb_cascade.stages.modules import KIND_OF_MODULE

        module = str(config[MODULE_KEY])
        if module not in KIND_OF_MODULE:
            raise InputError(f"{shown(folder)}: unknown module '{module}'. {suggestion(module, KIND_OF_MODULE)}")
        return KIND_OF_MODULE[module]
    kind = KIND_OF_MODEL_TYPE.get(str(read_json(folder / "config_sentence_transformers.json").get("model_type")))
    if kind:
        return kind
    modules = read_json(folder / "modules.json")
    if modules:
        types = [str(module.get("type", "")) for module in modules]
        return "sparse" if any("sparse_encoder" in name for name in types) else "bi-encoder"
    architectures = [str(name) for name in config.get("architectures") or ()]
    if any(name.endswith("ForSequenceClassification") for name in architectures):
        return "cross-encoder"
    return "bi-encoder" if architectures else None


def expect_kind(folder: Path, expected: str, what: str) -> None:
    """Refuse a folder that holds another kind of model.

    Raises:
        InputError: It does; says which, and what to write instead.
    """
    found = kind_of(folder)
    if found is None:
        raise InputError(
            f"{what}: {shown(folder)} holds no model that sentence-transformers or transformers knows: "
            "expected a config.json or modules.json"
        )
    if found != expected:
        raise InputError(f'{what}: {shown(folder)} holds a {found}, not a {expected}. Write kind = "{found}"')
    if not any(folder.rglob("*.safetensors")):
        raise InputError(
            f"{what}: {shown(folder)} has no .safetensors file; pickled weights are not loaded. "
            "Save the model again with safe_serialization=True"
        )


def read_json(path: Path) -> Any:
    """A JSON file's content; {} where there is none or it does not parse."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
