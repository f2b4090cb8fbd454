"""MaxSim token by token: which token of a document each token of a query matches best, and how well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mteb_cascade.engine.texts import Task
from mteb_cascade.errors import InputError
from mteb_cascade.stages.late_interaction import LateInteraction

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Token:
    """A token as its model reads it.

    Args:
        text: As the tokenizer writes it.
        role: "" of the text itself; "marker" (special tokens), "prompt" or "expansion" of what the model adds.
    """

    text: str
    role: str = ""


@dataclass(frozen=True)
class Match:
    """A token of the query, and the token of the document that is most similar to it.

    Args:
        token: Of the query.
        matched: Of the document; None where the document has no token that is compared.
        similarity: Inner product of their vectors, 0 without a match.
    """

    token: Token
    matched: Token | None
    similarity: float


@dataclass(frozen=True)
class Alignment:
    """A document's score, token by token.

    Args:
        document: Its id.
        matches: One a token of the query, in its order.
        mean: Whether the score is the mean of the similarities (MeanMaxSim), not their sum.
    """

    document: str
    matches: tuple[Match, ...]
    mean: bool = False

    @property
    def score(self) -> float:
        """The stage's score of the pair, but for float32's rounding."""
        total = sum(match.similarity for match in self.matches)
        return total / max(len(self.matches), 1) if self.mean else total


def aligned(stage: LateInteraction, query: str, documents: Sequence[tuple[str, str]]) -> list[Alignment]:
    """How each document comes by its score for a query.

    Args:
        stage: Its model is loaded.
        query: Text.
        documents: (id, text).

    Raises:
        InputError: The model pools its token vectors, or has no tokens: no vector is that of one token.
    """
    ((tokens, asked),) = read(stage, [query], "query")
    mean = stage.network.similarity_fn_name == "meanmaxsim"
    return [
        Alignment(document, tuple(matches(tokens, asked, *found)), mean)
        for (document, _), found in zip(
            documents, read(stage, [text for _, text in documents], "document"), strict=True
        )
    ]


def matches(
    tokens: Sequence[Token], asked: torch.Tensor, candidates: Sequence[Token], vectors: torch.Tensor
) -> list[Match]:
    """The best match of each of q tokens, vectors [q, d], among t, vectors [t, d]."""
    if not candidates:
        return [Match(token, None, 0.0) for token in tokens]
    similarity, at = (asked.double() @ vectors.double().T).max(dim=1)
    return [
        Match(token, candidates[best], value)
        for token, best, value in zip(tokens, at.tolist(), similarity.tolist(), strict=True)
    ]


def read(stage: LateInteraction, texts: list[str], task: Task) -> list[tuple[list[Token], torch.Tensor]]:
    """The tokens of each text that are compared, and their vectors [tokens, d], as the stage encodes them."""
    found: list[tuple[list[Token], torch.Tensor]] = []
    for text in texts:
        # One at a time: pads would have to be told from expansion, and few are asked for.
        ((_, outputs),) = stage.encoded([text], task, list, output_value=None)
        found.append(compared(stage, outputs[0]))
    return found


def compared(stage: LateInteraction, output: dict[str, Any]) -> tuple[list[Token], torch.Tensor]:
    """The n tokens of one text that are compared and their vectors [n, d], of what the model gave for it.

    Raises:
        InputError: The vectors are not those of single tokens.
    """
    vectors, mask, ids = (output.get(name) for name in ("token_embeddings", "attention_mask", "input_ids"))
    tokenizer = stage.network.tokenizer
    if vectors is None or mask is None or ids is None or tokenizer is None or not len(vectors) == len(mask) == len(ids):
        raise InputError(f"{stage.label}: its vectors are not those of single tokens: there is no alignment to show")
    expansion = output.get("query_expansion_positions")
    special, prompt = {*tokenizer.all_special_ids}, int(output.get("prompt_length") or 0)
    tokens = []
    for position in mask.bool().nonzero()[:, 0].tolist():
        token = int(ids[position])
        if expansion is not None and expansion[position]:
            role = "expansion"
        elif token in special:
            role = "marker"
        else:
            role = "prompt" if position < prompt else ""
        tokens.append(
            Token(str(tokenizer.decode([token])).strip() or str(tokenizer.convert_ids_to_tokens(token)), role)
        )
    return tokens, vectors[mask.bool()].float().cpu()
