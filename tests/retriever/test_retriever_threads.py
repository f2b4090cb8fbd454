"""Many threads that search at once get what one thread gets, bit for bit; a change of the index disturbs none."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mteb_cascade.corpora import pythondocs
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.corpora.documents import documents_of
from mteb_cascade.retriever import changing
from mteb_cascade.retriever.result import Result
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.stages.model_stage import ModelStage

THREADS = 8
SEARCHES = int(os.environ.get("MTEB_CASCADE_TEST_SEARCHES", "3"))
"""Of each thread; the whole trial takes 200."""


def answers(retriever: Retriever, queries: tuple[str, ...], first: int) -> list[list[Result]]:
    """Results of so many searches, from this query on."""
    return [list(retriever.search(queries[(first + n) % len(queries)], 7)) for n in range(SEARCHES)]


def assert_threads_agree(retriever: Retriever, queries: tuple[str, ...]) -> None:
    expected = [list(retriever.search(query, 7)) for query in queries]
    assert any(expected)
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda first: answers(retriever, queries, first), range(THREADS)))
    for first, mine in enumerate(found):
        assert mine == [expected[(first + n) % len(queries)] for n in range(SEARCHES)]


def test_every_kind(make: Callable[[], Stage], drawn: Any, tmp_path: Path) -> None:
    retriever = Retriever(make(), tmp_path / "index")
    retriever.embed_and_store_corpus(drawn.file)
    assert_threads_agree(retriever, drawn.queries)


def test_the_demos_cascade(tmp_path: Path) -> None:
    models = Path(__file__).resolve().parents[2] / "models"
    if not (models / "our-reranker" / "model.safetensors").exists():
        pytest.skip("our-cascade has no weights here: mteb-cascade demo trains it")
    if "MTEB_CASCADE_TEST_SEARCHES" not in os.environ:
        pytest.skip("tiny models of every kind prove it above: MTEB_CASCADE_TEST_SEARCHES=200 is the whole trial")
    collection = pythondocs.load()
    some = range(400)
    corpus = Corpus.of(collection.corpus.ids_at(some), collection.corpus.texts_at(some))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTEB_CASCADE_MODELS", str(models))
        retriever = Retriever("our-cascade", tmp_path / "index")
    retriever.embed_and_store_corpus(corpus)
    assert_threads_agree(retriever, collection.split("test").queries.texts[:SEARCHES])


def test_searches_while_documents_come_and_go(drawn: Any, tiny_static: Path, tmp_path: Path) -> None:
    stage = Hybrid(BM25(), BiEncoder(model=str(tiny_static)), pool=30)
    retriever = Retriever(stage, tmp_path / "index")
    retriever.embed_and_store_corpus(drawn.file)
    before = {query: list(retriever.search(query, 5)) for query in drawn.queries}
    more = tmp_path / "more.jsonl"
    more.write_text('{"_id": "new", "text": "red fox blue whale green tree old stone"}\n')
    changing.add(tmp_path / "index", documents_of(more), stage)
    after = Retriever(stage, tmp_path / "index")
    expected = {query: list(after.search(query, 5)) for query in drawn.queries}
    assert before != expected

    def search(first: int) -> bool:
        if not first:
            retriever.refresh()
        found = {query: list(retriever.search(query, 5)) for query in drawn.queries}
        return all(found[query] in (before[query], expected[query]) for query in drawn.queries)

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(search, range(THREADS)))
    assert {query: list(retriever.search(query, 5)) for query in drawn.queries} == expected
    assert not retriever.refresh()


@pytest.mark.parametrize("make", ["cascade of models", "sparse"], indirect=True)
def test_a_network_is_one_threads_at_a_time(make: Callable[[], Stage], drawn: Any, tmp_path: Path) -> None:
    # Its tokenizer keeps how it pads and cuts from one call to the next.
    stage = make()
    retriever = Retriever(stage, tmp_path / "index")
    retriever.embed_and_store_corpus(drawn.file)
    overlaps: list[str] = []
    networks = [part.network for part in stage.walk() if isinstance(part, ModelStage)]
    assert networks
    for network in networks:
        watch(network, overlaps)
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(lambda first: answers(retriever, drawn.queries, first), range(THREADS)))
    assert overlaps == []


def watch(network: Any, overlaps: list[str]) -> None:
    """Note where a network is called while another call of it runs; the first one gives the others time to come."""
    busy, other, forward = threading.Lock(), threading.Event(), network.forward

    def watched(*inputs: Any, **options: Any) -> Any:
        if not busy.acquire(blocking=False):
            overlaps.append(type(network).__name__)
            other.set()
            return forward(*inputs, **options)
        try:
            other.wait(0.2)
            other.set()
            return forward(*inputs, **options)
        finally:
            busy.release()

    network.forward = watched
