"""Gradient caching only where it is needed: it computes every text twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sentence_transformers.base.losses.gradcache import CachedLossMixin
from sentence_transformers.sentence_transformer.losses import CachedMultipleNegativesRankingLoss
from torch import Tensor


class InOnePiece(CachedLossMixin):
    """A gradient-cached loss of sentence-transformers; a batch all of whose texts fit goes through the model once."""

    def forward_cached(self, sentence_features: Iterable[dict[str, Tensor]], labels: Tensor | None = None) -> Tensor:
        """The loss; its gradient is the same either way."""
        columns: list[Any] = list(sentence_features)
        if sum(len(column["input_ids"]) for column in columns) > self.mini_batch_size:
            cached: Tensor = super().forward_cached(columns, labels)
            return cached
        return self.calculate_loss([[self.model(column)["sentence_embedding"]] for column in columns], labels)


class Contrastive(InOnePiece, CachedMultipleNegativesRankingLoss):
    """Softmax over the documents of a batch."""
