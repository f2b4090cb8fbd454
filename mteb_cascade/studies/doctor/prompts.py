"""Prompts as a stage puts them before texts: the spec's, or the model's own."""

from __future__ import annotations

from typing import Any

from mteb_cascade.engine.texts import Task
from mteb_cascade.stages.model_stage import EncoderStage

NAMES: dict[Task, tuple[str, ...]] = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""Under which names sentence-transformers looks a side's prompt up: the first that there is, empty or not."""


def prompt_of(stage: EncoderStage, side: Task) -> str:
    """What stands before a query or a document; loads the model."""
    given = stage.query_prompt if side == "query" else stage.document_prompt
    return models_prompt(stage.network, side) if given is None else given


def models_prompt(network: Any, side: Task) -> str:
    """What the model itself puts there, as sentence-transformers' encode_query and encode_document have it."""
    prompts = network.prompts
    name = next((name for name in NAMES[side] if name in prompts), network.default_prompt_name)
    return prompts.get(name) or ""
