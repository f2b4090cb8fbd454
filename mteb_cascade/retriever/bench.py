"""How fast an index answers, and how well, in the same run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any

from mteb_cascade.engine.latency import Latency
from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.retriever import page_cache
from mteb_cascade.retriever.budget import FACT
from mteb_cascade.retriever.parity import flips, is_reduced
from mteb_cascade.retriever.questions import Questions, questions, run_of
from mteb_cascade.retriever.result import WHOLE, Results
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.latency import K
from mteb_cascade.stages.provenance import record, record_of

LIMIT = 1_000
"""Queries asked unless told otherwise."""

CLIENTS = 4
"""Threads that ask at once unless told otherwise."""

WARM_UP = 5

COLD = 20
"""Queries that are timed after the very first one, of an index that was just opened from the disk."""

COMPARED = 200
"""Queries that are compared with float32 at most."""


@dataclass(frozen=True)
class Asked:
    """Answers to queries, and how long each took.

    Args:
        answers: One a query, in their order.
        seconds: One a query, end to end.
        wall: Seconds from the first question to the last answer.
    """

    answers: list[Results]
    seconds: list[float]
    wall: float

    def latency(self) -> dict[str, Any]:
        """Percentiles, in milliseconds."""
        return Latency.of(self.seconds, len(self.seconds)).as_json()

    def stages(self) -> dict[str, dict[str, Any]]:
        """Percentiles of each stage, by its name."""
        names = dict.fromkeys(name for answer in self.answers for name in answer.milliseconds if name != WHOLE)
        lists = {name: [answer.milliseconds.get(name, 0.0) / 1_000 for answer in self.answers] for name in names}
        return {name: Latency.of(seconds, len(seconds)).as_json() for name, seconds in lists.items()}


def bench(
    index: str | Path,
    *,
    queries: Path | None = None,
    task: str | Path | None = None,
    split: str | None = None,
    limit: int = LIMIT,
    k: int = K,
    clients: int = CLIENTS,
    model: str | Path | Stage | None = None,
    device: str | None = None,
    relevance_level: int | None = None,
    say: Callable[[str], object] = lambda text: None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Ask an index some queries: cold, then warm one at a time, then by several clients at once.

    Args:
        index: Its folder.
        queries: A file of queries; then nothing is known of the right answers.
        task: Instead of it: PythonDocs, a BEIR folder, or a task of mteb, whose documents the index holds.
        split: Of the task; its default split where none is named.
        limit: Queries asked at most, the first ones.
        k: Documents asked for.
        clients: Threads that ask at once; 1 leaves that part out.
        model: What searches, if not the model that the index was made from.
        device: Torch device of stages that have one.
        relevance_level: A grade of at least this is relevant; by default what is known of the task.
        say: Told what is going on.
        progress: Told of the queries asked.

    Returns:
        `cold`, `warm` and `clients`, latencies in milliseconds, with calls; `quality`, measures of the answers;
        `flips`, answers that change in float32; what was asked of which index by which model on which machine, and
        the `headline`: all of it in one line.

    Raises:
        InputError: There is no such index, model, file, task or split, or a number is none that can be meant.
    """
    if clients < 1:
        raise InputError(f"clients: expected at least 1, got {clients}")
    folder = Path(index).expanduser()
    asked = questions(queries, task, split, limit, relevance_level)
    texts = list(asked.queries.texts)
    # A document with the query's own id is taken out of the answers: one more then makes k.
    wanted = k + int(asked.ignores_identical_ids)

    say(f"opening {folder.name} from the disk")
    is_cold = page_cache.dropped(folder)
    start = perf_counter()
    retriever = Retriever.open(folder, model, device=device)
    opened = perf_counter() - start
    asked.absent_from(retriever.snapshot.index.corpus)  # A task that is not the index's is told before it is asked.
    first = one_by_one(retriever, texts[:1], wanted)
    next_ones = one_by_one(retriever, list(islice(cycle(texts), 1, 1 + COLD)), wanted)

    say(f"asking {len(texts):,} queries, one at a time")
    one_by_one(retriever, list(islice(cycle(texts), WARM_UP)), wanted)
    warm = one_by_one(retriever, texts, wanted, progress)
    together = None
    if clients > 1:
        say(f"asking them by {clients} clients at once")
        together = by_clients(retriever, texts, wanted, clients)

    snapshot = retriever.snapshot
    run = run_of(asked.queries, snapshot.index.corpus, [[one.document_id for one in answer] for answer in warm.answers])
    compared = None
    if is_reduced(snapshot.stage, retriever.manifest.precision):
        say("comparing with float32")
        compared = flips(snapshot.stage, asked.queries.first(COMPARED), snapshot.depths, k)
    result = {
        "kind": "bench",
        "model": retriever.label,
        "fingerprint": snapshot.stage.fingerprint,
        "title": asked.title,
        "queries": len(texts),
        "of_queries": asked.total,
        "k": k,
        "index": index_facts(retriever),
        "quality": asked.quality(run, k),
        "cold": {
            "page_cache": page_cache.APPROXIMATION if is_cold else "this system cannot drop files from its page cache",
            "open_seconds": round(opened, 3),
            "first_ms": round(first.seconds[0] * 1_000, 3),
            "next": next_ones.latency(),
        },
        "warm": {"whole": warm.latency(), "stages": warm.stages()},
        "clients": None
        if together is None
        else {"clients": clients, **together.latency(), "queries_per_second": round(len(texts) / together.wall, 2)},
        "depths": list(snapshot.depths),
        "capped": sum(answer.capped for answer in warm.answers),
        "calibration": retriever.manifest.facts.get(FACT),
        "flips": None if compared is None else compared.as_json(),
        "provenance": provenance(snapshot.stage, asked),
    }
    return {**result, "headline": headline(result)}


def one_by_one(retriever: Retriever, texts: Sequence[str], k: int, progress: Progress = silent) -> Asked:
    """Ask each query when the one before is answered."""
    answers, seconds = [], []
    begun = perf_counter()
    for number, text in enumerate(texts):
        progress(number, len(texts), "")
        start = perf_counter()
        answers.append(retriever.search(text, k))
        seconds.append(perf_counter() - start)
    wall = perf_counter() - begun
    progress(len(texts), len(texts), "")
    return Asked(answers, seconds, wall)


def by_clients(retriever: Retriever, texts: Sequence[str], k: int, clients: int) -> Asked:
    """Ask all queries by threads, each of which asks the next one when it has its answer."""

    def ask(text: str) -> tuple[Results, float]:
        start = perf_counter()
        return retriever.search(text, k), perf_counter() - start

    with ThreadPoolExecutor(clients) as threads:
        list(threads.map(ask, islice(cycle(texts), clients)))
        begun = perf_counter()
        found = list(threads.map(ask, texts))
        wall = perf_counter() - begun
    return Asked([answer for answer, _ in found], [seconds for _, seconds in found], wall)


def index_facts(retriever: Retriever) -> dict[str, Any]:
    """What a result says of the index."""
    manifest = retriever.manifest
    return {
        "name": manifest.name,
        "documents": retriever.documents,
        "segments": len(manifest.segments),
        "precision": manifest.precision,
        "bytes": manifest.bytes,
        "bytes_per_document": round(manifest.bytes / max(retriever.documents, 1), 1),
        "source": manifest.facts.get("source"),
    }


def provenance(stage: Stage, asked: Questions) -> dict[str, Any]:
    """Which model on which data, by which command, where and when."""
    if asked.collection is not None:
        return record_of(stage, asked.collection, asked.split)
    return record(stage, {"task": None, "queries_digest": asked.queries.digest})


def headline(result: dict[str, Any]) -> str:
    """Quality and latency in one line."""
    machine, quality = result["provenance"]["hardware"], result["quality"]
    threads = counted(machine["threads"], "thread") if machine["threads"] else counted(machine["cores"], "core")
    best = ""
    if quality is not None:
        scores = quality["scores"]
        best = (
            f"recall@1 {share(scores['recall@1'])} (max {share(quality['highest_recall@1'])}), "
            f"success@1 {share(scores['success@1'])}, "
        )
    return (
        f"{best}p95 {result['warm']['whole']['p95']:,.0f} ms: {result['model']}, {result['title']}, "
        f"{result['queries']:,} queries, {result['index']['documents']:,} documents, batch 1, {threads}, "
        f"{machine['gpu'] or machine['processor']}"
    )


def counted(count: int, what: str) -> str:
    """A number and its noun.

    >>> counted(1, "thread"), counted(2, "thread")
    ('1 thread', '2 threads')
    """
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def share(value: float) -> str:
    """Three digits, without a leading zero.

    >>> share(0.4209), share(1.0)
    ('.421', '1.000')
    """
    return f"{value:.3f}".removeprefix("0")
