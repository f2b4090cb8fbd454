"""What a model's folder says of the model: size, width, length. Headers and small JSON are read, never weights."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

from mteb_cascade.stages.weights import MODULE_KEY, architectures, read_json

EMBEDDINGS = re.compile(r"(^|\.)(word_embeddings|embed_tokens|tok_embeddings|shared|wte|embedding)\.weight$|^table$")
"""Names of the tensors that turn a token's number into a vector: transformers', StaticEmbedding's, and ours."""

HEADS = re.compile(r"classif|score|logits|head")
"""Names of the tensors of a score head."""

INDICES = ("I64", "BOOL")
"""Types of tensors that count or mask and are no parameters, such as the position numbers of older BERTs."""

WIDTHS = ("hidden_size", "d_model", "dim", "n_embd", "hidden_dim")
"""What transformers' configurations call the width of a token's vector."""

KEEPS_WIDTH = ("Normalize", "Dropout", "LayerNorm", "SpladePooling", "WordWeights", "MultiVectorMask")
"""Modules of sentence-transformers whose output is as wide as their input."""


@dataclass(frozen=True)
class Tensor:
    """One tensor of a safetensors file, from its header.

    Args:
        name: Its name.
        shape: Its shape.
        dtype: Such as F32 or BF16.
        size: Bytes.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    size: int


@dataclass(frozen=True)
class Size:
    """How big a model is.

    Args:
        parameters: All of them.
        embedding_parameters: Those of the token table; None where none is recognised.
        size: Bytes, in the types that they are stored in.
    """

    parameters: int
    embedding_parameters: int | None
    size: int


def tensors(folder: Path) -> Iterator[Tensor]:
    """Every tensor of the safetensors files below a folder."""
    for path in sorted(folder.rglob("*.safetensors")):
        if not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield from header(path)


def header(path: Path) -> Iterator[Tensor]:
    """The tensors of one safetensors file: eight bytes of length, then a JSON header."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        entries = json.loads(file.read(length))
    for name, entry in entries.items():
        if name != "__metadata__":
            start, end = entry["data_offsets"]
            yield Tensor(name, tuple(entry["shape"]), entry["dtype"], end - start)


def size_of(folder: Path) -> Size | None:
    """How big the model of a folder is; None where it holds no safetensors file."""
    found = list(tensors(folder))
    if not found:
        return None
    tables = [prod(tensor.shape) for tensor in found if EMBEDDINGS.search(tensor.name)]
    parameters = sum(prod(tensor.shape) for tensor in found if tensor.dtype not in INDICES)
    return Size(parameters, sum(tables) if tables else None, sum(tensor.size for tensor in found))


def lacks_head(folder: Path) -> bool:
    """Whether a classifier of transformers was stored without the layer that gives its score: a new one is random."""
    named = any(name.endswith("ForSequenceClassification") for name in architectures(folder))
    return named and not any(HEADS.search(tensor.name) for tensor in tensors(folder))


def modules_of(folder: Path) -> list[tuple[str, Path]]:
    """(class, folder) of each module of a sentence-transformers model in order; of a router, of its document route."""
    listed = read_json(folder / "modules.json")
    found = [(str(one.get("type", "")), folder / str(one.get("path", ""))) for one in listed or ()]
    return [part for kind, path in found for part in (routed(path) if class_of(kind) == "Router" else [(kind, path)])]


def routed(folder: Path) -> list[tuple[str, Path]]:
    """As `modules_of`, of a router's folder."""
    router = read_json(folder / "router_config.json")
    routes: Mapping[str, list[str]] = router.get("structure") or {}
    route = routes.get("document") or next(iter(routes.values()), [])
    return [(str(router["types"].get(name, "")), folder / name) for name in route]


def class_of(kind: str) -> str:
    """The last part of a dotted name."""
    return kind.rpartition(".")[2]


def width_of(folder: Path, kind: str) -> int | None:
    """Dimension of a vector of this kind of model; None of a cross-encoder, and where a module is not known here."""
    if kind == "cross-encoder":
        return None
    modules = modules_of(folder)
    if not modules:
        return config_width(folder, vocabulary=kind == "sparse")
    width = None
    for name, path in modules:
        width = module_width(class_of(name), path, width)
        if width is None:
            return None
    return width


def module_width(name: str, folder: Path, before: int | None) -> int | None:
    """Dimension of what one module of sentence-transformers gives, from that of what it is given."""
    config = read_json(folder / "config.json")
    if name in ("Transformer", "MLMTransformer"):
        task = read_json(folder / "sentence_bert_config.json").get("transformer_task")
        return config_width(folder, vocabulary=name == "MLMTransformer" or task == "fill-mask")
    if name in ("StaticEmbedding", "SparseStaticEmbedding"):
        shapes = [tensor.shape for tensor in tensors(folder) if tensor.name in ("embedding.weight", "weight")]
        return shapes[0][-1] if shapes else None
    if name == "Pooling":
        modes = config.get("pooling_mode")
        legacy = sum(bool(value) for key, value in config.items() if key.startswith("pooling_mode_"))
        count = len(modes) if isinstance(modes, list) else 1 if modes else max(legacy, 1)
        width = config.get("embedding_dimension") or config.get("word_embedding_dimension") or before
        return count * width if width else None
    if name == "Dense":
        width = config.get("out_features")
        return int(width) if width else None
    return before if name in KEEPS_WIDTH else None


def config_width(folder: Path, *, vocabulary: bool = False) -> int | None:
    """Width of a transformers model's token vectors, or the size of its vocabulary."""
    config = read_json(folder / "config.json")
    for part in (config, config.get("text_config") or {}):
        for key in ("vocab_size",) if vocabulary else WIDTHS:
            if isinstance(part.get(key), int):
                return int(part[key])
    return None


def positions_of(folder: Path) -> int | None:
    """Rows of the model's position table, or what its configuration calls its positions; None where it has none."""
    transformer = transformer_folder(folder)
    for tensor in tensors(transformer):
        if tensor.name.endswith("position_embeddings.weight") and len(tensor.shape) == 2:
            return tensor.shape[0]
    positions = read_json(transformer / "config.json").get("max_position_embeddings")
    return positions if isinstance(positions, int) and positions > 0 else None


def tokens_of(folder: Path) -> float | None:
    """Tokens of a text (of a pair, for a cross-encoder) that a model keeps: infinite of a table, None if not known."""
    names = [class_of(name) for name, _ in modules_of(folder)]
    if read_json(folder / "config.json").get(MODULE_KEY) or names[:1] in (
        ["StaticEmbedding"],
        ["SparseStaticEmbedding"],
    ):
        return math.inf
    transformer = transformer_folder(folder)
    own = read_json(transformer / "sentence_bert_config.json")
    limits = [own.get("document_length") or own.get("max_seq_length")]
    if not limits[0]:
        # As sentence-transformers does it: the tokenizer's limit, at most the positions that there are.
        limits = [read_json(transformer / "tokenizer_config.json").get("model_max_length"), positions_of(folder)]
    # Transformers writes 1e30 for "none".
    known = [limit for limit in limits if isinstance(limit, int) and 0 < limit < 10**9]
    return min(known) if known else None


def transformer_folder(folder: Path) -> Path:
    """Where the transformer of a model lies: its first module's folder."""
    modules = modules_of(folder)
    return modules[0][1] if modules else folder


def has_prompts(folder: Path) -> bool:
    """Whether the model puts words of its own before a text."""
    prompts = read_json(folder / "config_sentence_transformers.json").get("prompts")
    return isinstance(prompts, dict) and any(prompts.values())


def similarity_of(folder: Path, kind: str) -> str | None:
    """How vectors are compared, as mteb says it; None of a cross-encoder, and of a distance: mteb reads none back."""
    if kind == "late-interaction":
        return "MaxSim"
    if kind not in ("bi-encoder", "sparse"):
        return None
    default = "cosine" if kind == "bi-encoder" else "dot"
    named = read_json(folder / "config_sentence_transformers.json").get("similarity_fn_name") or default
    return named if named in ("cosine", "dot") else None
