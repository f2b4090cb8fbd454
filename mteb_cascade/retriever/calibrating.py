"""The budget of a model calibrated on the machine at hand, and the answer kept in its index."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.progress import Progress, silent
from mteb_cascade.retriever.budget import AGAIN, calibration_of
from mteb_cascade.retriever.queries import DRAWN, OF_DOCUMENTS, of_documents, read
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.spec import shown
from mteb_cascade.store.index.writer import Writer

if TYPE_CHECKING:
    from mteb_cascade.stages.base import Stage

FACT = "calibration"
"""Where the manifest has it."""


def calibrate(
    index: str | Path,
    *,
    queries: Path | None = None,
    model: str | Path | Stage | None = None,
    device: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Calibrate the budget of an index's model on this machine, and keep what is found in the index.

    Args:
        index: Its folder.
        queries: A file, whose first queries are asked; by default the first words of documents.
        model: What searches, if not the model that the index was made from.
        device: Torch device of stages that have one.
        progress: Told of the depths timed.

    Returns:
        What `calibration_of` returns.

    Raises:
        InputError: There is no such index, the model has no budget, or the index cannot be changed.
    """
    folder = Path(index).expanduser()
    every = None if queries is None else read(queries)
    with warnings.catch_warnings():
        # That the old calibration does not fit is why this one is made.
        warnings.filterwarnings("ignore", message=f".*{AGAIN}")
        snapshot = Retriever.open(folder, model, device=device).snapshot
    if every is None or queries is None:
        asked, described = of_documents(snapshot.index.corpus), OF_DOCUMENTS
    else:
        asked, described = every.rows(range(min(DRAWN, len(every)))), f"the first of {shown(queries)}"
    found = calibration_of(snapshot.stage, asked, described, progress=progress)
    keep(folder, found)
    return found


def keep(folder: Path, calibration: dict[str, Any]) -> None:
    """Write a calibration into an index, which holds the same documents as before.

    Raises:
        InputError: There is no index, another process writes to it, or it cannot be written.
    """
    with Writer.of(folder) as writer:
        writer.note({FACT: calibration})
