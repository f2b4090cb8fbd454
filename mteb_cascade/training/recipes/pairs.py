"""Pairs of texts that belong together, made from nothing that a held-out query or its answer says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.near_duplicates import near_duplicates, normalised, word_set
from mteb_cascade.corpora.pythondocs import QUERY_WORDS, by_first_words, states_any
from mteb_cascade.errors import InputError

TRAIN = "train"
"""The split that is read; the queries and relevant documents of every other split are held out."""

STATEMENT_WORDS = 4
"""From this many words on, a sentence that held-out text has too is taken out of training text."""

REST_WORDS = 8
"""Words that must remain of a document when one of its sentences is asked."""

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
        for statement in map(normalised, [text, *sentences(text)])
        if len(statement.split()) >= STATEMENT_WORDS
    }
    starts = by_first_words(map(normalised, queries))
    allowed = {}
    for row, text in enumerate(texts):
        if row not in held_out_rows:
            kept = "".join(part for part in sentences(text) if normalised(part) not in said).strip()
            if kept and not states_any(normalised(kept), starts):
                allowed[row] = kept
    return allowed


def held_out(collection: Collection) -> tuple[frozenset[int], list[str]]:
    """Rows of the documents relevant to a held-out query, and the texts of the held-out queries.

    Raises:
        InputError: The collection has no split but "train", so nothing would be held out.
    """
    splits = [split for name, split in collection.splits.items() if name != TRAIN]
    if not splits:
        raise InputError(
            f"{collection.name} has no split but '{TRAIN}': without held-out queries nothing can be chosen"
        )
    relevant = {
        document
        for split in splits
        for query in split.queries.ids
        for document, grade in split.qrels.of(query).items()
        if grade >= split.qrels.relevance_level
    }
    rows = collection.corpus.rows(sorted(relevant))
    return frozenset(rows[rows >= 0].tolist()), [text for split in splits for text in split.queries.texts]


def training_queries(collection: Collection, texts: dict[int, str]) -> Iterator[tuple[str, list[int]]]:
    """Each training query that may be read, with the rows of its readable answers.

    A query that states a held-out one or nearly repeats it is left out: its answer would tell the other's.
    """
    _, asked = held_out(collection)
    starts = by_first_words(map(normalised, asked))
    train = collection.split(TRAIN)
    words = zip(train.queries.ids, map(word_set, train.queries.texts), strict=True)
    repeated = {query for query, _, _ in near_duplicates(words, dict(enumerate(map(word_set, asked))))}
    level = train.qrels.relevance_level
    for query, text in zip(train.queries.ids, train.queries.texts, strict=True):
        if query not in repeated and not states_any(normalised(text), starts):
            relevant = sorted(document for document, grade in train.qrels.of(query).items() if grade >= level)
            rows = [row for row in collection.corpus.rows(relevant).tolist() if row in texts]
            if rows:
                yield text, sorted(rows)


def training_pairs(collection: Collection) -> list[Pair]:
    """Training queries, names in words, and sentences, each with the document that it belongs to.

    Returns:
        Pairs in the order of kind ("query", "name", "sentence") and row.
    """
    texts = training_texts(collection)
    return [*query_pairs(collection, texts), *name_pairs(collection, texts), *sentence_pairs(texts)]


def query_pairs(collection: Collection, texts: dict[int, str]) -> Iterator[Pair]:
    """Each training query with each of its relevant documents."""
    for text, rows in training_queries(collection, texts):
        for row in rows:
            yield Pair(text, texts[row], row, "query")


def name_pairs(collection: Collection, texts: dict[int, str]) -> Iterator[Pair]:
    """Each document's id, split into words, with the document."""
    ids: list[str] = collection.corpus.ids.to_pylist()
    for row, text in texts.items():
        yield Pair(name_words(ids[row]), text, row, "name")


def sentence_pairs(texts: dict[int, str]) -> Iterator[Pair]:
    """Each sentence that is as long as a query, with the rest of its document."""
    for row, text in texts.items():
        parts = sentences(text)
        for at in range(2, len(parts), 2):
            sentence = " ".join(parts[at].split())
            rest = "".join(parts[:at] + parts[at + 2 :]).strip()
            if len(sentence.split()) in QUERY_WORDS and ">>>" not in sentence and len(rest.split()) >= REST_WORDS:
                yield Pair(sentence, rest, row, "sentence")


def sentences(text: str) -> list[str]:
    r"""A text's heading and sentences at even places, what separates them at odd ones; joined they are the text.

    The first line is a heading where others follow it, and so no part of the first sentence.

    >>> sentences("m.f f()\nDoes this. Does that.")
    ['m.f f()', '\n', 'Does this.', ' ', 'Does that.']
    """
    heading, newline, body = text.partition("\n")
    return [heading, newline, *SENTENCE_END.split(body)] if newline else ["", "", *SENTENCE_END.split(text)]


def name_words(name: str) -> str:
    """A qualified name as words.

    >>> name_words("json.decoder.JSONDecoder.raw_decode")
    'json decoder JSON Decoder raw decode'
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.findall(r"[^\W_]+", spaced))
