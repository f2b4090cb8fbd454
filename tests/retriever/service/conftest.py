"""A tiny index, the service over it in this process, and its search page in a real browser."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from served import DOCUMENTS

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step


@pytest.fixture(scope="session")
def cascade(tiny_bi_encoder: Path) -> Cascade:
    """Words first, vectors of the best two then."""
    words = BM25(language="none", stop_words="none", name="local/words")
    return Cascade(words, Step(BiEncoder(model=str(tiny_bi_encoder), name="local/vectors"), depth=2), name="local/both")


@pytest.fixture(scope="session")
def index(cascade: Cascade, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its index; nobody changes it."""
    folder = tmp_path_factory.mktemp("served") / "index"
    Retriever(cascade, folder).embed_and_store_corpus(Corpus.of(DOCUMENTS, DOCUMENTS.values()))
    return folder


@pytest.fixture(scope="session")
def retriever(cascade: Cascade, index: Path) -> Retriever:
    """Searches it."""
    return Retriever(cascade, index).ready()


class Opened:
    """The service behind a socket of this process."""

    def __init__(self, retriever: Retriever) -> None:
        import uvicorn

        from mteb_cascade.retriever.service.app import application
        from mteb_cascade.retriever.service.refreshing import Refreshing

        self.refreshing = Refreshing(retriever, lambda line: None, seconds=0.05)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        settings = uvicorn.Config(application(retriever, self.refreshing), log_level="error")
        self.server = uvicorn.Server(settings)
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.socket]})
        self.thread.start()

    def close(self) -> None:
        """End it as a signal would."""
        self.server.should_exit = True
        self.thread.join()
        self.socket.close()


@pytest.fixture
def opened() -> Iterator[Callable[[Retriever], Opened]]:
    """Opens the service over a retriever."""
    services: list[Opened] = []

    def open_over(retriever: Retriever) -> Opened:
        services.append(Opened(retriever))
        return services[-1]

    yield open_over
    for service in services:
        service.close()
