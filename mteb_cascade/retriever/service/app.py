"""The service: `/search` and `/health` for programs, a search page and a description of both for people."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any

from anyio import to_thread
from fastapi import FastAPI, Query, Request
from fastapi.responses import HTMLResponse

from mteb_cascade.engine.latency import usable_cores
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.retriever.service import pages
from mteb_cascade.retriever.service.faults import answer_faults
from mteb_cascade.retriever.service.guard import Guard
from mteb_cascade.retriever.service.headers import SafeHeaders
from mteb_cascade.retriever.service.messages import AddressedQuestion, Answer, Fault, Health, Question
from mteb_cascade.retriever.service.refreshing import Refreshing

LARGEST_BODY = 64 * 1024
"""Bytes of a request's body."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
"""Names by which a program on this machine asks."""

DESCRIPTION = "Searches one index; every result says where each stage ranked it."

REFUSALS: dict[int | str, dict[str, Any]] = {
    400: {"model": Fault, "description": "The body is not JSON."},
    413: {"model": Fault, "description": "The body is too large."},
    422: {"model": Fault, "description": "Not what was expected."},
}


def application(retriever: Retriever, refreshing: Refreshing, *, hosts: Sequence[str] = LOOPBACK_NAMES) -> SafeHeaders:
    """The service over an open index.

    Args:
        retriever: What searches; its `search` may run in several threads.
        refreshing: Started and stopped with the app.
        hosts: Names that the Host header of a request may give, without ports; `*` stands for all.

    Returns:
        An ASGI app.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        # More searches at once than cores all end later, and each thread holds memory: the others wait their turn.
        to_thread.current_default_thread_limiter().total_tokens = usable_cores()
        refreshing.start()
        yield
        refreshing.stop()

    app = FastAPI(
        title=f"mteb-cascade: {retriever.label}",
        description=DESCRIPTION,
        version=pages.version(),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guard, hosts=hosts, largest=LARGEST_BODY)
    answer_faults(app)

    @app.get("/search", responses={422: REFUSALS[422]}, summary="Search, the query in the address")
    def search_address(question: Annotated[AddressedQuestion, Query()]) -> Answer:
        return Answer.of(question, retriever.search(question.query, question.k))

    @app.post("/search", responses=REFUSALS, summary="Search, the query in the body")
    def search(question: Question) -> Answer:
        return Answer.of(question, retriever.search(question.query, question.k))

    @app.get("/health", summary="Whether the service works, and over what")
    async def health() -> Health:
        now = refreshing.searched
        return Health(
            status="stale" if refreshing.problem else "ok",
            model=now.model,
            fingerprint=now.fingerprint,
            documents=now.documents,
            generation=now.generation,
        )

    @app.get("/", include_in_schema=False)
    async def search_page() -> HTMLResponse:
        page = pages.search()
        return HTMLResponse(page.text, headers={"content-security-policy": page.policy})

    @app.get("/docs", include_in_schema=False)
    async def reference(request: Request) -> HTMLResponse:
        page = pages.reference(app.openapi(), str(request.base_url))
        return HTMLResponse(page.text, headers={"content-security-policy": page.policy})

    # Outside all else, so that an answer to a failure has the headers, too.
    return SafeHeaders(app)
