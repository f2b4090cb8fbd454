"""The contrastive loss over a query's own documents, without those of the batch's other queries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from sentence_transformers.base.losses.merged_forward import embed_columns
from torch import Tensor, nn
from torch.nn import functional


class OwnDocuments(nn.Module):
    """Cross-entropy of the softmax over the answer and the query's hard negatives, the mean over the rows.

    `MultipleNegativesRankingLoss` without its in-batch negatives; rows know nothing of each other.

    Args:
        model: A SentenceTransformer or SparseEncoder.
        similarity_fct: Pairwise similarity of vectors [B, d] and [B, d].
        scale: What similarities are multiplied by.
    """

    def __init__(self, model: nn.Module, similarity_fct: Callable[[Tensor, Tensor], Tensor], scale: float) -> None:
        super().__init__()
        self.model = model
        self.similarity_fct = similarity_fct
        self.scale = scale

    def forward(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss of columns query, answer, negatives."""
        return self.compute_loss_from_embeddings(embed_columns(self.model, sentence_features), labels)

    def compute_loss_from_embeddings(self, embeddings: list[Tensor], labels: Tensor | None = None) -> Tensor:
        """The loss of the columns' vectors, each [B, d]."""
        queries, *documents = embeddings
        scores = torch.stack([self.similarity_fct(queries, one) for one in documents], dim=1) * self.scale
        return functional.cross_entropy(scores, scores.new_zeros(len(scores), dtype=torch.long))

    def get_config_dict(self) -> dict[str, Any]:
        """What a model card says of the loss."""
        return {"scale": self.scale}
