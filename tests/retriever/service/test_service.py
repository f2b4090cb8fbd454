"""The service as a program sees it: answers, refusals in one line, headers, a changing index."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.testclient import TestClient

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.retriever.service.app import LARGEST_BODY, application
from mteb_cascade.retriever.service.headers import digest
from mteb_cascade.retriever.service.messages import LONGEST_QUERY
from mteb_cascade.retriever.service.refreshing import Refreshing
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step

HERE = "http://127.0.0.1:8000"


@pytest.fixture
def refreshing(retriever: Retriever) -> Refreshing:
    return Refreshing(retriever, print, seconds=3600)


@pytest.fixture
def client(retriever: Retriever, refreshing: Refreshing) -> Iterator[TestClient]:
    with TestClient(application(retriever, refreshing), base_url=HERE, raise_server_exceptions=False) as made:
        yield made


def test_an_answer_is_what_the_retriever_finds(client: TestClient, retriever: Retriever) -> None:
    answer = client.post("/search", json={"query": "red fox", "k": 3})
    expected = retriever.search("red fox", 3)
    assert answer.status_code == 200
    assert answer.json()["results"] == [one.as_json() for one in expected]
    assert [one["document_id"] for one in answer.json()["results"][:2]] == ["d1", "d3"]
    first, third = answer.json()["results"][0], answer.json()["results"][2]
    assert [at["stage"] for at in first["stages"]] == ["local/words", "local/vectors"]
    assert first["stages"][0]["rank"] in (1, 2) and third["stages"][0]["rank"] == third["stages"][1]["rank"] == 3
    assert third["stages"][1]["score"] is None, "the second stage looked at two documents only"
    assert set(answer.json()["milliseconds"]) == {"local/words", "local/vectors", "whole"}
    assert answer.json()["depths"] == [2] and answer.json()["capped"] is False
    assert (answer.json()["query"], answer.json()["k"]) == ("red fox", 3)
    addressed = client.get("/search", params={"query": "red fox", "k": 3}).json()
    assert {**addressed, "milliseconds": {}} == {**answer.json(), "milliseconds": {}}
    assert client.post("/search", json={"query": "zebra"}).json()["results"] == []
    assert len(client.get("/search?query=fox&k=1000").json()["results"]) == 3


JSON = {"content-type": "application/json"}
REFUSED = {
    "no JSON": (b'{"query":\n "fox", k}', 400, "the body is not JSON: .* at line 2, column 9"),
    "cut off": (b'{"query": "fox"', 400, "the body is not JSON: .* at line 1, column 16"),
    "no text at all": (b"\xff\xfe", 400, "the body is not JSON"),
    "deep": (b"[" * 60_000, 400, "the body is not JSON"),
    "nothing": (b"", 422, "no JSON body"),
    "a list": (b"[1]", 422, "no JSON object"),
    "no query": (b"{}", 422, "query: missing"),
    "an empty query": (b'{"query": ""}', 422, "query: empty"),
    "a blank query": (b'{"query": " \\n"}', 422, "query: expected a text, got an empty one"),
    "a number": (b'{"query": 5}', 422, "query: .*got 5"),
    "half a character": (b'{"query": "\\ud800"}', 422, "query: .*unicode"),
    "too long": (b'{"query": "%s"}' % (b"x" * (LONGEST_QUERY + 1)), 422, "at most 10,000 characters, got 10,001"),
    "k of 0": (b'{"query": "fox", "k": 0}', 422, "k: .*greater than or equal to 1, got 0"),
    "k of 1001": (b'{"query": "fox", "k": 1001}', 422, "k: .*less than or equal to 1000"),
    "k of true": (b'{"query": "fox", "k": true}', 422, "k: .*got true"),
    "k as text": (b'{"query": "fox", "k": "3"}', 422, 'k: .*got "3"'),
    "unknown": (b'{"query": "fox", "n": 3}', 422, "n: unknown; known are query and k"),
    "much unknown": (b'{"a": 1, "b\\u001b[31m": 1, "c": 1, "d": 1}', 422, "and 2 more"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_one_line(client: TestClient, name: str) -> None:
    body, status, expected = REFUSED[name]
    answer = client.post("/search", content=body, headers=JSON)
    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert re.search(expected, answer.json()["error"]) and answer.json()["error"].isprintable()


@pytest.mark.parametrize("sent", ["at once", "in pieces"])
def test_a_large_body_is_not_read(client: TestClient, sent: str) -> None:
    body = b'{"query": "fox"}'.ljust(LARGEST_BODY)
    assert client.post("/search", content=body, headers=JSON).status_code == 200

    def pieces() -> Iterator[bytes]:
        yield body
        yield b" "

    for path in ("/search", "/health", "/nowhere"):
        answer = client.post(path, content=body + b" " if sent == "at once" else pieces(), headers=JSON)
        assert answer.status_code == 413
        assert answer.json() == {"error": "the body has more than 65,536 bytes; send less"}
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_other_addresses_and_methods(client: TestClient) -> None:
    assert client.get("/search?query=fox&k=many").json()["error"].startswith("k: ")
    assert client.get("/search?query=fox&limit=3").json() == {"error": "limit: unknown; known are query and k"}
    assert client.get("/search").json() == {"error": "query: missing"}
    for path, method, status in (("/nowhere", "GET", 404), ("/../app.py", "GET", 404), ("/search", "DELETE", 405)):
        answer = client.request(method, path)
        assert answer.status_code == status and "\n" not in answer.json()["error"]
    form = client.post("/search", data={"query": "fox"})
    assert form.status_code == 422, "a form of a foreign page cannot search"


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"])
def test_loopback_names_are_served(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "localhost.", ""])
def test_another_host_is_refused(client: TestClient, retriever: Retriever, host: str) -> None:
    for path in ("/", "/search?query=fox", "/health", "/docs"):
        answer = client.get(path, headers={"host": host})
        assert answer.status_code == 400 and "not served here" in answer.json()["error"]
    with TestClient(application(retriever, Refreshing(retriever, print), hosts=["*"]), base_url=HERE) as everyone:
        assert everyone.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_runs_nothing_but_its_own(client: TestClient, path: str) -> None:
    page = client.get(path)
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    scripts = re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL)
    styles = re.findall(r"<style>(.*?)</style>", page.text, re.DOTALL)
    assert [policy.get("script-src")] == ([f"'{digest(scripts[0])}'"] if path == "/" else [None])
    assert len(scripts) == (path == "/") and policy["style-src"] == f"'{digest(styles[0])}'"
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page.text)
    assert not re.search(r"""<[^>]*\s(on\w+|style)=""", page.text)
    for one in (page, client.get("/health"), client.get("/nowhere")):
        assert one.headers["x-content-type-options"] == "nosniff" and one.headers["referrer-policy"] == "no-referrer"
        assert one.headers["content-security-policy"].startswith("default-src 'none'")


def test_the_reference_tells_all_that_the_schema_tells(client: TestClient) -> None:
    schema, page = client.get("/openapi.json").json(), client.get("/docs").text
    for path, methods in schema["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page
    assert {"Question", "Answer", "Health", "Fault"} <= set(schema["components"]["schemas"])
    for name, model in schema["components"]["schemas"].items():
        assert f"<h2>{name}</h2>" in page
        for field in model["properties"]:
            assert f"<code>{field}</code>" in page
    assert "integer from 1 to 1,000" in page and "HTTPValidationError" not in schema["components"]["schemas"]


def test_the_index_may_change_and_be_damaged(cascade: Cascade, index: Path, tmp_path: Path) -> None:
    retriever = Retriever(cascade, copytree(index, tmp_path / "index"))
    said: list[str] = []
    refreshing = Refreshing(retriever, said.append, seconds=3600)
    client = TestClient(application(retriever, refreshing), base_url=HERE)
    before = client.get("/health").json()
    assert before["status"] == "ok" and before["documents"] == 5 and before["model"] == "local/both"
    assert before["fingerprint"] == cascade.fingerprint
    Retriever(cascade, retriever.folder).embed_and_store_corpus(Corpus.of(["n1"], ["a zebra"]))
    assert client.get("/health").json() == before, "nobody has looked yet"
    refreshing.look()
    after = client.get("/health").json()
    assert after["documents"] == 1 and after["generation"] != before["generation"]
    assert [one["document_id"] for one in client.get("/search?query=zebra").json()["results"]] == ["n1"]
    manifest = retriever.folder / "manifest.json"
    whole = manifest.read_bytes()
    manifest.write_bytes(b"{")
    refreshing.look()
    refreshing.look()
    assert len(said) == 1 and "searches go on" in said[0] and "\n" not in said[0]
    assert client.get("/health").json() == {**after, "status": "stale"}
    assert len(client.get("/search?query=zebra").json()["results"]) == 1
    manifest.write_bytes(whole)
    refreshing.look()
    assert client.get("/health").json() == after


class Stubborn(Stage):
    """Scores when it is told to, and fails when it is asked to."""

    kind = "stubborn"
    entered, go_on = threading.Event(), threading.Event()

    def score(self, queries: Any, candidates: Any) -> np.ndarray:
        if "fail" in queries.texts[0]:
            raise RuntimeError("out of order\x1b[31m")
        self.entered.set()
        self.go_on.wait(60)
        return np.zeros(candidates.docs.shape, np.float32)


@pytest.fixture
def stubborn(tmp_path: Path) -> Retriever:
    stage = Cascade(BM25(language="none", stop_words="none"), Step(Stubborn(name="local/stubborn"), depth=5))
    made = Retriever(stage, tmp_path / "other")
    made.embed_and_store_corpus(Corpus.of(["d1", "d2"], ["wait for it", "fail at it"]))
    return made


def test_a_failure_says_little_to_the_client(stubborn: Retriever) -> None:
    app = application(stubborn, Refreshing(stubborn, print))
    with TestClient(app, base_url=HERE, raise_server_exceptions=False) as client:
        answer = client.get("/search?query=fail")
        assert answer.status_code == 500
        assert answer.json() == {"error": "the search failed (RuntimeError); the service's own output tells more"}
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert client.get("/health").status_code == 200


def test_a_running_search_ends_before_the_service_does(stubborn: Retriever, opened: Callable[[Retriever], Any]) -> None:
    service, answers = opened(stubborn), []

    def ask() -> None:
        answers.append(httpx.post(f"{service.address}/search", json={"query": "wait"}, timeout=60))

    asking = threading.Thread(target=ask)
    asking.start()
    assert Stubborn.entered.wait(60)
    service.server.should_exit = True
    while True:
        try:
            httpx.get(f"{service.address}/health", timeout=1)
        except httpx.TransportError:
            break
    assert not answers
    Stubborn.go_on.set()
    asking.join()
    service.thread.join()
    assert answers[0].status_code == 200 and len(answers[0].json()["results"]) == 1
