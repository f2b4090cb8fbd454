"""SPLADE's FLOPS term over the texts of all ranks."""

from __future__ import annotations

from sentence_transformers.sparse_encoder.losses import FlopsLoss
from sentence_transformers.util import all_gather_with_grad
from torch import Tensor


class Flops(FlopsLoss):
    """Sum over the vocabulary of the squared mean weight in a batch (Paria et al. 2020, arXiv 2004.05665).

    sentence-transformers' own takes the mean over one rank's texts, and so is more the fewer texts a rank has.
    """

    def compute_loss_from_embeddings(self, embeddings: Tensor) -> Tensor:
        """The term of a rank's weights [n, V], as many on every rank."""
        return all_gather_with_grad(embeddings.mean(dim=0, keepdim=True)).mean(dim=0).square().sum()
