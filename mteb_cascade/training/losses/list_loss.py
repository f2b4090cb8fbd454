"""A reranker's loss over lists, as sentence-transformers' trainer takes one, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from sentence_transformers.base.losses.gradcache import RandContext, _backward_hook
from sentence_transformers.util import batch_to_device
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mteb_cascade.training.losses.citations import citation
from mteb_cascade.training.losses.functions import FUNCTIONS

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

Features = dict[str, Any]


class ListLoss(nn.Module):
    """One of `functions.FUNCTIONS` of the logits of a batch of lists.

    Where a batch has more pairs than are held in memory at once, gradients are cached (Gao et al. 2021,
    https://arxiv.org/abs/2101.06983): all logits without a graph, the loss and its gradient at the logits, then each
    micro-batch again with a graph, under the same dropout. The gradients are those of the whole batch. Pairs are sorted
    by length, so that a micro-batch holds little padding; the longest come first and show at once whether they fit.

    Args:
        model: A cross-encoder of one label.
        name: The loss's word.
        mini_batch_size: Pairs in memory at once.
        **options: Keyword arguments of the loss.

    Raises:
        ValueError: The model has more than one label.
    """

    uses_gradient_cache = True

    def __init__(self, model: CrossEncoder, name: str, *, mini_batch_size: int = 32, **options: Any) -> None:
        super().__init__()
        if model.num_labels != 1:
            raise ValueError(f"a loss over lists needs a model of one label, got one of {model.num_labels}")
        self.model = model
        self.name = name
        self.options = options
        self.mini_batch_size = mini_batch_size

    def forward(
        self,
        inputs: Sequence[Any],
        labels: Sequence[Tensor] | Tensor,
        prompt: str | None = None,
        task: str | None = None,
    ) -> Tensor:
        """The loss of a batch.

        Args:
            inputs: B queries, and for each its documents.
            labels: For each query a label to each of its documents.
            prompt: Put before the pairs.
            task: What a router routes them by.

        Returns:
            A scalar; its `backward` does the second pass.

        Raises:
            ValueError: A query has not as many labels as documents.
        """
        queries, documents = inputs
        lengths = [len(one) for one in documents]
        if [len(one) for one in labels] != lengths:
            raise ValueError(f"lists of {lengths} documents need as many labels, got {[len(one) for one in labels]}")
        pairs = [(query, text) for query, texts in zip(queries, documents, strict=True) for text in texts]
        order = sorted(range(len(pairs)), key=lambda at: -len(pairs[at][0]) - len(pairs[at][1]))
        size = self.mini_batch_size
        device = self.model.device
        batches: list[Features] = [
            batch_to_device(self.model.preprocess(part, prompt=prompt, task=task), device)
            for start in range(0, len(pairs), size)
            if (part := [pairs[at] for at in order[start : start + size]])
        ]
        real = torch.arange(max(lengths), device=device) < torch.tensor(lengths, device=device)[:, None]
        cells = real.flatten().nonzero().squeeze(1)[torch.tensor(order, device=device)]
        grades = torch.zeros(real.shape, device=device)
        grades[real] = torch.cat(list(labels)).to(device, torch.float32)
        loss_of = partial(self.of_logits, cells=cells, labels=grades, real=real)

        with_grad = torch.is_grad_enabled()
        again: dict[str, Any] = {"batches": batches, "autocast": autocast_now(device)}
        if not with_grad or not self.in_parts(len(batches)):
            computed = self.embed_minibatch_iter(again, with_grad=with_grad, copy_random_state=False)
            return loss_of(torch.cat([logits for logits, _ in computed]))
        return self.cached(again, loss_of)

    def cached(self, again: dict[str, Any], loss_of: Callable[[Tensor], Tensor]) -> Tensor:
        """The loss without a graph; its `backward` computes each micro-batch again and gives it its own gradient."""
        first = list(self.embed_minibatch_iter(again, with_grad=False, copy_random_state=True))
        logits = torch.cat([part for part, _ in first]).requires_grad_()
        loss = loss_of(logits)
        (gradient,) = torch.autograd.grad(loss, logits)
        loss = loss.detach().requires_grad_()
        hook = partial(
            _backward_hook,
            sentence_features=[again],
            loss_obj=self,
            cache=[list(gradient.split([len(part) for part, _ in first]))],  # type: ignore[no-untyped-call]
            random_states=[[state for _, state in first if state is not None]],
            ranges=[None],
        )
        loss.register_hook(hook)  # type: ignore[no-untyped-call]
        return loss

    def in_parts(self, count: int) -> bool:
        """Whether the batch is more than one micro-batch, here or on another rank.

        Ranks have to meet in the same order: what one does in two passes, none does in one.
        """
        if not isinstance(self.model, DistributedDataParallel):
            return count > 1
        largest = torch.tensor(count, device=self.model.device)
        torch.distributed.all_reduce(largest, torch.distributed.ReduceOp.MAX)
        return largest.item() > 1

    def of_logits(self, logits: Tensor, cells: Tensor, labels: Tensor, real: Tensor) -> Tensor:
        """The loss of float32 logits [n], which belong into these cells of [B, L], in the logits' own precision."""
        with torch.autocast(logits.device.type, enabled=False):
            scores = logits.new_zeros(real.numel()).index_put((cells,), logits).view(real.shape)
            return FUNCTIONS[self.name](scores, labels, real, **self.options)

    def embed_minibatch_iter(
        self,
        sentence_feature: dict[str, Any],
        with_grad: bool,
        copy_random_state: bool,
        random_states: Sequence[RandContext] | None = None,
        ranges: object = None,
    ) -> Iterator[tuple[Tensor, RandContext | None]]:
        """Each micro-batch's float32 logits, and the random state they were drawn under: gradcache's hook asks for it.

        Args:
            sentence_feature: The micro-batches' features, and the autocast they are computed under.
            with_grad: Whether a graph is built.
            copy_random_state: Whether random states are kept.
            random_states: Those to be drawn under again.
            ranges: Not used: the micro-batches are cut already.
        """
        for at, features in enumerate(sentence_feature["batches"]):
            replayed = None if random_states is None else random_states[at]
            yield self.logits(features, sentence_feature["autocast"], with_grad, copy_random_state, replayed)

    def logits(
        self,
        features: Features,
        autocast: dict[str, Any],
        with_grad: bool,
        copy_random_state: bool,
        replayed: RandContext | None,
    ) -> tuple[Tensor, RandContext | None]:
        """One micro-batch's float32 logits [n], and the random state they were drawn under."""
        with replayed or nullcontext(), torch.set_grad_enabled(with_grad), torch.autocast(**autocast):
            state = RandContext(*features.values()) if copy_random_state else None
            # Modules write into what they are given, and would keep a micro-batch's activations there.
            return self.model(dict(features))["scores"].view(-1).float(), state

    def get_config_dict(self) -> dict[str, Any]:
        """What a model card says of the loss."""
        return {"loss": self.name, **self.options, "mini_batch_size": self.mini_batch_size}

    @property
    def citation(self) -> str:
        """BibTeX of the loss's papers."""
        return citation(self.name)


def autocast_now(device: torch.device) -> dict[str, Any]:
    """The autocast that is on, to be put on again in `backward`, which runs outside it."""
    kind = device.type
    dtype, enabled = torch.get_autocast_dtype(kind), torch.is_autocast_enabled(kind)
    return {"device_type": kind, "dtype": dtype, "enabled": enabled}
