"""Tokens that a stage cuts off: of queries, of documents, and of the document in a pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.texts import Task
from mteb_cascade.stages.base import cells
from mteb_cascade.stages.model_stage import EncoderStage, ModelStage
from mteb_cascade.stages.weights import local_folder, read_json
from mteb_cascade.studies.doctor.finding import Finding, Verdict
from mteb_cascade.studies.doctor.prompts import prompt_of
from mteb_cascade.studies.doctor.subject import Subject
from mteb_cascade.training.networks.limits import positions
from mteb_cascade.training.watching.truncation import Truncation, against, limit_of, token_counts

CHECK = "truncation"

MOST, MANY = 0.5, 0.1
"""Shares of texts that are cut, and of tokens that are lost, from which on it matters."""

SHORT = 32
"""Tokens: fewer are no retrieval model's limit; ColBERT keeps as many of a query."""


@dataclass(frozen=True)
class Limit:
    """What keeps a stage from reading on.

    Args:
        tokens: Kept of a text or pair; None where nothing is cut.
        by_spec: Whether the spec asks for fewer than the model folder does.
        positions: Tokens that the network could take; None where it counts distances alone.
    """

    tokens: int | None
    by_spec: bool
    positions: int | None

    @property
    def could_be_higher(self) -> bool:
        """Whether the network takes more."""
        return self.tokens is not None and (self.positions is None or self.positions > self.tokens)

    def __str__(self) -> str:
        whose = "max_length of the spec" if self.by_spec else "the model's own limit"
        return whose + (f"; it could take {self.positions:,}" if self.could_be_higher and self.positions else "")


def check(subject: Subject) -> Iterator[Finding]:
    """Queries and candidates, or pairs of them, against the tokens that the stage keeps."""
    stage = subject.stage
    body = getattr(stage.network, "transformers_model", None) if isinstance(stage, ModelStage) else None
    if not isinstance(stage, ModelStage) or body is None:
        return
    if isinstance(stage, EncoderStage):
        documents = subject.candidates.corpus.texts_at(np.unique(subject.candidates.docs[cells(subject.candidates)]))
        sides: dict[Task, list[str]] = {"query": list(subject.queries.texts), "document": documents}
        for side, texts in sides.items():
            limit = limit_at(stage, limit_of(stage.network, side), body)
            prompt = prompt_of(stage, side)
            counts = token_counts(stage.network.tokenizer, [prompt + text for text in texts])
            cut = against("queries" if side == "query" else "documents", limit.tokens, counts)
            yield found(stage, cut, limit, lost(counts, limit.tokens), is_query=side == "query")
    else:
        yield from of_pairs(subject, stage, limit_at(stage, stage.network.max_seq_length, body))


def limit_at(stage: ModelStage, tokens: float | None, body: Any) -> Limit:
    """The limit of a stage's network, and whose it is."""
    room = positions(body)
    kept = None if tokens is None or not np.isfinite(tokens) else int(tokens)
    folder = local_folder(stage.model, stage.revision) if stage.model else None
    own = read_json(folder / "sentence_bert_config.json").get("max_seq_length") if folder else None
    own = own or stage.network.tokenizer.init_kwargs.get("model_max_length") or room
    by_spec = kept is not None and kept == stage.max_length and (own is None or kept < own)
    return Limit(kept, by_spec, room)


def lost(counts: NDArray[np.int64], limit: int | None) -> float:
    """Share of the tokens that lie beyond a limit.

    >>> lost(np.array([4, 12]), 8)
    0.25
    """
    return 0.0 if limit is None else float(np.maximum(counts - limit, 0).sum() / max(counts.sum(), 1))


def of_pairs(subject: Subject, stage: ModelStage, limit: Limit) -> Iterator[Finding]:
    """What the tokenizer leaves of query and document where it takes tokens from the longer one, as it does."""
    rows, columns = cells(subject.candidates)
    if not len(rows):
        return
    queries = [subject.queries.texts[row] for row in rows]
    documents = subject.candidates.corpus.texts_at(subject.candidates.docs[rows, columns])
    tokenizer = stage.network.tokenizer
    cut = against("pairs", limit.tokens, token_counts(tokenizer, queries, documents))
    marks = tokenizer.num_special_tokens_to_add(pair=True)
    alone = tokenizer.num_special_tokens_to_add(pair=False)
    asked, answered = (np.maximum(token_counts(tokenizer, side) - alone, 0) for side in (queries, documents))
    room = (asked + answered).max() if limit.tokens is None else max(limit.tokens - marks, 0)
    read, kept = left_of(asked, answered, room)
    gone = float((answered - kept).sum() / max(answered.sum(), 1))
    queries_cut = float((read < asked).mean())
    left = f"after the query a median of {np.median(kept):,.0f} of {np.median(answered):,.0f} document tokens is left"
    yield found(stage, cut, limit, gone, queries_cut=queries_cut, more=left)


def left_of(
    asked: NDArray[np.int64], answered: NDArray[np.int64], room: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Tokens that are left of queries and documents that share a room: tokenizers take from the longer side first.

    >>> [kept.tolist() for kept in left_of(np.array([2, 20, 20]), np.array([20, 20, 4]), 11)]
    [[2, 5, 7], [9, 6, 4]]
    """
    fit, query_is_shorter = asked + answered <= room, asked <= answered
    shorter = np.minimum(asked, answered)
    shorter = np.where(2 * shorter <= room, shorter, room // 2)
    longer = room - shorter
    return (
        np.where(fit, asked, np.where(query_is_shorter, shorter, longer)),
        np.where(fit, answered, np.where(query_is_shorter, longer, shorter)),
    )


def found(
    stage: ModelStage,
    cut: Truncation,
    limit: Limit,
    gone: float,
    *,
    is_query: bool = False,
    queries_cut: float = 0.0,
    more: str = "",
) -> Finding:
    """The verdict: a limit of the model's own that cuts documents is worth knowing, one that is plainly wrong fails."""
    verdict: Verdict = "ok"
    remedy = ""
    too_low = limit.could_be_higher and (limit.by_spec or (limit.tokens or 0) < SHORT)
    if is_query:
        wrong = (limit.could_be_higher and cut.longer > MOST) or (too_low and cut.longer >= MANY)
        mentioned = cut.longer >= MANY
    else:
        wrong = too_low and gone >= MANY and (cut.longer > MOST or queries_cut >= MANY)
        mentioned = cut.longer > MOST or queries_cut >= MANY
    if wrong:
        verdict = "fail"
        remedy = "raise max_length in the spec, or leave it out" if limit.by_spec else "give max_length in the spec"
        if is_query and limit.tokens == getattr(stage.network[0], "query_length", None):
            remedy = "raise query_length of the model, which is for queries alone"
        if limit.positions:
            remedy += f": the model takes {limit.positions:,} tokens"
    elif mentioned:
        verdict = "note"
        remedy = "what stands behind the limit is not searched: split long documents into passages, or accept it"
        if is_query:
            remedy = "what stands behind the limit is not read: take a model for longer queries, or accept it"
    parts = [f"{cut} ({limit})" if limit.tokens is not None and cut.longer else str(cut)]
    parts += [f"{gone:.1%} of their document tokens lost" if more else f"{gone:.1%} of tokens lost"] if gone else []
    parts += [more] if more and cut.longer else []
    parts += [f"{queries_cut:.0%} of the queries in them are cut, too"] if queries_cut else []
    figures = {**asdict(cut), "lost": gone, "positions": limit.positions, "queries_cut": queries_cut}
    return Finding(CHECK, stage.label, verdict, "; ".join(parts), remedy, figures)
