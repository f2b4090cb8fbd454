"""A model as a file of mteb's models/model_implementations: its ModelMeta, and how plain mteb loads it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from pprint import pformat
from textwrap import indent
from typing import TYPE_CHECKING, Any

from mteb_cascade.installed import version
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.model_stage import EncoderStage, ModelStage
from mteb_cascade.stages.weights import MODULE_KEY, local_folder, read_json

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

    from mteb_cascade.publish.publication import Publication

WRAPPERS = {
    "bi-encoder": "SentenceTransformerEncoderWrapper",
    "cross-encoder": "CrossEncoderWrapper",
    "sparse": "SparseEncoderWrapper",
    "late-interaction": "MultiVectorWrapper",
}
"""{kind: mteb's class around that class of sentence-transformers}, as mteb itself chooses by a folder's files."""

IDENTITY = "Identity"

WIDTH = 88
"""Columns of mteb's own code."""


def snippet(publication: Publication) -> str:
    """The model as Python that runs in mteb's models/model_implementations.

    A model that plain mteb can load is loaded by mteb's own wrapper; all else by mteb-cascade, and a comment says so.
    """
    meta, plain = implemented(publication), plain_model(publication)
    code = meta.model_copy(update={"loader_kwargs": {}}).to_python()
    if plain is None:
        code = code.replace("loader=None", "loader=loaded", 1)
    options = indent(pformat(meta.loader_kwargs, width=WIDTH - 4, compact=True, sort_dicts=False), " " * 4).lstrip()
    code = code.replace("loader_kwargs={}", f"loader_kwargs={options}", 1)
    if meta.max_tokens is not None and math.isinf(meta.max_tokens):
        code = code.replace("max_tokens=inf", 'max_tokens=float("inf")', 1)
    scoring = ", ScoringFunction" if "=ScoringFunction." in code else ""
    lines = [f"from mteb.models.model_meta import ModelMeta{scoring}"]
    if plain is not None:
        lines.append(f"from mteb.models.sentence_transformer_wrapper import {WRAPPERS[plain.kind]}")
    if "OutputDType." in code:
        lines.append("from mteb.types import OutputDType")
    if plain is None:
        lines += ["", "from mteb_cascade.mteb_plugin.loader import loaded"]
    return "\n".join([*lines, "", *comments(publication), f"{variable(meta.name or '')} = {code}", ""])


def implemented(publication: Publication) -> ModelMeta:
    """The ModelMeta with what mteb's wrapper loads it by; without a loader where mteb-cascade has to."""
    plain = plain_model(publication)
    changes = {"loader": wrapper_of(plain), "loader_kwargs": loading(plain)} if plain else {"loader": None}
    return publication.meta.model_copy(update=changes)


def wrapper_of(stage: Stage) -> Any:
    """Mteb's class for this kind."""
    from mteb.models import sentence_transformer_wrapper

    return getattr(sentence_transformer_wrapper, WRAPPERS[stage.kind])


def plain_model(publication: Publication) -> ModelStage | None:
    """The stage, where mteb's wrapper loads it from the hub; None where mteb-cascade has to.

    It does where it is a sentence-transformers model and no module of ours, that lies on the hub under its own name and
    runs in torch.
    """
    stage, pipeline = publication.stage, publication.meta.loader_kwargs.get("pipeline", {})
    if not isinstance(stage, ModelStage) or stage.kind not in WRAPPERS:
        return None
    is_module = read_json(folder_of(stage) / "config.json").get(MODULE_KEY)
    elsewhere = pipeline.get("repository", publication.meta.name) != publication.meta.name
    return None if is_module or elsewhere or stage.is_in_openvino else stage


def folder_of(stage: ModelStage) -> Path:
    """Where the model's files are; a folder that does not exist where they are not here."""
    return local_folder(stage.model, stage.revision) or Path("missing")


def loading(stage: ModelStage) -> dict[str, Any]:
    """Keyword arguments with which mteb's wrapper loads what the stage is: only those that change something."""
    config = read_json(folder_of(stage) / "config.json")
    options: dict[str, Any] = {}
    if stage.max_length is not None:
        options["processor_kwargs"] = {"model_max_length": stage.max_length}
    dtype = stage.computes_in
    if config and dtype not in ("auto", config.get("dtype", config.get("torch_dtype", "float32"))):
        options["model_kwargs"] = {"dtype": dtype}
    if isinstance(stage, EncoderStage) and (stage.query_prompt, stage.document_prompt) != (None, None):
        options["model_prompts"] = prompts(stage)
    if getattr(stage, "max_active_dims", None) is not None:
        options["max_active_dims"] = stage.max_active_dims  # type: ignore[attr-defined]
    return options


def prompts(stage: EncoderStage) -> dict[str, str]:
    """Both sides' prompts: the stage's own where it has one, else the model's, which mteb would drop."""
    saved = read_json(folder_of(stage) / "config_sentence_transformers.json").get("prompts") or {}
    document = next((saved[name] for name in ("document", "passage", "corpus") if saved.get(name)), "")
    return {
        "query": saved.get("query", "") if stage.query_prompt is None else stage.query_prompt,
        "document": document if stage.document_prompt is None else stage.document_prompt,
    }


def comments(publication: Publication) -> Iterator[str]:
    """What a reviewer has to know of how it is loaded."""
    plain = plain_model(publication)
    if plain is None:
        stage = publication.stage
        extra = "[openvino]" if any(isinstance(one, ModelStage) and one.is_in_openvino for one in stage.walk()) else ""
        yield f"# A {stage.kind} of mteb-cascade: pip install 'mteb-cascade{extra}=={version('mteb-cascade')}',"
        yield "# and put the spec files that its model card shows into ./models."
    elif plain.kind == "cross-encoder" and (name := activation(folder_of(plain))) != IDENTITY:
        yield f"# The results rank raw logits; the wrapper puts {name} on them: the same order,"
        yield "# but for scores that it rounds to one number."


def activation(folder: Path) -> str:
    """Class of the function that sentence-transformers puts on the logits of a CrossEncoder of one label."""
    saved = read_json(folder / "config_sentence_transformers.json").get("activation_fn")
    config = read_json(folder / "config.json")
    saved = saved or (config.get("sentence_transformers") or {}).get("activation_fn")
    saved = saved or config.get("sbert_ce_default_activation_function") or "Sigmoid"
    return str(saved).rpartition(".")[2]


def variable(name: str) -> str:
    """A Python name for `org/name`, as mteb's own are.

    >>> variable("our-org/9-lives.v2")
    '_9_lives_v2'
    """
    plain = re.sub(r"\W", "_", name.rpartition("/")[2], flags=re.ASCII).lower()
    return f"_{plain}" if plain[:1].isdigit() else plain
