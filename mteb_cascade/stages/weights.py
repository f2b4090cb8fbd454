"""Where a model's files are, and what kind of model they hold."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from mteb_cascade.errors import InputError, in_one_line, suggestion
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
    return fetched_snapshot(model, revision, what)


def fetched_snapshot(model: str, revision: str | None, what: str) -> Path:
    """A hub model's folder with every file that loading reads: what an interrupted download left out is fetched.

    Raises:
        InputError: The hub did not give it.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return Path(snapshot_download(model, revision=revision, ignore_patterns=["*.bin", "*.pt", "*.pkl", "onnx/*"]))
    except GatedRepoError:
        reason = "its owner has to grant access: ask for it on the model's page, then log in with `hf auth login`"
    except RepositoryNotFoundError:
        reason = "the hub has no such model, or it is private: check the name, or log in with `hf auth login`"
    except RevisionNotFoundError:
        reason = f"the hub has it, but no revision '{revision}' of it"
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = f"the hub did not give it ({in_one_line(error)})"
    raise InputError(f"{what}: '{model}' is no model known here, and cannot be fetched: {reason}")


def whole_folder(model: str, revision: str | None, spec: Spec | None, what: str) -> Path:
    """As `fetched_folder`, but a hub model is there with all its weights.

    Raises:
        InputError: As there; or weights lack and HF_HUB_OFFLINE is set.
    """
    folder = fetched_folder(model, revision, spec, what)
    if is_path(model):
        return folder
    if not offline():
        return fetched_snapshot(model, revision, what)
    if not has_all_weights(folder):
        raise InputError(
            f"{what}: only a part of '{model}' is in the hub's cache; HF_HUB_OFFLINE is set, so the rest cannot be "
            "fetched. Fetch it on a machine with network"
        )
    return folder


def has_all_weights(folder: Path) -> bool:
    """Whether a folder has weights, and every file that an index of theirs names."""
    shards = [
        index.parent / name
        for index in folder.rglob("*.safetensors.index.json")
        for name in read_json(index).get("weight_map", {}).values()
    ]
    return any(folder.rglob("*.safetensors")) and all(shard.is_file() for shard in shards)


def cached_snapshots(model: str) -> Path:
    """Where the hub's client keeps the files of a model."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    return Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=model, repo_type="model") / "snapshots"


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
    names = architectures(folder)
    if any(name.endswith("ForSequenceClassification") for name in names):
        return "cross-encoder"
    return "bi-encoder" if names else None


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
    if expected == "cross-encoder" and is_encoder_decoder(folder):
        raise InputError(
            f"{what}: {shown(folder)} holds an encoder-decoder ({', '.join(architectures(folder))}), not a "
            "cross-encoder: its decoder would double memory and time, and its score is no ranker's. Make an "
            "encoder-only ranker of it with mteb_cascade.encoder_ranker(folder), train that, and name its folder"
        )
    if expected == "cross-encoder" and found == "bi-encoder" and is_untrained(None, folder):
        raise InputError(
            f"{what}: {shown(folder)} holds a plain checkpoint ({', '.join(architectures(folder))}) without a head "
            'that scores pairs, not a cross-encoder. Train one from it, or write kind = "bi-encoder" for an untrained '
            "baseline"
        )
    if found != expected:
        raise InputError(
            f'{what}: {shown(folder)} holds a {called(found)}, not a {called(expected)}. Write kind = "{found}"'
        )
    expect_safetensors(folder, what)


def called(kind: str) -> str:
    """A kind as a noun."""
    return f"{kind} model" if kind in ("sparse", "late-interaction") else kind


def expect_safetensors(folder: Path, what: str) -> None:
    """Refuse a folder whose weights are pickled or missing, in the parts that its modules.json names too.

    Raises:
        InputError: There is no .safetensors file where weights have to be.
    """
    lacking = [] if any(folder.rglob("*.safetensors")) else [folder]
    for module in read_json(folder / "modules.json"):
        part = folder / str(module.get("path", ""))
        has_weights = str(module.get("type", "")).endswith("Dense") or any(part.glob("*.bin"))
        if has_weights and not any(part.glob("*.safetensors")):
            lacking.append(part)
    if lacking:
        raise InputError(
            f"{what}: {shown(lacking[0])} has no .safetensors file; pickled weights are not loaded. "
            "Save the model again with safe_serialization=True"
        )


def architectures(folder: Path) -> list[str]:
    """The classes of transformers that a folder's config.json names."""
    return [str(name) for name in read_json(folder / "config.json").get("architectures") or ()]


def is_encoder_decoder(folder: Path) -> bool:
    """Whether loading a folder would load a decoder beside the encoder.

    Sentence-transformers' feature extraction loads the encoder alone, though T5's configuration still says both.
    """
    extracts = read_json(folder / "sentence_bert_config.json").get("transformer_task") == "feature-extraction"
    return bool(read_json(folder / "config.json").get("is_encoder_decoder")) and not extracts


def is_untrained(spec: Spec | None, folder: Path | None) -> bool:
    """Whether a bi-encoder's weights were never trained to compare texts.

    Args:
        spec: One that trains for 0 epochs says so.
        folder: A transformers checkpoint that sentence-transformers has never saved is mean-pooled as it is.
    """
    if spec is not None and spec.training.get("epochs") == 0:
        return True
    if folder is None or not (folder / "config.json").is_file():
        return False
    return not any((folder / name).is_file() for name in ("modules.json", "config_sentence_transformers.json"))


def read_json(path: Path) -> Any:
    """A JSON file's content; {} where there is none or it does not parse."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
