"""The texts behind a result: the queries, documents and answers of the collection that was swept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError
from mteb_cascade.report.results import Result


@dataclass(frozen=True, eq=False)
class Texts:
    """What was searched, and by whom.

    Args:
        queries: {id: text}, in the order of the collection.
        corpus: The documents.
        answers: {query id: {id of a relevant document: grade}}.
    """

    queries: Mapping[str, str]
    corpus: Corpus
    answers: Mapping[str, Mapping[str, int]]


def texts_of(result: Result) -> Texts:
    """The collection that a result was made on.

    Raises:
        InputError: It is not here, or it is another one by now.
    """
    from mteb_cascade.corpora.load import load

    collection = load(
        result["source"],
        result["split"],
        subset=None if result["subset"] == "default" else result["subset"],
        relevance_level=int(result["relevance_level"]),
        allow_empty=True,
    )
    split = collection.split(result["split"])
    for what, here, there in (
        ("documents", collection.corpus.digest, result["corpus_digest"]),
        ("queries", split.queries.digest, result["queries_digest"]),
    ):
        if here != there:
            raise InputError(
                f"{result['source']}: its {what} (digest {here[:8]}) are not those that were swept ({there[:8]})"
            )
    level = split.qrels.relevance_level
    answers = {
        query: {doc: grade for doc, grade in split.qrels.of(query).items() if grade >= level}
        for query in split.queries.ids
    }
    return Texts(dict(zip(split.queries.ids, split.queries.texts, strict=True)), collection.corpus, answers)
