"""The negatives of a spec, mined apart from its training, which finds them again."""

from __future__ import annotations

from pathlib import Path

from mteb_cascade.progress import Progress, silent
from mteb_cascade.spec import SpecError, shown
from mteb_cascade.training.data.training_data import load_training
from mteb_cascade.training.mining.mined import Mined, mined
from mteb_cascade.training.mining.text import write
from mteb_cascade.training.options import Training
from mteb_cascade.training.train import trainable

OUTPUT = Path("results/mining")


def mine(
    name: str, *, seed: int | None = None, output: Path = OUTPUT, progress: Progress = silent
) -> tuple[Mined, Path]:
    """Mine the negatives that a spec's `[training]` table asks for, and write the mining report.

    Args:
        name: The spec's name.
        seed: Instead of the table's.
        output: Folder of the report.
        progress: Told how it goes.

    Returns:
        The lists, and the report's path.

    Raises:
        InputError: No such spec, no `[training]` table that mines, or a mistake in it.
    """
    spec = trainable(name, seed=seed)
    if "recipe" in spec.training:
        recipe = spec.training["recipe"]
        raise SpecError(spec.path, [f"[training] recipe {recipe!r} takes no mined negatives: nothing to mine"])
    options = Training.of(spec)
    what = shown(spec.path)
    made = mined(load_training(options, what), options, what, progress)
    return made, write(made.report, output, spec.short_name)
