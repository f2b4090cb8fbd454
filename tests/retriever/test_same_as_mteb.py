"""Searching an index says what mteb is told of the same documents: every query, the ids, the scores to 1e-4."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from mteb_cascade.corpora import beir
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step

CONTEXT: dict[str, Any] = {"task_metadata": None, "hf_split": "test", "hf_subset": "default", "encode_kwargs": {}}


def through_mteb(stage: Stage, rows: list[dict[str, str]], queries: tuple[str, ...], k: int) -> list[dict[str, float]]:
    """What the stage returns for mteb's rows: {document: score} of each query."""
    columns = {"id": "_id", "title": "title", "text": "text"}
    corpus = Dataset.from_dict({name: [row[key] for row in rows] for name, key in columns.items()})
    asked = Dataset.from_dict({"id": [str(row) for row in range(len(queries))], "text": list(queries)})
    stage.index(corpus, **CONTEXT)
    return list(stage.search(asked, top_k=k, **CONTEXT).values())


def assert_same(found: Any, theirs: dict[str, float]) -> None:
    """The same documents in mteb's order, which is by score, then by id, both descending."""
    in_order = sorted(theirs, key=lambda one: (theirs[one], one), reverse=True)
    scores = [theirs[one] for one in in_order]
    assert [one.score for one in found] == pytest.approx(scores, rel=1e-4, abs=1e-4)
    if [one.document_id for one in found] != in_order:  # a vector depends on its batch by float32's rounding
        assert all(abs(theirs[one.document_id] - score) <= 1e-4 for one, score in zip(found, scores, strict=True))


def test_every_kind(make: Callable[[], Stage], drawn: Any, tmp_path: Path) -> None:
    retriever = Retriever(make(), tmp_path / "index")
    retriever.embed_and_store_corpus(drawn.file)
    stage = make()
    for k in (5, len(drawn.rows)):
        expected = through_mteb(stage, drawn.rows, drawn.queries, k)
        alone = [retriever.search(query, k) for query in drawn.queries]
        for found, theirs in zip([*alone, *retriever.search_many(drawn.queries, k)], expected * 2, strict=True):
            assert_same(found, theirs)


def test_a_slice_of_scifact(shared_data: Path, minilm: Path, tmp_path: Path) -> None:
    collection = beir.load(shared_data / "scifact")
    rows = [
        {"_id": one, "title": "", "text": text}
        for one, text in zip(collection.corpus.ids_at(range(40)), collection.corpus.texts_at(range(40)), strict=True)
    ]
    queries = collection.split("test").queries.texts[:4]

    def stage() -> Stage:
        return Cascade(BM25(), Step(BiEncoder(model=str(minilm), dtype="float32", max_length=32), 30, 0.01))

    retriever = Retriever(stage(), tmp_path / "index")
    retriever.embed_and_store_corpus(Corpus.of([row["_id"] for row in rows], [row["text"] for row in rows]))
    for query, theirs in zip(queries, through_mteb(stage(), rows, queries, 30), strict=True):
        found = retriever.search(query, 30)
        assert [one.document_id for one in found] == list(theirs)
        assert [one.score for one in found] == pytest.approx(list(theirs.values()), rel=1e-4, abs=1e-4)
