"""Pairs of texts that belong together, made from nothing that a held-out query or its answer says."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.pythondocs import contains, normalised

HELD_OUT = ("dev", "test")
"""Splits whose queries and relevant documents no model may read in training."""

STATEMENT_WORDS = 4
"""From this many words on, a sentence that held-out text has too is taken out of training text."""

SENTENCE_END = re.compile(r"((?<=[.!?:;])\s+|\n\s*\n)")


@dataclass(frozen=True)
class Pair:
    """A text that asks, and a text that answers it.

    Args:
        query: A training query, a document's name in words, or one of its sentences.
        document: The document's training text; without the sentence where that is the query.
        row: Row of the document in the corpus.
        kind: "query", "name" or "sentence".
    """

    query: str
    document: str
    row: int
    kind: str


def training_texts(collection: Collection) -> dict[int, str]:
    """What models may read of the corpus: documents relevant to no held-out query, without what held-out text says.

    A sentence that also stands in a held-out query or in a document relevant to one is taken out; a document that
    still states a held-out query is left out.

    Returns:
        {row of the corpus: text}, in row order.
    """
    held_out_rows, queries = held_out(collection)
    texts: list[str] = collection.corpus.texts.to_pylist()
    said = {
        statement
        for text in [*queries, *(texts[row] for row in held_out_rows)]
        for statement in map(normalised, [text, *SENTENCE_END.split(text)])
        if len(statement.split()) >= STATEMENT_WORDS
    }
    starts = by_first_words(map(normalised, queries))
    allowed = {}
    for row, text in enumerate(texts):
        if row not in held_out_rows:
            kept = "".join(part for part in SENTENCE_END.split(text) if normalised(part) not in said).strip()
            if kept and not states_any(normalised(kept), starts):
                allowed[row] = kept
    return allowed


def held_out(collection: Collection) -> tuple[frozenset[int], list[str]]:
    """Rows of the documents relevant to a held-out query, and the texts of the held-out queries."""
    splits = [collection.splits[name] for name in HELD_OUT if name in collection.splits]
    relevant = {
        document
        for split in splits
        for query in split.queries.ids
        for document, grade in split.qrels.of(query).items()
        if grade >= split.qrels.relevance_level
    }
    rows = collection.corpus.rows(sorted(relevant))
    return frozenset(rows[rows >= 0].tolist()), [text for split in splits for text in split.queries.texts]


def training_pairs(collection: Collection) -> list[Pair]:
    """Training queries, names in words, and sentences, each with the document that it belongs to.

    Returns:
        Pairs in the order of kind ("query", "name", "sentence") and row.
    """
    texts = training_texts(collection)
    return [*query_pairs(collection, texts), *name_pairs(collection, texts), *sentence_pairs(texts)]


def query_pairs(collection: Collection, texts: dict[int, str]) -> Iterator[Pair]:
    """Each query of split "train" with each of its relevant documents."""
    train = collection.split("train")
    for query, text in zip(train.queries.ids, train.queries.texts, strict=True):
        relevant = [doc for doc, grade in train.qrels.of(query).items() if grade >= train.qrels.relevance_level]
        for row in np.sort(collection.corpus.rows(relevant)).tolist():
            if row in texts:
                yield Pair(text, texts[row], row, "query")


def name_pairs(collection: Collection, texts: dict[int, str]) -> Iterator[Pair]:
    """Each document's id, split into words, with the document."""
    ids: list[str] = collection.corpus.ids.to_pylist()
    for row, text in texts.items():
        yield Pair(name_words(ids[row]), text, row, "name")


def sentence_pairs(texts: dict[int, str]) -> Iterator[Pair]:
    """Each sentence of 4 to 40 words with the rest of its document, where at least 8 words remain."""
    for row, text in texts.items():
        parts = SENTENCE_END.split(text)
        for at in range(0, len(parts), 2):
            sentence = " ".join(parts[at].split("\n", 1)[-1].split() if at == 0 else parts[at].split())
            rest = (
                "".join(parts[:at] + parts[at + 1 :]) if at else parts[0].split("\n", 1)[0] + "\n" + "".join(parts[1:])
            )
            if 4 <= len(sentence.split()) <= 40 and ">>>" not in sentence and len(rest.split()) >= 8:
                yield Pair(sentence, rest.strip(), row, "sentence")


def name_words(name: str) -> str:
    """A qualified name as words.

    >>> name_words("json.decoder.JSONDecoder.raw_decode")
    'json decoder JSON Decoder raw decode'
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", spaced))


def by_first_words(phrases: Iterable[str], words: int = 3) -> dict[str, list[str]]:
    """Normalised phrases under their first three words, so that a text is compared with few of them."""
    starts: dict[str, list[str]] = defaultdict(list)
    for phrase in phrases:
        starts[" ".join(phrase.split()[:words])].append(phrase)
    return starts


def states_any(text: str, starts: dict[str, list[str]], words: int = 3) -> bool:
    """Whether a normalised text contains one of the phrases word for word."""
    own = text.split()
    return any(
        contains(text, phrase)
        for start in {" ".join(own[at : at + words]) for at in range(len(own))}
        for phrase in starts.get(start, ())
    )
