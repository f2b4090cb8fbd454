"""Which loss each word of a spec means for which kind of model, and what it asks for; nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from mteb_cascade.errors import InputError, in_one_line, suggestion
from mteb_cascade.stages.load import problem

if TYPE_CHECKING:
    from torch import nn

    from mteb_cascade.training.feeds import Form
    from mteb_cascade.training.options import Training


class Needs(NamedTuple):
    """What a loss cannot do without: negatives to each query, a teacher's scores."""

    negatives: bool = True
    scores: bool = False


NEGATIVES = Needs()
NO_NEGATIVES = Needs(negatives=False)
TAUGHT = Needs(scores=True)


@dataclass(frozen=True)
class Loss:
    """What a word stands for.

    Args:
        form: Of the rows it learns from.
        needs: What they must hold.
        options: {key of `loss_options`: its type}, the keyword arguments of the loss.
    """

    form: Form
    needs: Needs = NEGATIVES
    options: Mapping[str, Any] = field(default_factory=dict)


DIRECTIONS = list[Literal["query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"]]
IN_BATCH = {
    "directions": DIRECTIONS,
    "partition_mode": Literal["joint", "per_direction"],
    "hardness_mode": Literal["in_batch_negatives", "hard_negatives", "all_negatives"],
    "hardness_strength": NonNegativeFloat,
}
APART = {"margin": PositiveFloat, "distance": Literal["cosine", "euclidean", "manhattan"]}
TEACHER = {"teacher_temperature": PositiveFloat}
SCHEMES = Literal["ndcg-loss2++", "ndcg-loss2", "lambda-rank"]

LOSSES: dict[str, dict[str, Loss]] = {
    "bi-encoder": {
        "contrastive": Loss("tuples", NO_NEGATIVES, IN_BATCH),
        "contrastive-pairs": Loss("labelled", options=APART),
        "triplet": Loss("triplets", options=APART),
        "cosine": Loss("labelled"),
        "margin-mse": Loss("scored", TAUGHT),
        "kl": Loss("scored", TAUGHT, TEACHER),
    },
    "late-interaction": {
        "contrastive": Loss("tuples", NO_NEGATIVES),
        "margin-mse": Loss("scored", TAUGHT),
        "kl": Loss("scored", TAUGHT, TEACHER),
    },
    "sparse": {
        "contrastive": Loss("tuples", NO_NEGATIVES, IN_BATCH),
        "margin-mse": Loss("scored", TAUGHT),
        "kl": Loss("scored", TAUGHT, TEACHER),
    },
    "cross-encoder": {
        "bce": Loss("lists", options={"positive_weight": PositiveFloat}),
        "ranknet": Loss("lists", options={"top": PositiveInt}),
        "margin": Loss("lists", options={"margin": PositiveFloat}),
        "softmax": Loss("lists"),
        "listnet": Loss("lists"),
        "lambda": Loss("lists", options={"top": PositiveInt, "scheme": SCHEMES}),
        "hybrid": Loss(
            "lists",
            options={"top": PositiveInt, "pairwise_weight": NonNegativeFloat, "listwise_weight": NonNegativeFloat},
        ),
        "mse": Loss("lists", Needs(negatives=False, scores=True)),
        "margin-mse": Loss("lists", TAUGHT),
        "kl": Loss("lists", TAUGHT, {"temperature": PositiveFloat}),
    },
}
"""By kind and word. A test holds the options equal to the keyword arguments of what is built."""


def words(kind: str) -> list[str]:
    """The losses of a kind; none where it is not trained with one."""
    return list(LOSSES.get(kind, {}))


def form_of(word: str, kind: str, what: str) -> Form:
    """The form of the rows that a loss learns from.

    Raises:
        InputError: The kind has no such loss.
    """
    return found(word, kind, what).form


def needs(word: str, kind: str) -> Needs:
    """What a loss needs to be in the data.

    Raises:
        InputError: The kind has no such loss.
    """
    return found(word, kind, "training").needs


def found(word: str, kind: str, what: str) -> Loss:
    """A kind's loss of this word.

    Raises:
        InputError: There is none.
    """
    if mistake := unknown(word, kind):
        raise InputError(f"{what}: {mistake}")
    return LOSSES[kind][word]


def unknown(word: str, kind: str) -> str:
    """What is wrong with a loss's word; '' where nothing is."""
    if word in words(kind):
        return ""
    if not words(kind):
        return f"[training] a model of kind '{kind}' is not trained with a loss; {', '.join(LOSSES)} are"
    others = [other for other in LOSSES if word in words(other)]
    known = suggestion(word, words(kind), f"Losses of kind '{kind}'")
    if others:
        return f"[training] loss: '{word}' is of kind {' and '.join(others)} only, this model is a {kind}. {known}"
    return f"[training] loss: unknown loss '{word}'. {known}"


def check(kind: str, training: Training) -> list[str]:
    """All that is wrong with a loss and its options, as far as can be told without data; nothing is loaded.

    Args:
        kind: The spec's.
        training: Its table.

    Returns:
        A line each, without the file's name.
    """
    word = training.loss
    if mistake := unknown(word, kind):
        return [mistake]
    loss = LOSSES[kind][word]
    mistakes = []
    for key, value in training.loss_options.items():
        if key not in loss.options:
            known = suggestion(key, loss.options, f"Options of loss '{word}'")
            mistakes.append(f"[training] loss_options: unknown option '{key}'. {known}")
        elif text := problem(loss.options[key], value):
            mistakes.append(f"[training] loss_options: {key}: {text}")
    if training.temperature is not None and training.temperature <= 0:
        mistakes.append(f"[training] temperature: expected more than 0, got {training.temperature}")
    own_only = word == "contrastive" and not training.in_batch
    if own_only and kind == "late-interaction":
        mistakes.append(
            "[training] in_batch: late interaction's contrastive loss takes other queries' documents always"
        )
    elif own_only and training.loss_options:
        mistakes.append("[training] loss_options: those of loss 'contrastive' are of in_batch = true only")
    if word == "contrastive" and training.negatives < 1 and training.batch_size < 2:
        mistakes.append(
            "[training] batch_size: loss 'contrastive' without negatives needs at least 2 to compare, got 1"
        )
    if (loss.needs.negatives or own_only) and training.negatives < 1:
        mistakes.append(f"[training] negatives: loss '{word}' needs at least 1 to a query, got {training.negatives}")
    return mistakes


def build(kind: str, network: Any, training: Training, what: str) -> nn.Module:
    """The loss that sentence-transformers' trainer of the kind takes.

    Args:
        kind: The spec's.
        network: The model in training.
        training: A checked table.
        what: What messages name.

    Raises:
        InputError: The loss cannot be computed of this network.
    """
    found(training.loss, kind, what)
    try:
        if kind == "cross-encoder":
            from mteb_cascade.training.losses.list_loss import ListLoss

            return ListLoss(network, training.loss, mini_batch_size=training.micro_batch, **training.loss_options)
        from mteb_cascade.training.losses import encoders

        loss = encoders.BUILDERS[kind][training.loss](network, training, **training.loss_options)
        return encoders.matryoshka(network, training, loss) if training.matryoshka else loss
    except ValueError as error:
        raise InputError(f"{what}: [training] loss '{training.loss}': {in_one_line(error)}") from error
