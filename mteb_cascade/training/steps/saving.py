"""How a trainer of sentence-transformers saves: whole checkpoints of plain tensors, and always the best one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.training.steps import checkpoints

if TYPE_CHECKING:
    import torch

Trainer: Any = object
"""Stands for any of sentence-transformers' trainers, which take seconds to import."""


class Saving(Trainer):  # type: ignore[misc]
    """To be put before one of sentence-transformers' trainers.

    Args:
        what: The spec, for messages.
        **options: The trainer's own.
    """

    def __init__(self, *, what: str, **options: Any) -> None:
        self.what = what
        self.saving_to: Path | None = None
        # What is removed, and when, is not transformers' to decide: it counts unfinished checkpoints.
        options["args"].save_total_limit = None
        # Patience, too, goes on from where it was.
        options["args"].restore_callback_states_from_checkpoint = True
        super().__init__(**options)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """The weights alone: a checkpoint is loaded into the network that was made for it."""
        from safetensors.torch import save_model

        if self.args.should_save:
            folder = Path(output_dir or self.args.output_dir)
            folder.mkdir(parents=True, exist_ok=True)
            save_model(self.model, str(folder / checkpoints.WEIGHTS))

    def _load_from_checkpoint(self, checkpoint_path: str) -> None:
        from safetensors.torch import load_model

        load_model(self.model, str(Path(checkpoint_path) / checkpoints.WEIGHTS), device=str(self.model.device))

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.saving_to or super()._get_output_dir(trial))

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        folder = Path(self.args.output_dir)
        name = f"{checkpoints.PREFIX}{self.state.global_step}"
        with checkpoints.being_written(folder / name, self.what) as self.saving_to:
            super()._save_checkpoint(model, trial)
        self.saving_to = None
        self.know_best()
        best = self.state.best_model_checkpoint
        checkpoints.prune(folder, keep=[Path(best).name] if best else [])

    def _init_training_state(self, *given: Any, **options: Any) -> Any:
        started = super()._init_training_state(*given, **options)
        self.know_best()
        return started

    def know_best(self) -> None:
        """Find the best checkpoint where it is now, whatever path was written down."""
        best = Path(self.args.output_dir) / f"{checkpoints.PREFIX}{self.state.best_global_step}"
        if best.is_dir():
            self.state.best_model_checkpoint = str(best)

    def _determine_best_metric(self, *given: Any, **options: Any) -> bool:
        best = super()._determine_best_metric(*given, **options)
        # So that the best one is kept, whatever the pace at which checkpoints are saved.
        self.control.should_save |= best
        return bool(best)

    def _load_best_model(self) -> None:
        best = Path(self.state.best_model_checkpoint)
        if not checkpoints.is_whole(best):
            raise InputError(f"{self.what}: {shown(best)}, the best checkpoint, is damaged. Start anew with --restart")
        self._load_from_checkpoint(str(best))
