"""Tensors that a model has and its weight files have not: random at every load."""

from __future__ import annotations

from pathlib import Path

from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.stages.modules import is_module
from mteb_cascade.training.quiet import quiet


def lacking(stage: Stage) -> list[str]:
    """Names of tensors that decide a loaded stage's scores and are in no weight file of it.

    By transformers' own report, for which each body is loaded again without memory for its weights. A pooler counts
    only where a score is read from it: not in a body that hands on its tokens.
    """
    if not isinstance(stage, ModelStage) or not stage.files() or is_module(stage.network):
        return []
    from sentence_transformers.base.modules import Transformer

    found: list[str] = []
    for module in stage.network.modules():
        body = module.auto_model if isinstance(module, Transformer) else None
        if body is None or not Path(body.name_or_path).is_dir():
            continue
        try:
            with quiet():
                _, report = type(body).from_pretrained(
                    body.name_or_path,
                    config=body.config,
                    output_loading_info=True,
                    device_map="meta",
                    local_files_only=True,
                    use_safetensors=True,
                )
        except (OSError, ValueError, RuntimeError):
            continue
        mismatched = [key[0] for key in report["mismatched_keys"]]
        names = sorted({*report["missing_keys"], *mismatched})
        tokens = module.transformer_task == "feature-extraction"
        found += [name for name in names if not (tokens and "pooler" in name.split("."))]
    return found
