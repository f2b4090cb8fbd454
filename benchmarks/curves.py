"""All 1,000 rerank depths of MS MARCO dev's shape: `curves` against a loop over pytrec_eval and over ranx.

The loop is what one writes without us: rerank to a depth, make dictionaries, evaluate (depths.py). It runs at ten
depths, spread evenly, and is extrapolated to all; the figures must agree there. Everyone is at their best: of each
query only the ten ranks that the measures look at are made, pytrec_eval's evaluator is built before, and ranx gets
plain dictionaries, its quickest documented way, its functions compiled before. recall@1, MRR@10 and nDCG@10, one
relevant document a query.

    python benchmarks/curves.py [--size bench] [--queries 6980] [--candidates 1000]
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import pytrec_eval
from depths import COUNT, Lists, evenly, means, reranked
from memory import Peak
from numpy.typing import NDArray
from peer import Peer, missing
from turns import Row, Told, alternate, parser, write

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.curves import curves
from mteb_cascade.values.measures import mean
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

NAMES = {"recall@1": "recall_1", "mrr@10": "recip_rank", "ndcg@10": "ndcg_cut_10"}
WANTED = {"pytrec_eval": 200.0, "ranx": 100.0}
SIZES = {"small": (300, 200, 2), "bench": (6980, 1000, 3), "full": (6980, 1000, 3), "gpu": (6980, 1000, 3)}
"""Queries, candidates, rounds."""

RANKS = 10
"""Of each query, that the loops make: the measures look at no more."""


def drawn(queries: int, candidates: int) -> tuple[Run, NDArray[np.float32], Qrels]:
    """A run, a reranker's scores for it, and one answer a query, in the pool of six of seven."""
    rng = np.random.default_rng(0)
    corpus = Corpus.of([f"d{row}" for row in range(100_000)], ["text"] * 100_000)
    docs = ((rng.integers(0, 100_000, (queries, 1)) + np.arange(candidates) * 97) % 100_000).astype(np.int32)
    run = Run.ranked([f"q{row}" for row in range(queries)], corpus, docs, rng.normal(size=docs.shape))
    answers = run.docs[np.arange(queries), rng.integers(0, candidates, queries)]
    answers[::7] = 99_999
    grades = {query: {corpus.id_of(int(doc)): 1} for query, doc in zip(run.query_ids, answers, strict=True)}
    return run, rng.permuted(np.arange(docs.size, dtype=np.float32).reshape(docs.shape), axis=1), Qrels(grades)


def by_pytrec_eval(names: NDArray[Any], scores: NDArray[np.float32], qrels: Qrels) -> Callable[[], Any]:
    """The loop over pytrec_eval, in this process."""
    evaluator = pytrec_eval.RelevanceEvaluator(dict(qrels.grades), {"recall.1", "recip_rank", "ndcg_cut.10"})

    def evaluate(lists: Lists) -> Mapping[str, float]:
        found = evaluator.evaluate(lists)
        values = {name: np.array([one[theirs] for one in found.values()]) for name, theirs in NAMES.items()}
        values["mrr@10"][values["mrr@10"] < 0.1] = 0.0  # recip_rank has no cut-off of its own
        return {name: float(one.mean()) for name, one in values.items()}

    return lambda: means(evaluate, reranked(names, scores, RANKS))


def for_all(call: Callable[[], Any], depths: int) -> Callable[[], Told]:
    """What a loop would take for every depth, from what it takes for ten."""

    def extrapolated() -> Told:
        memory, start = Peak(), perf_counter()
        found = call()
        own = found if isinstance(found, Told) else Told(perf_counter() - start, memory.more, found)
        return Told(own.seconds / COUNT * depths, own.peak, own.value)

    return extrapolated


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--queries", type=int)
    options.add_argument("--candidates", type=int)
    given = options.parse_args()
    queries, candidates, rounds = SIZES[given.size]
    queries, candidates = given.queries or queries, given.candidates or candidates
    run, scores, qrels = drawn(queries, candidates)
    names = np.array(run.corpus.ids.to_pylist(), dtype=object)[run.docs]
    with tempfile.TemporaryDirectory() as place, ExitStack() as open_peers:
        ways: dict[str, Callable[[], Any]] = {"ours": lambda: curves(run, scores, qrels, tuple(NAMES))}
        ways["pytrec_eval"] = for_all(by_pytrec_eval(names, scores, qrels), candidates)
        if Peer.is_there():
            file = Path(place) / "run.npz"
            np.savez(file, names=names.astype(str), scores=scores)
            peer = Peer("with_ranx.py", file=str(file), qrels=dict(qrels.grades), ranks=RANKS)
            ways["ranx"] = for_all(open_peers.enter_context(peer), candidates)
        else:
            missing("ranx")
        agree({name: way() for name, way in ways.items()}, candidates)
        taken = alternate(ways, given.rounds or rounds, warm=0)
    work = f"every depth, {queries:,} x {candidates:,}"
    taken.show(work, "ours")
    note = f"extrapolated from {COUNT} depths"
    rows = [Row(work, name, taken.ratio(name, "ours"), WANTED[name], note=note) for name in list(ways)[1:]]
    write("curves", given, rows, **taken.as_json())


def agree(found: dict[str, Any], depth: int) -> None:
    """The loops' figures are ours, at each of their depths."""
    ours = [[mean(found["ours"][name][:, one - 1]) for name in NAMES] for one in evenly(depth)]
    for name, told in found.items():
        if name == "ours":
            continue
        apart = float(np.abs(np.array(told.value) - np.array(ours)).max())
        print(f"figures of {name} and ours differ by {apart:.1e} at most", flush=True)
        if apart > 1e-6:
            raise SystemExit(f"the figures of {name} are not ours")


if __name__ == "__main__":
    main()
