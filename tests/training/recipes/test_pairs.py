"""Training text holds nothing that a held-out query or its answer says."""

import pytest

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.near_duplicates import normalised
from mteb_cascade.corpora.pythondocs import contains, load
from mteb_cascade.errors import InputError
from mteb_cascade.training.recipes.pairs import (
    SENTENCE_END,
    STATEMENT_WORDS,
    Pair,
    held_out,
    name_words,
    sentence_pairs,
    training_pairs,
    training_queries,
    training_texts,
)
from mteb_cascade.values.qrels import Qrels


def tiny():
    texts = {
        "m.secret": "m.secret secret()\nThe answer that must never be read by anyone.",
        "m.known": "m.known known(x)\nReturns the known thing.  The answer that must never be read by anyone.",
        "m.tell": "m.tell tell()\nHere we say how to hide the secret thing and more.",
        "m.other": "m.other other()\nCompares two numbers of any size. Returns the larger one of the two.",
    }
    corpus = Corpus.of(texts, texts.values())
    return Collection(
        "tiny",
        corpus,
        {
            "train": Split(Queries(("k",), ("What is known?",)), Qrels({"k": {"m.known": 1}})),
            "test": Split(Queries(("s",), ("How to hide the secret thing",)), Qrels({"s": {"m.secret": 1}})),
        },
    )


def test_held_out_answers_their_sentences_and_documents_that_state_a_query_are_not_read():
    assert training_texts(tiny()) == {
        1: "m.known known(x)\nReturns the known thing.",
        3: "m.other other()\nCompares two numbers of any size. Returns the larger one of the two.",
    }


def test_the_three_kinds_of_pairs():
    pairs = training_pairs(tiny())
    known = "m.known known(x)\nReturns the known thing."
    assert pairs[0] == Pair("What is known?", known, 1, "query")
    assert [pair.query for pair in pairs if pair.kind == "name"] == ["m known", "m other"]
    assert [pair for pair in pairs if pair.kind == "sentence"] == [
        Pair(
            "Compares two numbers of any size.",
            "m.other other()\nReturns the larger one of the two.",
            3,
            "sentence",
        ),
        Pair("Returns the larger one of the two.", "m.other other()\nCompares two numbers of any size.", 3, "sentence"),
    ]


def test_a_sentence_is_not_asked_of_too_little_text():
    assert list(sentence_pairs({0: "m.f f()\nThis is one sentence."})) == []


def test_name_words():
    assert name_words("xml.sax._SAXParser.parse_string2") == "xml sax SAX Parser parse string2"


@pytest.fixture(scope="module")
def pythondocs():
    return load()


def test_no_held_out_answer_of_pythondocs_is_trained_on(pythondocs):
    rows, queries = held_out(pythondocs)
    texts = training_texts(pythondocs)
    assert rows and not rows & set(texts)
    pairs = training_pairs(pythondocs)
    assert {pair.row for pair in pairs} <= set(texts)
    answers = {normalised(text) for text in pythondocs.corpus.texts_at(sorted(rows))}
    asked = {normalised(text) for text in queries}
    assert not (answers | asked) & {normalised(text) for pair in pairs for text in (pair.query, pair.document)}


def test_no_held_out_query_of_pythondocs_stands_in_a_training_text(pythondocs):
    asked = [normalised(text) for text in held_out(pythondocs)[1]]
    read = " | ".join(normalised(text) for text in training_texts(pythondocs).values())
    assert not [query for query in asked if contains(read, query)]


def test_no_held_out_sentence_of_pythondocs_stands_in_a_training_text(pythondocs):
    rows, queries = held_out(pythondocs)
    texts = [*queries, *pythondocs.corpus.texts_at(sorted(rows))]
    said = {normalised(part) for text in texts for part in SENTENCE_END.split(text.partition("\n")[2] or text)}
    said = {statement for statement in said if len(statement.split()) >= STATEMENT_WORDS}
    read = {
        normalised(part)
        for text in training_texts(pythondocs).values()
        for part in SENTENCE_END.split(text.partition("\n")[2] or text)
    }
    assert said and not said & read


def test_no_training_query_states_or_repeats_a_held_out_one(pythondocs):
    _, asked = held_out(pythondocs)
    words = [set(normalised(text).split()) for text in asked]
    texts = [normalised(text) for text, _ in training_queries(pythondocs, training_texts(pythondocs))]
    assert len(texts) > 800
    for text in texts:
        own = set(text.split())
        assert max(len(own & other) / len(own | other) for other in words) < 0.8, text
        assert not any(contains(text, normalised(query)) for query in asked), text


def test_a_collection_with_nothing_to_hold_out_is_refused():
    alone = Collection("alone", tiny().corpus, {"train": tiny().splits["train"]})
    with pytest.raises(InputError, match="has no split but 'train'"):
        held_out(alone)
