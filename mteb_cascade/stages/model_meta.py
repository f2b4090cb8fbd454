"""What mteb is told of a stage; imports mteb, so only when mteb asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, get_args

from mteb_cascade.errors import in_one_line, suggestion
from mteb_cascade.spec import SpecError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.stages.training_facts import adapted_from, trained_on
from mteb_cascade.stages.weight_facts import has_prompts, similarity_of, size_of, tokens_of, width_of
from mteb_cascade.stages.weights import MODULE_KEY, local_folder, read_json

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

MODEL_TYPES = {
    "bi-encoder": "dense",
    "funnel": "dense",
    "cross-encoder": "cross-encoder",
    "late-interaction": "late-interaction",
    "bm25": "sparse",
    "tfidf": "sparse",
    "lucene": "sparse",
    "sparse": "sparse",
}
"""mteb's word for a kind; all else is "hybrid", as mteb's own HybridSearch."""

LEXICAL = {"bm25": ["NumPy"], "tfidf": ["NumPy"], "lucene": []}
"""Kinds that have no weights and learn nothing, and mteb's word for what they run on."""

OURS = ("loader", "loader_kwargs", "name", "revision", "experiment_kwargs", "is_cross_encoder")
"""Fields of a ModelMeta that a card does not set: the spec itself decides them."""

CARD_ONLY = ("commit",)
"""Keys of a card that are none of ModelMeta's: the commit on the hub that holds the weights."""

SUMMED = ("n_parameters", "n_embedding_parameters", "memory_usage_mb")
"""Facts of a composition that are the sum of its stages'."""


def model_meta_of(stage: Stage) -> ModelMeta:
    """The ModelMeta of a stage: revision is its fingerprint, its pipeline stands in `loader_kwargs`.

    Raises:
        SpecError: The spec's [card] has keys that mteb does not know, or values that it refuses; all are named.
    """
    meta, mistakes = described(stage)
    if mistakes and stage.spec:
        raise SpecError(stage.spec.path, [f"[card] {key}: {text}" if key else text for key, text in mistakes.items()])
    return meta


def described(stage: Stage) -> tuple[ModelMeta, dict[str, str]]:
    """The ModelMeta of a stage without those keys of its card that have mistakes, and {key: mistake}."""
    # Not above: the first import of mteb makes its registry ask for this function.
    from mteb.models.model_meta import ModelMeta
    from pydantic import ValidationError

    card, mistakes = card_of(stage)
    fixed: dict[str, Any] = {
        "loader": None,
        "loader_kwargs": {"pipeline": stage.described()},
        "name": stage.name or f"local/{stage.kind}-{stage.fingerprint[:12]}",
        "revision": stage.fingerprint,
    }
    facts = facts_of(stage)
    if facts["memory_usage_mb"]:
        facts["memory_usage_mb"] = round(facts["memory_usage_mb"], 2)
    known = unknown_facts() | facts | fixed
    try:
        return ModelMeta(**(known | card)), mistakes
    except ValidationError as error:
        for one in error.errors():
            key = str(one["loc"][0]) if one["loc"] else ""
            if key not in card:
                raise
            mistakes.setdefault(key, refusal(key, card[key], one["msg"]))
    return ModelMeta(**(known | {key: value for key, value in card.items() if key not in mistakes})), mistakes


def card_of(stage: Stage) -> tuple[dict[str, Any], dict[str, str]]:
    """The [card] as fields of a ModelMeta, and {key: mistake} of what can be none."""
    from mteb.models.model_meta import ModelMeta

    card = dict(stage.spec.card) if stage.spec else {}
    fields = [key for key in ModelMeta.model_fields if key not in OURS]
    allowed = [*fields, *CARD_ONLY]
    mistakes = {key: f"unknown key '{key}'. {suggestion(key, allowed)}" for key in card if key not in allowed}
    datasets = card.get("training_datasets")
    if isinstance(datasets, list):
        card["training_datasets"] = set(map(str, datasets))
    elif datasets is not None:
        mistakes["training_datasets"] = f"expected a list of names, got {datasets!r}"
    return {key: value for key, value in card.items() if key in fields and key not in mistakes}, mistakes


def refusal(key: str, value: Any, message: str) -> str:
    """Why mteb refuses a value of the card, in one line."""
    if key == "license":
        from mteb.types import Licenses

        return f"mteb knows no license {value!r}; write one it knows, or its address. " + suggestion(
            str(value), get_args(Licenses)
        )
    return f"{in_one_line(message)}, got {value!r}"


def unknown_facts() -> dict[str, Any]:
    """The fields of a ModelMeta that have no default, not known yet."""
    fields = ("release_date", "languages", "license", "open_weights", "public_training_code", "public_training_data")
    return dict.fromkeys(fields) | {"modalities": ["text"]}


def facts_of(stage: Stage) -> dict[str, Any]:
    """What spec and weights say of a stage, as fields of a ModelMeta; its own card is asked of training data alone."""
    model_type = [MODEL_TYPES.get(stage.kind, "hybrid")]
    if stage.kind == "funnel":
        return facts_of(stage.parts[0])
    if stage.parts:
        return composed(stage) | {"model_type": model_type}
    facts = {
        **dict.fromkeys((*SUMMED, "max_tokens", "embed_dim", "similarity_fn_name", "training_datasets")),
        "framework": LEXICAL.get(
            stage.kind, ["NumPy"] if stage.kind == "run" else ["Sentence Transformers", "PyTorch"]
        ),
        "use_instructions": False,
        "model_type": model_type,
    }
    if stage.kind in LEXICAL:
        facts["training_datasets"] = set()
    elif isinstance(stage, ModelStage):
        facts |= of_weights(stage)
    return facts | getattr(stage, "facts", {})


def of_weights(stage: ModelStage) -> dict[str, Any]:
    """What the weights and the [training] table of a model say."""
    facts: dict[str, Any] = {}
    if stage.spec:
        facts |= {"training_datasets": trained_on(stage.spec), "adapted_from": adapted_from(stage.spec)}
    folder = local_folder(stage.model, stage.revision)
    size = size_of(folder) if folder and folder.is_dir() else None
    prompts = (getattr(stage, "query_prompt", None), getattr(stage, "document_prompt", None))
    facts["use_instructions"] = any(prompts)
    if folder is None or size is None:
        return facts
    width, own_module = width_of(folder, stage.kind), bool(read_json(folder / "config.json").get(MODULE_KEY))
    widths = stage.spec.training.get("matryoshka") if stage.spec else None
    return facts | {
        "n_parameters": size.parameters,
        "n_embedding_parameters": size.embedding_parameters,
        "memory_usage_mb": size.size / 2**20,
        "max_tokens": stage.max_length or tokens_of(folder),
        "embed_dim": sorted({*widths, width}) if isinstance(widths, list) and widths and width else width,
        "similarity_fn_name": similarity_of(folder, stage.kind),
        "use_instructions": any(prompts) or (None in prompts and has_prompts(folder)),
        "framework": [*([] if own_module else ["Sentence Transformers"]), "PyTorch", "safetensors"],
    }


def composed(stage: Stage) -> dict[str, Any]:
    """What the stages of a composition say of it: sizes are summed, each stage once; the shortest text decides."""
    of_part = {part.fingerprint: facts_of(part) | {"lexical": part.kind in LEXICAL} for part in leaves(stage)}
    every = list(of_part.values())
    heavy = [facts for facts in every if not facts["lexical"]]
    whole: dict[str, Any] = {"embed_dim": None, "similarity_fn_name": None}
    for key in (*SUMMED, "max_tokens"):
        values: list[Any] = [facts.get(key) for facts in heavy]
        known = bool(values) and None not in values
        whole[key] = (min(values) if key == "max_tokens" else sum(values)) if known else None
    learned = [facts["training_datasets"] for facts in every]
    whole["training_datasets"] = None if None in learned else set().union(*learned)
    whole["use_instructions"] = any(facts["use_instructions"] for facts in every)
    whole["framework"] = list(dict.fromkeys(name for facts in every for name in facts["framework"]))
    return whole


def leaves(stage: Stage) -> Iterator[Stage]:
    """The stages that a composition is made of in the end; a stage that is none, itself."""
    return (one for one in stage.walk() if not one.parts)
