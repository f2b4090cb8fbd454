"""The losses of bi-encoders, late interaction and sparse encoders: sentence-transformers' own, set up from a spec."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from sentence_transformers.base.losses.gradcache import has_static_embedding_input
from sentence_transformers.multi_vector_encoder import losses as late
from sentence_transformers.sentence_transformer import losses as dense
from sentence_transformers.sparse_encoder import losses as sparse
from sentence_transformers.util import SimilarityFunction, pairwise_dot_score
from torch import Tensor, nn

from mteb_cascade.training.losses.flops import Flops
from mteb_cascade.training.losses.in_one_piece import Contrastive
from mteb_cascade.training.losses.own_documents import OwnDocuments
from mteb_cascade.training.options import Training
from mteb_cascade.training.steps.ranks import world_size

OF_COSINES = 0.05
"""The temperature where the table gives none: sentence-transformers' scale of 20."""

DISTANCES = {"cosine": "COSINE", "euclidean": "EUCLIDEAN", "manhattan": "MANHATTAN"}


def contrastive(network: Any, training: Training, **options: Any) -> nn.Module:
    """Softmax over the documents of all ranks' batches, gradient-cached; over the query's own without `in_batch`."""
    scale = 1 / temperature(network, training)
    if not training.in_batch:
        return OwnDocuments(network, pairwise(network), scale)
    given: dict[str, Any] = {
        "scale": scale,
        "similarity_fct": SimilarityFunction.to_similarity_fn(network.similarity_fn_name or "cosine"),
        "gather_across_devices": several_ranks(),
        **options,
    }
    if has_static_embedding_input(network):
        return dense.MultipleNegativesRankingLoss(network, **given)
    # MatryoshkaLoss computes on the cached embeddings, so there must be a cache.
    loss = dense.CachedMultipleNegativesRankingLoss if training.matryoshka else Contrastive
    return loss(network, mini_batch_size=training.micro_batch, **given)


def contrastive_pairs(network: Any, training: Training, *, margin: float = 0.5, distance: str = "cosine") -> nn.Module:
    """Hadsell et al. 2006: answers are pulled together, negatives pushed a margin apart."""
    if distance == "cosine":
        metric = dense.SiameseDistanceMetric.COSINE_DISTANCE
    else:
        metric = getattr(dense.SiameseDistanceMetric, DISTANCES[distance])
    return dense.ContrastiveLoss(network, distance_metric=metric, margin=margin)


def triplet(network: Any, training: Training, *, margin: float = 0.2, distance: str = "cosine") -> nn.Module:
    """The answer is to be nearer than the negative by a margin; sentence-transformers' own is 5, Euclidean."""
    metric = getattr(dense.TripletDistanceMetric, DISTANCES[distance])
    return dense.TripletLoss(network, distance_metric=metric, triplet_margin=margin)


def cosine(network: Any, training: Training) -> nn.Module:
    """Squared distance of the cosine to 1 or 0."""
    return dense.CosineSimilarityLoss(network)


def margin_mse(network: Any, training: Training) -> nn.Module:
    """Inner products as they are; a cosine over the temperature, or it could not lead by as much as a teacher's logit.

    Matryoshka normalizes vectors, so that their inner product is a cosine.
    """
    if network.similarity_fn_name == "dot" and not training.matryoshka:
        return dense.MarginMSELoss(network, similarity_fct=pairwise_dot_score)
    over_temperature = partial(divided, of=pairwise(network), temperature=temperature(network, training))
    return dense.MarginMSELoss(network, similarity_fct=over_temperature)


def kl(network: Any, training: Training, *, teacher_temperature: float = 1.0) -> nn.Module:
    """The student's similarities over the temperature against the teacher's logits over one of their own."""
    return dense.DistillKLDivLoss(
        network,
        similarity_fct=pairwise(network),
        student_temperature=temperature(network, training),
        teacher_temperature=teacher_temperature,
    )


def late_contrastive(network: Any, training: Training) -> nn.Module:
    """As `contrastive`, over MaxSim."""
    return late.CachedMultiVectorMultipleNegativesRankingLoss(
        network,
        scale=1 / temperature(network, training),
        mini_batch_size=training.micro_batch,
        gather_across_devices=several_ranks(),
    )


def late_margin_mse(network: Any, training: Training) -> nn.Module:
    """MaxSim as it is."""
    return late.MultiVectorMarginMSELoss(network)


def late_kl(network: Any, training: Training, *, teacher_temperature: float = 1.0) -> nn.Module:
    """As `kl`, over MaxSim."""
    return late.MultiVectorDistillKLDivLoss(
        network, student_temperature=temperature(network, training), teacher_temperature=teacher_temperature
    )


def sparse_contrastive(network: Any, training: Training, **options: Any) -> nn.Module:
    """As `contrastive`, over inner products."""
    scale = 1 / temperature(network, training)
    if not training.in_batch:
        return splade(network, training, OwnDocuments(network, pairwise_dot_score, scale))
    loss = sparse.SparseMultipleNegativesRankingLoss(
        network, scale=scale, gather_across_devices=several_ranks(), **options
    )
    return splade(network, training, loss)


def sparse_margin_mse(network: Any, training: Training) -> nn.Module:
    """Inner products as they are."""
    return splade(network, training, sparse.SparseMarginMSELoss(network))


def sparse_kl(network: Any, training: Training, *, teacher_temperature: float = 1.0) -> nn.Module:
    """As `kl`, over inner products."""
    loss = sparse.SparseDistillKLDivLoss(
        network, student_temperature=temperature(network, training), teacher_temperature=teacher_temperature
    )
    return splade(network, training, loss)


def splade(network: Any, training: Training, loss: nn.Module) -> nn.Module:
    """A loss plus FLOPS terms, gradient-cached: the terms are squares of means over the batch, which cannot be cut."""
    return sparse.CachedSpladeLoss(
        network,
        loss,
        document_regularizer_weight=training.document_regularizer,
        query_regularizer_weight=training.query_regularizer,
        document_regularizer=Flops(network),
        query_regularizer=Flops(network),
        mini_batch_size=training.micro_batch,
    )


def matryoshka(network: Any, training: Training, loss: nn.Module) -> nn.Module:
    """The loss at the full width and at each of the option's."""
    widths = sorted({network.get_embedding_dimension(), *training.matryoshka}, reverse=True)
    return dense.MatryoshkaLoss(network, loss, widths)


def temperature(network: Any, training: Training) -> float:
    """The table's; else `OF_COSINES`, or 1 for inner products and MaxSim, which are not bounded by 1."""
    if training.temperature is not None:
        return training.temperature
    return OF_COSINES if network.similarity_fn_name in (None, "cosine") else 1.0


def pairwise(network: Any) -> Callable[[Tensor, Tensor], Tensor]:
    """The model's own similarity of two vectors, row by row."""
    return SimilarityFunction.to_similarity_pairwise_fn(network.similarity_fn_name or "cosine")


def divided(
    queries: Tensor, documents: Tensor, *, of: Callable[[Tensor, Tensor], Tensor], temperature: float
) -> Tensor:
    """A similarity over a temperature."""
    return of(queries, documents) / temperature


def several_ranks() -> bool:
    """Whether there are other ranks' documents to gather, started already or about to be."""
    return torch.distributed.is_initialized() or world_size() > 1


BUILDERS: dict[str, dict[str, Callable[..., nn.Module]]] = {
    "bi-encoder": {
        "contrastive": contrastive,
        "contrastive-pairs": contrastive_pairs,
        "triplet": triplet,
        "cosine": cosine,
        "margin-mse": margin_mse,
        "kl": kl,
    },
    "late-interaction": {"contrastive": late_contrastive, "margin-mse": late_margin_mse, "kl": late_kl},
    "sparse": {"contrastive": sparse_contrastive, "margin-mse": sparse_margin_mse, "kl": sparse_kl},
}
"""By kind and the word of a spec."""
