"""`mteb-cascade serve` as a user runs it: started, searched, stopped by a signal, refused in one line."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.retriever.service.serving import address, listening, serve

COMMAND = Path(sys.executable).with_name("mteb-cascade")


@pytest.fixture
def index(write_spec: Callable[[str, str], Path], tmp_path: Path) -> Path:
    """An index of a model that needs no weights, in the working folder."""
    write_spec("words", 'kind = "bm25"\nlanguage = "none"\nstop_words = "none"\n')
    Retriever("words", tmp_path / "index").embed_and_store_corpus(Corpus.of(["d1", "d2"], ["red fox", "blue whale"]))
    return tmp_path / "index"


@pytest.fixture
def started(index: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    running: list[subprocess.Popen[str]] = []

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [str(COMMAND), "serve", str(index), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running.append(subprocess.Popen(command, text=True, **pipes))
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def port_of(process: subprocess.Popen[str], host: str) -> int:
    """The port that is told, once the service listens."""
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(rf"words, 2 documents: http://{re.escape(host)}:(\d+) \(Ctrl-C stops\)\n", line)
    assert found, line
    return int(found[1])


def test_started_searched_and_stopped(started: Callable[..., subprocess.Popen[str]]) -> None:
    process = started("--port", "0")
    with httpx.Client(base_url=f"http://127.0.0.1:{port_of(process, '127.0.0.1')}") as client:
        answer = client.get("/search?query=fox").json()
        assert [one["document_id"] for one in answer["results"]] == ["d1"]
        assert client.get("/health", headers={"host": "search.example"}).status_code == 400
        # The connection is kept open, as browsers do.
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=60) == ("stopped\n", "")
    assert process.returncode == 0


def test_everyone_may_search_only_where_that_was_asked_for(started: Callable[..., subprocess.Popen[str]]) -> None:
    process = started("--host", "0.0.0.0", "--port", "0", "--log")
    address = f"http://127.0.0.1:{port_of(process, '0.0.0.0')}/health"
    assert httpx.get(address, headers={"host": "search.example"}).json()["documents"] == 2
    process.send_signal(signal.SIGTERM)
    said, complained = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "stopped\n")
    warning, request = complained.splitlines()
    assert warning == "warning: 0.0.0.0: there is no authentication; everyone who reaches this address can search"
    assert "GET /health" in request


def test_a_taken_port_is_one_line(command: Callable[..., tuple[int, str, str]], index: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = command("serve", str(index), "--port", str(port))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"127.0.0.1:{port}: cannot listen here (Address ")


def test_a_folder_that_is_no_index_is_one_line(index: Path, tmp_path: Path) -> None:
    from mteb_cascade.errors import InputError

    for folder in (tmp_path / "models", tmp_path / "nowhere"):
        with pytest.raises(InputError, match=folder.name):
            serve(folder, port=0, say=print, warn=print)


def test_what_is_missing_is_named_with_the_line_that_installs_it(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mteb_cascade.errors import InputError

    monkeypatch.setitem(sys.modules, "fastapi", None)
    with pytest.raises(InputError, match=r"pip install 'mteb-cascade\[serve\]'"):
        serve(index, port=0, say=print, warn=print)


def test_addresses() -> None:
    from mteb_cascade.errors import InputError

    with listening("localhost", 0) as taken:
        assert address(taken).startswith("http://127.0.0.1:") or address(taken).startswith("http://[::1]:")
    for host in ("no such host", "host.invalid", "\x00"):
        with pytest.raises(InputError, match="no address to listen at"):
            listening(host, 0)
