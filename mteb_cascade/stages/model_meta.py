"""What mteb is told of a stage; imports mteb, so only when mteb asks."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.errors import in_one_line, suggestion
from mteb_cascade.spec import SpecError
from mteb_cascade.stages.base import Stage

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

MODEL_TYPES = {
    "bi-encoder": "dense",
    "cross-encoder": "cross-encoder",
    "late-interaction": "late-interaction",
    "bm25": "sparse",
    "tfidf": "sparse",
    "lucene": "sparse",
    "sparse": "sparse",
}
"""mteb's word for a kind; all else is "hybrid", as mteb's own HybridSearch."""

FRAMEWORKS = {"bm25": ["NumPy"], "tfidf": ["NumPy"], "lucene": [], "run": ["NumPy"]}

OURS = ("loader", "loader_kwargs", "name", "revision", "experiment_kwargs", "is_cross_encoder")
"""Fields of a ModelMeta that a card does not set: the spec itself decides them."""


def model_meta_of(stage: Stage) -> ModelMeta:
    """The ModelMeta of a stage: revision is its fingerprint, its pipeline stands in `loader_kwargs`.

    Raises:
        SpecError: The spec's [card] has a key that mteb does not know, or a value that it refuses.
    """
    # Not above: the first import of mteb makes its registry ask for this function.
    from mteb.models.model_meta import ModelMeta

    spec = stage.spec
    parameters = sum(prod(shape) for shape in tensor_shapes(stage)) or None
    facts: dict[str, Any] = {
        "loader": None,
        "loader_kwargs": {"pipeline": stage.described()},
        "name": stage.name or f"local/{stage.kind}-{stage.fingerprint[:12]}",
        "revision": stage.fingerprint,
        "release_date": None,
        "languages": None,
        "n_parameters": parameters,
        "memory_usage_mb": round(parameters * 4 / 2**20, 1) if parameters else None,
        "max_tokens": None,
        "embed_dim": None,
        "license": None,
        "open_weights": None,
        "public_training_code": None,
        "public_training_data": None,
        "framework": FRAMEWORKS.get(stage.kind, ["Sentence Transformers", "PyTorch"]),
        "similarity_fn_name": None,
        "use_instructions": False,
        "training_datasets": None,
        "model_type": [MODEL_TYPES.get(stage.kind, "hybrid")],
        "modalities": ["text"],
        **getattr(stage, "facts", {}),
    }
    card = dict(spec.card) if spec else {}
    known = [key for key in ModelMeta.model_fields if key not in OURS]
    mistakes = [f"[card] unknown key '{key}'. {suggestion(key, known)}" for key in card if key not in known]
    datasets = card.get("training_datasets")
    if isinstance(datasets, list):
        card["training_datasets"] = set(map(str, datasets))
    elif datasets is not None:
        mistakes.append(f"[card] training_datasets: expected a list of names, got {datasets!r}")
    if mistakes and spec:
        raise SpecError(spec.path, mistakes)
    try:
        return ModelMeta(**(facts | card))
    except ValueError as error:
        if spec is None:
            raise
        raise SpecError(spec.path, [f"[card] {in_one_line(error)}"]) from None


def tensor_shapes(stage: Stage) -> Iterator[list[int]]:
    """Shape of every tensor in the stage's safetensors files, from their headers alone."""
    for path in stage.files():
        if path.suffix == ".safetensors":
            yield from header_shapes(path)


def header_shapes(path: Path) -> Iterator[list[int]]:
    """Tensor shapes of one safetensors file: eight bytes of length, then a JSON header."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    for name, entry in header.items():
        if name != "__metadata__":
            yield entry["shape"]
