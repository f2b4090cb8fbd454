"""A publication of a model that a spec in the working folder describes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mteb_cascade.publish.publication import Found, Publication
from mteb_cascade.spec import required
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.load import build
from mteb_cascade.stages.model_meta import model_meta_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def publication(short_name: str, /, **meta: Any) -> Publication:
    """What is published of a spec.

    Args:
        short_name: Of the spec.
        **meta: Fields of its ModelMeta that the spec does not say.
    """
    spec = required(short_name)
    stage = build(spec, device="cpu")
    return Publication(spec, stage, model_meta_of(stage).model_copy(update=meta), results=())


def result(stage: Stage, task: str, scores: Mapping[str, float], **provenance: Any) -> Found:
    """A result file of mteb's below ./results, on the test split."""
    folder = stage.name.replace("/", "__")
    path = Path("results") / folder / stage.fingerprint / f"{task}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    split = [{"hf_subset": "default", "languages": ["eng-Latn"], "main_score": scores["ndcg_at_10"], **scores}]
    content = {"dataset_revision": "1", "task_name": task, "mteb_version": "2.26.24", "evaluation_time": 1.5}
    path.write_text(json.dumps({**content, "kg_co2_emissions": None, "scores": {"test": split}}))
    (path.parent / "model_meta.json").write_text(json.dumps({"name": stage.name, "revision": stage.fingerprint}))
    return Found(path, task, folder, stage.fingerprint, provenance or None)
