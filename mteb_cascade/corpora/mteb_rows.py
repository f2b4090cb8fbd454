"""mteb's datasets as our corpus and queries, by mteb's own rules of what a model reads; mteb itself is not needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mteb_cascade.corpora.corpus import TEXTS, Corpus, Queries
from mteb_cascade.values.run import Run


def corpus_of(given: Corpus | Any) -> Corpus:
    """A corpus from ours (as it is) or from a dataset with `id`, `text` and perhaps `title`."""
    if isinstance(given, Corpus):
        return given
    columns = [name for name in ("id", "title", "text") if name in given.column_names]
    corpus = Corpus.of_tables(given.with_format("arrow", columns=columns).iter(TEXTS))
    return replace(corpus, source=given)


def queries_of(given: Queries | Any, context: Mapping[str, Any] | None = None) -> Queries:
    """Queries from ours or from a dataset with `id`, `text` and perhaps `instruction`.

    An instruction follows a text and precedes a conversation. A conversation is flattened as mteb does: strings joined
    with "; ", turns as "role: content".
    """
    if isinstance(given, Queries):
        return given
    texts = list(given["text"])
    instructions = given["instruction"] if "instruction" in given.column_names else [None] * len(texts)
    read = tuple(instructed(text, instruction) for text, instruction in zip(texts, instructions, strict=True))
    return Queries(tuple(given["id"]), read, dict(context or {}), source=given)


def instructed(text: str | Sequence[Any], instruction: str | None) -> str:
    """A query with its instruction on the side where mteb puts it."""
    if instruction is None:
        return spoken(text)
    return f"{text} {instruction}" if isinstance(text, str) else f"{instruction} {spoken(text)}"


def spoken(text: str | Sequence[Any]) -> str:
    """A query as one string."""
    if isinstance(text, str):
        return text
    return "; ".join(turn if isinstance(turn, str) else f"{turn['role']}: {turn['content']}" for turn in text)


def run_of(found: Mapping[str, Mapping[str, float]], query_ids: Sequence[str], corpus: Corpus) -> Run:
    """What a search model of mteb returned, {query: {document: score}}, as a run."""
    lists = [found.get(query, {}) for query in query_ids]
    docs = corpus.rows_of_lists([list(scored) for scored in lists])
    scores = np.full(docs.shape, -np.inf, np.float32)
    for row, scored in enumerate(lists):
        scores[row, : len(scored)] = list(scored.values())
    return Run.ranked(query_ids, corpus, docs, scores)
