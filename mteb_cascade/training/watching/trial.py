"""What a training run would take, and whether it can learn at all: nothing of it is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from mteb_cascade.progress import Progress, silent
from mteb_cascade.spec import SpecError
from mteb_cascade.training.prepared import checked, prepare
from mteb_cascade.training.quiet import quiet
from mteb_cascade.training.train import RECIPES, trainable
from mteb_cascade.training.watching.dry_run import dry_run
from mteb_cascade.training.watching.overfit import overfit as learn_by_heart


def tried(
    name: str,
    *,
    seed: int | None = None,
    overrides: Mapping[str, Any] | None = None,
    overfit: int | None = None,
    progress: Progress = silent,
) -> str:
    """The text that `train --dry-run` or `train --overfit N` prints.

    Args:
        name: The spec's name.
        seed: Instead of the table's.
        overrides: As in `train`.
        overfit: Batches that are learned by heart; None is the dry run.
        progress: Told as it goes.

    Raises:
        InputError: As `train`; or the spec is trained by a recipe of its own, in seconds.
    """
    spec = trainable(name, seed=seed, overrides=overrides)
    if "recipe" in spec.training:
        raise SpecError(
            spec.path, [f"[training] recipe: {', '.join(RECIPES)} train in seconds; there is nothing to try first"]
        )
    options = checked(spec)
    with TemporaryDirectory() as folder, quiet():
        prepared = prepare(spec, options, Path(folder), progress)
        return str(
            dry_run(prepared, progress=progress)
            if overfit is None
            else learn_by_heart(prepared, overfit, progress=progress)
        )
