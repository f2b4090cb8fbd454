"""The model that training starts from: a base from the hub, a folder or another spec, or one from nothing."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mteb_cascade import spec as specs
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.spec import shown
from mteb_cascade.stages.encoder_ranker import encoder_ranker
from mteb_cascade.stages.training_facts import SCRATCH
from mteb_cascade.stages.weights import architectures, expect_safetensors, is_path, kind_of, read_json, whole_folder
from mteb_cascade.training.networks.limits import prepare_tokenizer
from mteb_cascade.training.networks.scratch import scratch_base, static_encoder
from mteb_cascade.training.options import Training

NETWORKS = {
    "bi-encoder": "SentenceTransformer",
    "cross-encoder": "CrossEncoder",
    "sparse": "SparseEncoder",
    "late-interaction": "MultiVectorEncoder",
}
"""{kind: class of sentence-transformers}."""


def build(kind: str, options: Training, corpus: Corpus, folder: Path, what: str) -> Any:
    """An untrained or pre-trained network of a kind, in float32, on the device that torch finds.

    Args:
        kind: One of `NETWORKS`.
        options: `base`, `revision`, `scratch`, `pooling`, `separate`, lengths, prompts, attention and seed decide.
        corpus: What a tokenizer from nothing is trained on.
        folder: Where a base from nothing is put.
        what: What messages name.

    Raises:
        InputError: There is no such base, its weights are pickled, or no model of this kind can be made of it.
    """
    import torch
    from safetensors import SafetensorError

    torch.manual_seed(options.seed)
    if options.base == SCRATCH and options.scratch.layers == 0:
        network = static_encoder(kind, options, corpus, what)
        network = separated(list(network), network) if options.separate else network
    else:
        base = scratch_base(options, corpus, folder, what) if options.base == SCRATCH else base_folder(options, what)
        try:
            network = of_base(kind, base, options, what)
        except (OSError, ValueError, RuntimeError, KeyError, ImportError, SafetensorError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{what}: no {kind} can be made of {shown(base)}: {in_one_line(error)}") from error
    if kind != "cross-encoder":
        network.prompts |= prompts_of(options)
    prepare_tokenizer(network, options.max_length, what)
    return network.float()


def base_folder(options: Training, what: str) -> Path:
    """The folder of the base: a spec's weights, a folder, or what the hub has, fetched where it is not here.

    Raises:
        InputError: There is none, or it holds no model, or pickled weights.
    """
    name = str(Path(options.base).absolute()) if Path(options.base).is_dir() else options.base
    spec = None if is_path(name) else specs.find(name)
    if spec is not None:
        name = str(spec.weights)
    where = f"{what}: [training] base"
    folder = whole_folder(name, options.revision, spec, where)
    expect_a_model(folder, where)
    return folder


def expect_a_model(base: Path, where: str) -> None:
    """Refuse a folder that holds no checkpoint, or one whose weights are pickled.

    Raises:
        InputError: It does; the message begins with `where`.
    """
    if not any((base / name).is_file() for name in ("config.json", "modules.json")):
        raise InputError(f"{where}: {shown(base)} holds no model: expected a config.json or modules.json")
    expect_safetensors(base, where)


def of_base(kind: str, base: Path, options: Training, what: str) -> Any:
    """The network over a checkpoint."""
    import sentence_transformers
    import torch

    if kind == "cross-encoder" and is_t5(base):
        return encoder_ranker(
            base,
            pooling=options.pooling,
            max_length=options.max_length,
            seed=options.seed,
        )
    loading: dict[str, Any] = {
        "local_files_only": True,
        "model_kwargs": {"use_safetensors": True, "dtype": torch.float32, **attention(options)},
    }
    if kind == "cross-encoder":
        loading |= {"num_labels": 1, "max_length": options.max_length, "activation_fn": torch.nn.Identity()}
    if kind == "sparse" and not read_json(base / "modules.json") and not is_masked_language_model(base):
        raise InputError(
            f"{what}: SPLADE needs the word scores of a masked language model, which {shown(base)} is not; "
            "name a base such as distilbert/distilbert-base-uncased"
        )
    network = getattr(sentence_transformers, NETWORKS[kind])(str(base), **loading)
    if kind == "bi-encoder":
        network = pooled(network, base, options)
    if kind == "late-interaction":
        transformer = network[0]
        transformer.query_length = options.query_length or transformer.query_length
        transformer.document_length = options.max_length or transformer.document_length
    elif options.max_length is not None:
        network.max_seq_length = options.max_length
    return network


def pooled(network: Any, base: Path, options: Training) -> Any:
    """A bi-encoder with the pooling, and the separate encoders, that the options ask for."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router
    from sentence_transformers.sentence_transformer.modules import Pooling

    modules = list(network)
    if kind_of(base) is None or not (base / "modules.json").is_file():
        modules[1] = Pooling(modules[0].get_embedding_dimension(), pooling_mode=options.pooling)
    if options.separate and not isinstance(modules[0], Router):
        return separated(modules, network)
    if modules == list(network):
        return network
    return SentenceTransformer(modules=modules, prompts=network.prompts, similarity_fn_name="cosine")


def separated(modules: list[Any], network: Any) -> Any:
    """A bi-encoder with these modules twice, which start from the same weights and share nothing from then on."""
    from copy import deepcopy

    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Router

    router = Router.for_query_document(deepcopy(modules), modules)
    return SentenceTransformer(modules=[router], prompts=network.prompts, similarity_fn_name=network.similarity_fn_name)


def attention(options: Training) -> dict[str, str]:
    """The `attn_implementation` to load with: flash attention on a GPU that has it, else what the model prefers."""
    import torch

    if options.attention:
        return {"attn_implementation": options.attention}
    if torch.cuda.is_available() and find_spec("flash_attn") and options.precision != "float32":
        return {"attn_implementation": "flash_attention_2"}
    return {}


def prompts_of(options: Training) -> dict[str, str]:
    """{"query", "document": prompt}, as sentence-transformers keeps them."""
    given = {"query": options.query_prompt, "document": options.document_prompt}
    return {name: prompt for name, prompt in given.items() if prompt}


def is_t5(base: Path) -> bool:
    """Whether a base is of T5's family, of which a ranker takes the encoder alone."""
    return "t5" in str(read_json(base / "config.json").get("model_type", "")).lower()


def is_masked_language_model(base: Path) -> bool:
    """Whether a base has a head that scores words."""
    return any(name.endswith("ForMaskedLM") for name in architectures(base))
