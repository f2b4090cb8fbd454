"""A served index under load on loopback: errors, requests a second, latencies, memory; then killed, and opened again.

    python benchmarks/service.py our-cascade --clients 16 --seconds 60

Every client asks the next test query of PythonDocs as soon as it has an answer, on a connection that it keeps; every
answer is checked against what the same query gave before. At
the end the service is killed (SIGKILL) and its index verified.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np

from mteb_cascade.corpora.load import load
from mteb_cascade.engine.latency import machine
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.store.index.index import Index

COMMAND = Path(sys.executable).with_name("mteb-cascade")
CORPUS = "PythonDocs"


def started(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """The service as its user starts it, and its URL."""
    process = subprocess.Popen(
        [str(COMMAND), "serve", str(folder), "--port", "0"], stdout=subprocess.PIPE, stderr=sys.stderr, text=True
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://\S+", line)
    if not found:
        raise SystemExit(f"the service did not start: {line}")
    return process, found[0]


def memory(process: subprocess.Popen[str]) -> dict[str, float]:
    """MiB that the service holds: all, and what is not a mapped file."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return {name: int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 1024 for name in ("VmRSS", "RssAnon")}  # type: ignore[index]


async def loaded(address: str, texts: list[str], clients: int, seconds: float, k: int, process: Any) -> dict[str, Any]:
    """What many clients saw."""
    spent: list[float] = []
    errors: list[str] = []
    answers: dict[str, list[str]] = {}
    memories: dict[str, dict[str, float]] = {}
    numbers, begun = count(), time.perf_counter()

    async def ask(client: httpx.AsyncClient) -> None:
        while time.perf_counter() - begun < seconds:
            text = texts[next(numbers) % len(texts)]
            asked = time.perf_counter()
            try:
                reply = await client.post("/search", json={"query": text, "k": k})
                found = [one["document_id"] for one in reply.json()["results"]] if reply.is_success else None
            except (httpx.HTTPError, ValueError, KeyError) as error:
                errors.append(f"{type(error).__name__}: {error}")
                continue
            spent.append(time.perf_counter() - asked)
            if found is None:
                errors.append(f"{reply.status_code}: {reply.text[:200]}")
            elif answers.setdefault(text, found) != found:
                errors.append(f"another answer to '{text[:60]}'")

    async def watch() -> None:
        for after in sorted({min(10.0, seconds / 2), seconds / 2, seconds}):
            await asyncio.sleep(max(after - (time.perf_counter() - begun), 0))
            memories[f"{after:g} s"] = memory(process)

    async with httpx.AsyncClient(base_url=address, timeout=60, limits=httpx.Limits(max_connections=clients)) as client:
        await asyncio.gather(watch(), *(ask(client) for _ in range(clients)))
    whole = time.perf_counter() - begun
    p50, p95, p99 = np.percentile(np.array(spent) * 1_000, [50, 95, 99])
    return {
        "clients": clients,
        "seconds": round(whole, 1),
        "requests": len(spent),
        "queries": len(answers),
        "errors": len(errors),
        "first errors": errors[:3],
        "requests/s": round(len(spent) / whole, 1),
        "p50 ms": round(p50, 1),
        "p95 ms": round(p95, 1),
        "p99 ms": round(p99, 1),
        "MiB": {when: {name: round(value) for name, value in one.items()} for when, one in memories.items()},
    }


def main() -> None:
    """Index, serve, load, kill, verify; exit code 1 where a request failed or the index suffered."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default="our-cascade")
    parser.add_argument("--index", type=Path, help="an index of PythonDocs; else one is made")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--queries", type=int, default=100, help="so many of the test queries, asked in turn")
    parser.add_argument("-k", type=int, default=10)
    given = parser.parse_args()
    texts = list(load(CORPUS, "test").split("test").queries.texts)[: given.queries]
    with TemporaryDirectory() as beside:
        folder = given.index or Path(beside) / "index"
        if given.index is None:
            Retriever(given.model, folder).embed_and_store_corpus(CORPUS)
        process, address = started(folder)
        try:
            for text in texts[:20]:
                httpx.post(f"{address}/search", json={"query": text}, timeout=60).raise_for_status()
            figures = asyncio.run(loaded(address, texts, given.clients, given.seconds, given.k, process))
        finally:
            process.kill()
            process.wait()
        documents = Index.open(folder, check_all=True).manifest.documents
        opened = Retriever.open(folder, given.model)
        figures |= {"after kill -9": f"{documents:,} documents, verified", "model": given.model, "machine": machine()}
        whole = documents == len(load(CORPUS, "test").corpus) and len(opened.search(texts[0], 3)) == 3
    print(json.dumps(figures, indent=2))
    raise SystemExit(0 if whole and not figures["errors"] else 1)


if __name__ == "__main__":
    main()
