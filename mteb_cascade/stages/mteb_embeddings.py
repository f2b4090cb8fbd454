"""What an encoder of mteb gives for the documents of a corpus: dense, sparse or one vector a token."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch


class DocumentEmbeddings:
    """Embeddings of N documents, each encoded when it is first asked for, in the type that the model gives.

    Args:
        size: N.
        encode: Embeddings of the documents at these rows.
    """

    def __init__(self, size: int, encode: Callable[[NDArray[np.integer]], torch.Tensor]) -> None:
        self._encode = encode
        self._block = np.full(size, -1, np.int32)
        self._place = np.zeros(size, np.int64)
        self._blocks: list[torch.Tensor] = []

    def at(self, rows: NDArray[np.integer]) -> torch.Tensor:
        """Tensor [len(rows), ...] of these documents, in their order; what is missing is encoded, together."""
        import torch

        missing = np.unique(rows[self._block[rows] < 0])
        if len(missing):
            self._blocks.append(self._encode(missing))
            self._block[missing] = len(self._blocks) - 1
            self._place[missing] = np.arange(len(missing))
        blocks = self._block[rows]
        parts, order = [], []
        for block in np.unique(blocks):
            here = np.flatnonzero(blocks == block)
            parts.append(self._blocks[block].index_select(0, torch.from_numpy(self._place[rows[here]])))
            order.append(here)
        back = torch.from_numpy(np.argsort(np.concatenate(order)))
        return joined(parts).index_select(0, back)


def rows_of(embeddings: torch.Tensor, first: int, count: int = 1) -> torch.Tensor:
    """Consecutive rows of a dense or a sparse tensor."""
    import torch

    return embeddings.index_select(0, torch.arange(first, first + count))


def joined(parts: list[torch.Tensor]) -> torch.Tensor:
    """Blocks of embeddings as one tensor; of vectors a token, shorter texts are padded with zeros, as mteb does."""
    import torch

    if len(parts) == 1:
        return parts[0]
    if parts[0].ndim == 3:
        longest = max(part.shape[1] for part in parts)
        parts = [torch.nn.functional.pad(part, (0, 0, 0, longest - part.shape[1])) for part in parts]
    return torch.cat(parts)


def on_cpu(embeddings: Any) -> torch.Tensor:
    """Embeddings as a model of mteb returns them, array or tensor, as a tensor on the CPU.

    Half precision becomes float32, as mteb's own similarities do.
    """
    import torch

    if isinstance(embeddings, list):
        embeddings = torch.nn.utils.rnn.pad_sequence([torch.as_tensor(one) for one in embeddings], batch_first=True)
    tensor = torch.as_tensor(embeddings).detach().cpu()
    if tensor.layout != torch.strided:
        return tensor.to_sparse().coalesce()
    return tensor.float() if tensor.is_floating_point() and tensor.dtype != torch.float64 else tensor
