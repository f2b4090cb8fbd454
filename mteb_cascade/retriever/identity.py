"""What an index says of the model that it is made for."""

from __future__ import annotations

from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.store.index.manifest import Part


def model_of(stage: Stage) -> str:
    """What the stage is loaded by: the short name of its spec, its folder or hub id, or what messages call it."""
    if stage.spec is None and isinstance(stage, ModelStage) and stage.model:
        return stage.model
    return stage.label


def parts_of(stage: Stage) -> list[Part]:
    """The stage and all that it is made of, as a manifest says it."""
    return [Part(one.label, one.fingerprint, one.kept_as, one.described()) for one in stage.walk()]
