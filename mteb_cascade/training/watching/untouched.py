"""Training for a trial: a few steps by the real trainer, after which the network is as it was before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mteb_cascade.progress import Progress, silent
from mteb_cascade.training.fit import trainer_of

if TYPE_CHECKING:
    from mteb_cascade.training.prepared import Prepared

QUIET = {"save_strategy": "no", "report_to": "none", "logging_steps": 1}
"""Training arguments of a trial: nothing is saved or sent anywhere, and every step's loss is kept."""


@contextmanager
def quiet_trainer(prepared: Prepared, progress: Progress = silent, **changes: Any) -> Iterator[Any]:
    """The trainer that `train` would use, without evaluations and checkpoints.

    Args:
        prepared: What `train` would train; its network is afterwards what it was.
        progress: Told after each step.
        **changes: Training arguments of transformers.

    Yields:
        The trainer, before its first step.
    """
    with TemporaryDirectory() as folder, untouched(prepared.network):
        yield trainer_of(replace(prepared, evaluator=None), Path(folder), progress, **{**QUIET, **changes})


@contextmanager
def untouched(network: Any) -> Iterator[None]:
    """Weights, gradients and mode are afterwards what they were; meanwhile a copy lies in main memory."""
    before = {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}
    training = network.training
    try:
        yield
    finally:
        network.load_state_dict(before)
        network.zero_grad(set_to_none=True)
        network.train(training)
