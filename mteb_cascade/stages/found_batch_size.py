"""The batch size of a stage that was given none, on an accelerator: measured once for a model, and kept."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mteb_cascade.engine import batch_size as batch_sizes
from mteb_cascade.engine.devices import device_type
from mteb_cascade.engine.dtypes import SMALL, Score
from mteb_cascade.stages.files import model_files
from mteb_cascade.stages.number_format import bytes_of
from mteb_cascade.stages.weights import local_folder

if TYPE_CHECKING:
    from mteb_cascade.stages.model_stage import ModelStage


def found_batch_size(stage: ModelStage, digest: str | None) -> int | None:
    """The batch size that is the fastest for a stage whose network is loaded; None for the default.

    On a CPU nothing is measured. Small models are not probed either: they are fast in any batch.

    Args:
        stage: One without a batch size of its own.
        digest: Of its model; None of a network that came from no folder, which is not probed.
    """
    device, folder = device_type(stage.device), local_folder(stage.model, stage.revision)
    if digest is None or folder is None or device == "cpu":
        return None
    if bytes_of(model_files(folder)) < SMALL:
        return None
    found = batch_sizes.kept(digest, device)
    if found is not None:
        return found

    def scores_with(size: int) -> Score:
        with_size = replace(stage, batch_size=size, device=stage.first_device)
        with_size._network = stage.network
        return with_size.scores_of

    speeds = batch_sizes.probed(batch_sizes.rate_of(scores_with, device))
    return batch_sizes.keep(digest, device, speeds, stage.label)
