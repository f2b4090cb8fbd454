"""A reranker's losses as functions of a batch of scored lists.

Each takes `scores` [B, L], the model's logits of B lists of L documents, `labels` [B, L], what the logits should be or
should follow, and `real` bool [B, L], false at pads, which contribute nothing. Each returns a scalar: the mean over the
B lists of what its docstring says of one list, in float32 at least. A list that teaches nothing (no pair, no relevant
document) has the loss 0 and counts as a list: the loss of a batch is the mean of its lists' losses, however it is cut.
Except for `margin_mse`, whose first column is the answer, the order of a list's documents does not matter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Scheme = Literal["ndcg-loss2++", "ndcg-loss2", "lambda-rank"]


def bce(scores: Tensor, labels: Tensor, real: Tensor, *, positive_weight: float = 1.0) -> Tensor:
    """Pointwise: binary cross-entropy of each logit, the mean over a list's documents.

    Args:
        scores: [B, L].
        labels: [B, L]; grades above 1 count as 1, below 0 as 0.
        real: bool [B, L].
        positive_weight: What an answer counts for, a negative counting 1.
    """
    scores, labels = cleaned(scores, labels, real)
    weight = scores.new_tensor(positive_weight)
    cells = functional.binary_cross_entropy_with_logits(scores, labels.clamp(0, 1), reduction="none", pos_weight=weight)
    return mean_over(cells, real)


def mse(scores: Tensor, labels: Tensor, real: Tensor) -> Tensor:
    """Pointwise: squared distance of a logit to the teacher's, the mean over a list's documents.

    Args:
        scores: [B, L].
        labels: [B, L], a teacher's logits.
        real: bool [B, L].
    """
    scores, labels = cleaned(scores, labels, real)
    return mean_over((scores - labels) ** 2, real)


def margin_mse(scores: Tensor, labels: Tensor, real: Tensor) -> Tensor:
    """Pairwise: squared distance of the answer's lead over a negative to the teacher's, the mean over the negatives.

    Hofstätter et al. 2021, https://arxiv.org/abs/2010.02666.

    Args:
        scores: [B, L], the answer's first.
        labels: [B, L], a teacher's logits.
        real: bool [B, L].
    """
    scores, labels = cleaned(scores, labels, real)
    distance = (scores[:, :1] - scores[:, 1:]) - (labels[:, :1] - labels[:, 1:])
    return mean_over(distance**2, real[:, 1:] & real[:, :1])


def ranknet(scores: Tensor, labels: Tensor, real: Tensor, *, top: int | None = None) -> Tensor:
    """Pairwise: log(1 + exp(s_j - s_i)), the mean over the pairs of a list with y_i > y_j.

    Burges et al. 2005. sentence-transformers takes the mean over all pairs of the *batch* (a list counts by its number
    of pairs) and base-2 logarithms: its RankNetLoss(k=top, reduction_log="natural") is this where lists have equally
    many pairs.

    Args:
        scores: [B, L].
        labels: [B, L].
        real: bool [B, L].
        top: Pairs count only where i or j is within the first `top` by the current scores; None counts all. Documents
            that score the same as the last of these are within, too.
    """
    scores, labels = cleaned(scores, labels, real)
    return mean_over(-functional.logsigmoid(differences(scores)), ordered_pairs(scores, labels, real, top))


def margin(scores: Tensor, labels: Tensor, real: Tensor, *, margin: float = 1.0) -> Tensor:
    """Pairwise: max(0, margin - (s_i - s_j)), the mean over the pairs of a list with y_i > y_j.

    Args:
        scores: [B, L].
        labels: [B, L].
        real: bool [B, L].
        margin: The lead that is enough.
    """
    scores, labels = cleaned(scores, labels, real)
    return mean_over(functional.relu(margin - differences(scores)), ordered_pairs(scores, labels, real))


def softmax(scores: Tensor, labels: Tensor, real: Tensor) -> Tensor:
    """RankT5's listwise loss, sum_i -y_i / sum(y) log p_i, where p is the softmax of the scores.

    Zhuang et al. 2022, https://arxiv.org/abs/2210.10634.

    Args:
        scores: [B, L].
        labels: [B, L]; below 0 counts as 0.
        real: bool [B, L].
    """
    scores, labels = cleaned(scores, labels, real)
    weights = labels.clamp(min=0)
    total = weights.sum(dim=1).clamp(min=torch.finfo(weights.dtype).tiny)
    return (-(weights * log_softmax(scores, real)).sum(dim=1) / total).mean()


def listnet(scores: Tensor, labels: Tensor, real: Tensor) -> Tensor:
    """Listwise: -sum_i softmax(y)_i log softmax(s)_i.

    Cao et al. 2007. With grades as labels every negative is a target, too: one answer among 30 documents gets .086.

    Args:
        scores: [B, L].
        labels: [B, L].
        real: bool [B, L].
    """
    scores, labels = cleaned(scores, labels, real)
    target = log_softmax(labels, real).exp().masked_fill(~real, 0)
    return -(target * log_softmax(scores, real)).sum(dim=1).mean()


def kl(scores: Tensor, labels: Tensor, real: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Listwise: KL(softmax(y / T) || softmax(s / T)) T^2, knowledge distillation.

    Hinton et al. 2015, https://arxiv.org/abs/1503.02531.

    Args:
        scores: [B, L].
        labels: [B, L], a teacher's logits.
        real: bool [B, L].
        temperature: T, above 1 to learn more from low scores.
    """
    scores, labels = cleaned(scores, labels, real)
    student, teacher = log_softmax(scores / temperature, real), log_softmax(labels / temperature, real)
    cells = functional.kl_div(student, teacher, reduction="none", log_target=True)
    return cells.sum(dim=1).mean() * temperature**2


def lambda_loss(
    scores: Tensor, labels: Tensor, real: Tensor, *, top: int | None = None, scheme: Scheme = "ndcg-loss2++"
) -> Tensor:
    """Pairwise, weighted by what a swap would do to nDCG: w_ij log(1 + exp(s_j - s_i)), the mean over y_i > y_j.

    Wang et al. 2018, by the weighting schemes of sentence-transformers, whose LambdaLoss takes the mean over all pairs
    of the batch and base-2 logarithms. Of equal scores the lower grade ranks first.

    Args:
        scores: [B, L].
        labels: [B, L], grades; below 0 counts as 0 in a gain.
        real: bool [B, L].
        top: Cut-off of nDCG: pairs count only where i or j ranks within it; None counts all.
        scheme: Of the weights.
    """
    from sentence_transformers.cross_encoder import losses

    schemes = {
        "ndcg-loss2++": losses.NDCGLoss2PPScheme,
        "ndcg-loss2": losses.NDCGLoss2Scheme,
        "lambda-rank": losses.LambdaRankScheme,
    }
    scores, labels = cleaned(scores, labels, real)
    by_grade = labels.argsort(dim=1, stable=True)
    ranked = scores.masked_fill(~real, -torch.inf).gather(1, by_grade).argsort(dim=1, descending=True, stable=True)
    order = by_grade.gather(1, ranked)
    scores, labels, real = scores.gather(1, order), labels.gather(1, order), real.gather(1, order)
    ranks = torch.arange(1, labels.shape[1] + 1, device=labels.device, dtype=labels.dtype)
    discount = torch.log2(1 + ranks)[None]
    gain = torch.pow(2, labels.clamp(min=0)) - 1
    ideal = (gain.sort(dim=1, descending=True).values / discount)[:, :top].sum(dim=1, keepdim=True).clamp(min=1e-10)
    weights = schemes[scheme]()(gain / ideal, discount, labels)
    within = (ranks <= (top or len(ranks))).expand_as(real)
    pairs = ordered_pairs(scores, labels, real) & (within[:, :, None] | within[:, None, :])
    return mean_over(-weights * functional.logsigmoid(differences(scores)), pairs)


def hybrid(
    scores: Tensor,
    labels: Tensor,
    real: Tensor,
    *,
    top: int = 5,
    pairwise_weight: float = 1.0,
    listwise_weight: float = 1.0,
) -> Tensor:
    """The project's own: `ranknet` over the pairs that touch the model's current top, plus `softmax` over the list.

    The first works where rank 1 is decided, the second keeps the rest of the list in its place.

    Args:
        scores: [B, L].
        labels: [B, L].
        real: bool [B, L].
        top: Of `ranknet`.
        pairwise_weight: What the first counts for; 0 is `softmax`.
        listwise_weight: What the second counts for; 0 is `ranknet`.
    """
    pairwise = ranknet(scores, labels, real, top=top)
    return pairwise_weight * pairwise + listwise_weight * softmax(scores, labels, real)


def cleaned(scores: Tensor, labels: Tensor, real: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one type, float32 at least, and 0 at pads, whatever stood there."""
    dtype = torch.promote_types(scores.dtype, torch.float32)
    return scores.to(dtype).masked_fill(~real, 0), labels.to(dtype).masked_fill(~real, 0)


def mean_over(values: Tensor, counted: Tensor) -> Tensor:
    """The mean over the lists of the mean of those values [B, ...] of a list that count, 0 where none does."""
    sums = values.masked_fill(~counted, 0).flatten(1).sum(dim=1)
    return (sums / counted.flatten(1).sum(dim=1).clamp(min=1)).mean()


def log_softmax(scores: Tensor, real: Tensor) -> Tensor:
    """Over a list's real documents; 0 at pads."""
    return scores.masked_fill(~real, -torch.inf).log_softmax(dim=1).masked_fill(~real, 0)


def differences(scores: Tensor) -> Tensor:
    """[B, L, L], s_i - s_j."""
    return scores[:, :, None] - scores[:, None, :]


def ordered_pairs(scores: Tensor, labels: Tensor, real: Tensor, top: int | None = None) -> Tensor:
    """Bool [B, L, L], where i should stand above j and, with `top`, one of them is within the first `top` by score."""
    pairs = (differences(labels) > 0) & real[:, :, None] & real[:, None, :]
    if top is None or top >= scores.shape[1]:
        return pairs
    last = scores.masked_fill(~real, -torch.inf).topk(top, dim=1).values[:, -1:]
    within = scores >= last
    return pairs & (within[:, :, None] | within[:, None, :])


FUNCTIONS: dict[str, Callable[..., Tensor]] = {
    "bce": bce,
    "mse": mse,
    "margin-mse": margin_mse,
    "ranknet": ranknet,
    "margin": margin,
    "softmax": softmax,
    "listnet": listnet,
    "kl": kl,
    "lambda": lambda_loss,
    "hybrid": hybrid,
}
"""By the word of a spec."""
