"""How time and memory grow with pairs, corpus, depth and cores, with the exponent of each (1: in proportion).

- pairs: `CrossEncoder.score` of MiniLM-L6's shape, float32, dl20's passages: 100 to 800 pairs;
- corpus: BM25's index and a search of 100 queries, and exact search by vectors of 384 dimensions, 20,000 to 160,000
  documents (distinct ones are repeated with a word of their own);
- depth: `curves` of 2,000 queries, 125 to 1,000 candidates;
- cores: the pairs again, with one thread and with all.

Every size once to warm, then the median of some rounds, sizes by turns. Memory is what the work takes at most over what
there was; it should grow with the result alone, so its growth is told in bytes a pair or a document, not as a power.

    python benchmarks/scaling.py [--size full] [--only pairs corpus]
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from curves import NAMES, drawn
from funnel import Looked
from minilm import forget, random_head, weights
from rerank import work_of
from turns import alternate, exponent, parser, write

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine.latency import usable_cores
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.store.switch import bypassed
from mteb_cascade.values.curves import curves

SIZES = {"small": 2, "bench": 1, "full": 1, "gpu": 1}
"""What every size is divided by."""

ROUNDS = 2
ASKED = 100
WIDTH = 384

Work = Callable[[], Any]


def pairs(sizes: list[int], place: Path) -> dict[int, Work]:
    """So many pairs scored: 50 candidates of ever more queries."""
    model = random_head(place / "minilm-cross-encoder")
    work = work_of("dl20", model, max(sizes) // 50, 50)
    stage = CrossEncoder(model=str(model), dtype="float32")
    stage.prepare()

    def score(count: int) -> None:
        rows = np.arange(count // 50)
        forget(stage)
        with bypassed():
            stage.score(work.queries.rows(rows), work.candidates.rows(rows))

    return {size: partial(score, size) for size in sizes}


def words(sizes: list[int], place: Path) -> dict[int, Work]:
    """BM25's index of so many documents, and a search."""
    found = work_of("dl20", place, ASKED, 1)
    texts = found.collection.corpus.texts.to_pylist()

    def index(size: int) -> None:
        with bypassed():
            stage = BM25()
            stage.index(corpora[size])
            stage.retrieve(found.queries, 100)

    corpora = {size: repeated(texts, size) for size in sizes}
    return {size: partial(index, size) for size in sizes}


def repeated(texts: list[str], size: int) -> Corpus:
    """So many documents, each with a word of its own."""
    every = [f"{texts[row % len(texts)]} n{row}" for row in range(size)]
    return Corpus.of([f"d{row}" for row in range(size)], every)


def vectors(sizes: list[int], place: Path) -> dict[int, Work]:
    """Exact search among so many vectors."""
    random = np.random.default_rng(0)
    documents, asked = (random.standard_normal((rows, WIDTH), np.float32) for rows in (max(sizes), ASKED))
    for rows in (documents, asked):
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    queries = Queries(tuple(f"q{row}" for row in range(ASKED)), tuple(map(str, range(ASKED))))

    def made(size: int) -> Work:
        stage = Looked(model=str(weights()), dtype="float32", documents=documents[:size], queries=asked)
        rows = list(map(str, range(size)))
        stage.index(Corpus.of(rows, rows))
        stage.prepare()
        with bypassed():
            stage.retrieve(queries.first(1), 100)  # its documents are there from here on

        def search() -> None:
            with bypassed():
                stage.retrieve(queries, 100)

        return search

    return {size: made(size) for size in sizes}


def depth(sizes: list[int], place: Path) -> dict[int, Work]:
    """Curves of so many candidates."""
    made = {size: drawn(2_000, size) for size in sizes}
    return {size: partial(curves, *made[size], tuple(NAMES)) for size in sizes}


def cores(sizes: list[int], place: Path) -> dict[int, Work]:
    """The largest number of pairs by ever more threads."""
    import torch

    (work,) = pairs([400], place).values()
    every = torch.get_num_threads()

    def by(threads: int) -> None:
        torch.set_num_threads(threads)
        try:
            work()
        finally:
            torch.set_num_threads(every)

    return {threads: partial(by, threads) for threads in sizes}


GROWING: dict[str, tuple[Callable[[list[int], Path], dict[int, Work]], list[int]]] = {
    "pairs": (pairs, [100, 200, 400, 800]),
    "corpus, BM25": (words, [20_000, 40_000, 80_000, 160_000]),
    "corpus, vectors": (vectors, [20_000, 40_000, 80_000, 160_000]),
    "depth": (depth, [125, 250, 500, 1_000]),
}


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--only", choices=[*GROWING, "cores"], nargs="+", default=[*GROWING, "cores"])
    given = options.parse_args()
    found = {}
    for name in given.only:
        make, sizes = GROWING.get(name, (cores, sorted({1, usable_cores()})))
        if name != "cores":
            sizes = [size // SIZES[given.size] for size in sizes]
        with tempfile.TemporaryDirectory() as place:
            ways = {f"{size:,}": work for size, work in make(sizes, Path(place)).items()}
            taken = alternate(ways, given.rounds or ROUNDS, warm=1)
        taken.show(name, next(iter(ways)))
        seconds = [statistics.median(taken.seconds[one]) for one in ways]
        found[name] = {"sizes": sizes, **taken.as_json()}
        if len(sizes) > 1:
            found[name]["exponent"] = exponent(sizes, seconds)
            peaks = list(taken.peak.values())
            more = (peaks[-1] - peaks[0]) * 2**20 / (sizes[-1] - sizes[0])
            memory = "" if name == "cores" else f", memory by {more:,.0f} bytes each"
            print(f"{name}: time grows with the power {found[name]['exponent']:.2f}{memory}", flush=True)
    write("scaling", given, [], growing=found)


if __name__ == "__main__":
    main()
