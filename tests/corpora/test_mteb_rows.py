"""What a model reads must be what mteb would have given it."""

from __future__ import annotations

import pytest
from datasets import Dataset
from mteb._create_dataloaders import _retrieval_texts
from mteb.types import PromptType

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.mteb_rows import corpus_of, queries_of

TURNS = [
    [{"role": "user", "content": "Where?"}, {"role": "assistant", "content": "Here."}],
    [{"role": "user", "content": "Why?"}],
]


@pytest.mark.parametrize(
    "columns",
    [
        {"text": [" red fox ", "", "x\n"]},
        {"text": [" red fox ", "", "x\n"], "title": ["", "Whales ", " "]},
        {"text": [" red fox ", "\x1c", "x\n"], "title": ["", "Whales ", "\u3000"], "url": ["u", None, "v"]},
    ],
)
def test_documents(columns: dict) -> None:
    dataset = Dataset.from_dict({"id": ["a", "b", "c"], **columns})
    corpus = corpus_of(dataset)
    assert corpus.ids.to_pylist() == ["a", "b", "c"]
    assert corpus.texts.to_pylist() == list(_retrieval_texts(dataset, PromptType.document))


@pytest.mark.parametrize(
    "columns",
    [
        {"text": [" red fox ", "whale"]},
        {"text": ["red fox", "whale"], "instruction": ["Find foxes.", ""]},
        {"text": ["red fox", "whale"], "instruction": ["Find foxes.", None]},
        {"text": [["Where?", "Here."], ["Why?"]]},
        {"text": TURNS},
        {"text": TURNS, "instruction": ["Answer.", "Explain."]},
        {"text": [["Where?", "Here."], ["Why?"]], "instruction": ["Answer.", "Explain."]},
    ],
    ids=["texts", "instructions", "some instructions", "strings", "turns", "instructed turns", "instructed strings"],
)
@pytest.mark.filterwarnings("ignore:Conversations are a list of strings")
def test_queries(columns: dict) -> None:
    dataset = Dataset.from_dict({"id": ["q", "p"], **columns})
    queries = queries_of(dataset, {"hf_split": "test"})
    assert queries.ids == ("q", "p")
    assert queries.context == {"hf_split": "test"}
    assert list(queries.texts) == list(_retrieval_texts(dataset, PromptType.query))


def test_a_conversation_reads_as_its_turns() -> None:
    dataset = Dataset.from_dict({"id": ["q", "p"], "text": TURNS})
    assert queries_of(dataset).texts == ("user: Where?; assistant: Here.", "user: Why?")


def test_our_own_pass_through() -> None:
    corpus, queries = Corpus.of("a", ["x"]), Queries(("q",), ("x",))
    assert corpus_of(corpus) is corpus
    assert queries_of(queries) is queries


def test_rows_of_a_selection_come_in_its_order() -> None:
    dataset = Dataset.from_dict({"id": ["a", "b", "c"], "text": ["x", "y", "z"]}).select([2, 0])
    corpus = corpus_of(dataset)
    assert (corpus.ids.to_pylist(), corpus.texts.to_pylist()) == (["c", "a"], ["z", "x"])
    assert corpus.source is dataset
