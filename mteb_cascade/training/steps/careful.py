"""sentence-transformers' trainers, made to survive too little memory, a loss that is no number, a kill, a full disk."""

from __future__ import annotations

import functools
import importlib
import math
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mteb_cascade.engine.memory import is_out_of_memory, release
from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.spec import shown
from mteb_cascade.training.steps import checkpoints, ranks
from mteb_cascade.training.steps.micro_batches import cuts, part, shape
from mteb_cascade.training.steps.saving import Saving

if TYPE_CHECKING:
    import torch

TRAINERS = {
    "bi-encoder": "sentence_transformers:SentenceTransformerTrainer",
    "cross-encoder": "sentence_transformers:CrossEncoderTrainer",
    "sparse": "sentence_transformers:SparseEncoderTrainer",
    "late-interaction": "sentence_transformers:MultiVectorEncoderTrainer",
}


@functools.cache
def trainer_class(kind: str) -> type[Any]:
    """The careful trainer of a kind."""
    module, name = TRAINERS[kind].split(":")
    return type(f"Careful{name}", (Careful, getattr(importlib.import_module(module), name)), {})


def arguments_class(kind: str) -> type[Any]:
    """The class of training arguments that it takes."""
    found: type[Any] = trainer_class(kind).training_args_class
    return found


class Careful(Saving):
    """What every kind's trainer gets on top.

    Args:
        query_ids: Q ids, of what the dataset's column `query` numbers.
        micro_batch: Texts or pairs in memory at once.
        patience: Evaluations without a better one before training stops; None never stops early.
        progress: Told after each step.
        what: The spec, for messages.
        **options: The trainer's own.
    """

    def __init__(
        self,
        *,
        query_ids: Sequence[str],
        micro_batch: int = 32,
        patience: int | None = None,
        progress: Progress = silent,
        what: str = "training",
        **options: Any,
    ) -> None:
        from transformers import EarlyStoppingCallback, PrinterCallback

        self.query_ids, self.micro_batch, self.progress = query_ids, micro_batch, progress
        self.patience, self.share = patience, 1.0
        args = options["args"]
        # Several devices are for as many processes, never for threads of one.
        args._n_gpu = min(args.n_gpu, 1)
        args.dataloader_pin_memory = args.device.type == "cuda"
        args.disable_tqdm = True
        args.logging_nan_inf_filter = False
        super().__init__(what=what, **options)
        self.remove_callback(PrinterCallback)
        if patience is not None:
            self.add_callback(EarlyStoppingCallback(patience))

    def create_accelerator_and_postprocess(self) -> None:
        """As the trainer's, but ranks exchange gradients as `ranks.average_gradients` says."""
        super().create_accelerator_and_postprocess()
        prepare = self.accelerator.prepare_model
        self.accelerator.prepare_model = functools.partial(prepare, evaluation_mode=True)

    def add_model_card_callback(self, default_args_dict: dict[str, Any]) -> None:
        """None: the card is written from the spec."""

    def get_batch_sampler(self, *given: Any, **options: Any) -> Any:
        """As asked for in the arguments; kept, for it knows which rows made up a step."""
        self.batches = super().get_batch_sampler(*given, **options)
        return self.batches

    def _run_epoch(self, *given: Any, epoch: int, **options: Any) -> None:
        # Resumed where it had ended, transformers would do one step more.
        if self.is_over():
            self.control.should_training_stop = True
            return
        # Transformers tells samplers the epoch only through some of its wrappers.
        self.batches.epoch = epoch
        super()._run_epoch(*given, epoch=epoch, **options)

    def is_over(self) -> bool:
        """Whether all steps are done, or patience is at its end."""
        waited = [getattr(one, "early_stopping_patience_counter", 0) for one in self.callback_handler.callbacks]
        return self.state.global_step >= self.state.max_steps or max(waited) >= (self.patience or math.inf)

    def train(self, resume_from_checkpoint: str | None = None, **options: Any) -> Any:
        """As the trainer's.

        Raises:
            InputError: Memory does not hold a step; the loss is no number; there is no room for a checkpoint.
        """
        # The untrained model was evaluated before; again would count against its patience.
        self.args.eval_on_start = self.args.eval_on_start and resume_from_checkpoint is None
        ranks.share_weights(self.model)
        self.first: tuple[int, float] | None = None
        try:
            with warnings.catch_warnings():
                # What the libraries below announce to each other.
                warnings.simplefilter("ignore", FutureWarning)
                return super().train(resume_from_checkpoint, **options)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise InputError(self.too_large()) from None
        except OSError as error:
            if error.errno not in checkpoints.FULL:
                raise
            raise InputError(f"{self.what}: {error}. Make room and run again: it goes on from there") from None

    def too_large(self) -> str:
        """What to do where memory does not hold a step, or what comes between two."""
        return (
            f"{self.what}: memory ran out at step {self.state.global_step + 1} with micro_batch {self.micro_batch}. "
            "Set micro_batch or max_length lower, set gradient_checkpointing = true, or take a smaller model; "
            "run again: it goes on from the last checkpoint"
        )

    def training_step(self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Any:
        """Forward and backward of a batch, again with half as many texts at once where memory runs out."""
        random = random_state()
        while True:
            try:
                self.step_loss = self.in_parts(model, inputs)
                break
            except (MemoryError, RuntimeError) as error:
                # Ranks that gather each other's documents cannot begin a step again alone.
                if not is_out_of_memory(error) or (ranks.world_size() > 1 and self.gathers()):
                    raise
            # Not in the handler: as long as the error lives, so do the tensors of the frames that it came through.
            self.halve(inputs)
            self.optimizer.zero_grad()
            release()
            restore(random)
        ranks.average_gradients(one for group in self.optimizer.param_groups for one in group["params"])
        return self.step_loss

    def in_parts(self, model: torch.nn.Module, inputs: dict[str, Any]) -> Any:
        """Forward and backward of a batch; its gradient is that of the whole, however it is cut."""
        rows, columns = (0, 0) if self.cached() else shape(inputs)
        parts = cuts(rows, columns, self.micro_batch) if rows else []
        if len(parts) < 2:
            return super().training_step(model, dict(inputs))
        losses = []
        try:
            for some in parts:
                self.share = (some.stop - some.start) / rows
                losses.append(super().training_step(model, part(inputs, some)))
        finally:
            self.share = 1.0
        return sum(losses[1:], losses[0])

    def compute_loss(self, *given: Any, **options: Any) -> Any:
        """The loss of a batch, or a part's share in it."""
        loss = super().compute_loss(*given, **options)
        return loss if self.share == 1 else loss * self.share

    def cached(self) -> list[Any]:
        """The gradient-cached parts of the loss, which cut the batch themselves."""
        return [one for one in self.loss.modules() if getattr(one, "uses_gradient_cache", False)]

    def gathers(self) -> bool:
        """Whether the loss is over the documents of all ranks."""
        return any(getattr(one, "gather_across_devices", False) for one in self.loss.modules())

    def halve(self, inputs: dict[str, Any]) -> None:
        """Take half as many texts at once.

        Raises:
            InputError: It is a single one already, or the batch cannot be cut.
        """
        cached = self.cached()
        rows, columns = shape(inputs)
        # What is above the size of the batch makes no difference.
        largest, smallest = (self.micro_batch, 1) if cached else (min(self.micro_batch, rows * columns), columns)
        if largest <= smallest:
            raise InputError(self.too_large())
        warnings.warn(
            f"{self.what}: memory ran out at step {self.state.global_step + 1}: micro_batch is {largest // 2} now, "
            f"no longer {self.micro_batch}; a step still learns from as many queries",
            stacklevel=2,
        )
        self.micro_batch = largest // 2
        for one in cached:
            one.mini_batch_size = self.micro_batch

    def _get_grad_norm(self, model: torch.nn.Module, grad_norm: Any = None) -> Any:
        """The gradient's norm before it was cut, which comes between a step's gradient and its use.

        Raises:
            InputError: It, or the loss, is no finite number.
        """
        norm = super()._get_grad_norm(model, grad_norm)
        loss = self.finite(norm)
        self.told(loss)
        return norm

    def finite(self, norm: Any) -> float:
        """The loss of this step on this rank.

        Raises:
            InputError: It is no finite number on some rank, or the norm of the gradient is none.
        """
        import torch

        values = torch.stack([self.step_loss.float(), torch.as_tensor(norm, device=self.step_loss.device).float()])
        if ranks.world_size() > 1:
            wrong = (~torch.isfinite(values)).float()
            torch.distributed.all_reduce(wrong)
            values = torch.where(wrong > 0, torch.nan, values)
        loss, size = values.tolist()
        if math.isfinite(loss) and math.isfinite(size):
            return float(loss)
        step = self.state.global_step
        ids = [self.query_ids[row] for row in self.train_dataset.with_format(None)[self.batches.of_step(step)]["query"]]
        folder = Path(self.args.output_dir)
        if ranks.is_main():
            checkpoints.set_down(
                folder / "nan", self.model, {"step": step + 1, "loss": str(loss), "gradient": str(size), "queries": ids}
            )
        raise InputError(
            f"{self.what}: the {'gradient' if math.isfinite(loss) else 'loss'} of step {step + 1} is no finite number. "
            f"The {len(ids)} queries of its batch ({', '.join(ids[:3])}, ...) and the weights before it are in "
            f'{shown(folder / "nan")}. Set learning_rate or max_gradient lower, or precision = "float32"'
        )

    def told(self, loss: float) -> None:
        """Tell how far the training is."""
        step, now = self.state.global_step + 1, time.perf_counter()
        self.first = first, then = self.first or (step, now)
        pace = f", {(step - first) * self.batches.together / (now - then):,.0f} queries/s" if step > first else ""
        if ranks.is_main():
            self.progress(step, self.state.max_steps, f"loss {loss:.4f}{pace}")


def random_state() -> list[torch.Tensor]:
    """Where torch's generators are, of the CPU and of the GPU in use."""
    import torch

    return [torch.get_rng_state(), *([torch.cuda.get_rng_state()] if torch.cuda.is_available() else [])]


def restore(state: list[torch.Tensor]) -> None:
    """Put torch's generators where they were."""
    import torch

    torch.set_rng_state(state[0])
    for gpu in state[1:]:
        torch.cuda.set_rng_state(gpu)
