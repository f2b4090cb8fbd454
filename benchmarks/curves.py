"""All 1,000 rerank depths of MS MARCO dev's shape: `curves` against a loop over pytrec_eval.

The loop is what one writes without us: rerank to a depth, make dictionaries, evaluate; once with all candidates, once
with no more ranks than the measures look at. It is timed at ten depths, spread evenly, and extrapolated to all; the
figures must agree there.

    python benchmarks/curves.py [--queries 6980] [--candidates 1000]
"""

from __future__ import annotations

import argparse
import platform
import resource
import time

import numpy as np
import pytrec_eval

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.curves import curves
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.measures import mean
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

DEPTHS = 10
NAMES = {"recall@1": "recall_1", "mrr@10": "recip_rank", "ndcg@10": "ndcg_cut_10"}


def drawn(queries: int, candidates: int) -> tuple[Run, np.ndarray, Qrels]:
    """A run, a reranker's scores for it, and one answer a query, in the pool of six of seven."""
    rng = np.random.default_rng(0)
    corpus = Corpus.of([f"d{row}" for row in range(100_000)], ["text"] * 100_000)
    docs = ((rng.integers(0, 100_000, (queries, 1)) + np.arange(candidates) * 97) % 100_000).astype(np.int32)
    run = Run.ranked([f"q{row}" for row in range(queries)], corpus, docs, rng.normal(size=docs.shape))
    answers = run.docs[np.arange(queries), rng.integers(0, candidates, queries)]
    answers[::7] = 99_999
    grades = {query: {corpus.id_of(int(doc)): 1} for query, doc in zip(run.query_ids, answers, strict=True)}
    return run, rng.normal(size=docs.shape).astype(np.float32), Qrels(grades)


def peak() -> float:
    """Largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def loop(run: Run, scores: np.ndarray, qrels: Qrels, ours: dict[str, np.ndarray], ranks: int) -> float:
    """Seconds that pytrec_eval would take for all depths, from `DEPTHS` of them."""
    ids = np.array(run.corpus.ids.to_pylist(), dtype=object)
    evaluator = pytrec_eval.RelevanceEvaluator(dict(qrels.grades), set(NAMES.values()))
    started = time.perf_counter()
    for depth in np.linspace(1, run.depth, DEPTHS).astype(int):
        cut = rerank(run, scores, int(depth)).cut(ranks)
        lists = zip(cut.query_ids, ids[cut.docs].tolist(), cut.scores.tolist(), strict=True)
        found = evaluator.evaluate({query: dict(zip(docs, kept, strict=True)) for query, docs, kept in lists})
        for name, theirs in NAMES.items():
            values = np.array([found[query][theirs] for query in run.query_ids])
            # recip_rank has no cut-off of its own.
            if name == "mrr@10":
                values[values < 0.1] = 0.0
            if abs(values.mean() - mean(ours[name][:, depth - 1])) > 1e-6:
                raise SystemExit(f"{name} at depth {depth}: {values.mean()} is not {mean(ours[name][:, depth - 1])}")
    return (time.perf_counter() - started) / DEPTHS * run.depth


def main() -> None:
    """Time both and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--queries", type=int, default=6980)
    parser.add_argument("--candidates", type=int, default=1000)
    options = parser.parse_args()
    run, scores, qrels = drawn(options.queries, options.candidates)

    before, started = peak(), time.perf_counter()
    ours = curves(run, scores, qrels, tuple(NAMES))
    seconds = time.perf_counter() - started
    memory = peak()

    loops = {ranks: loop(run, scores, qrels, ours, ranks) for ranks in (run.depth, 10)}

    print(f"{platform.processor() or platform.machine()}, numpy {np.__version__}")
    print(f"{options.queries:,} queries x {options.candidates:,} candidates, {', '.join(NAMES)}, every depth")
    print(f"curves            {seconds:10.2f} s   peak memory {memory:,.0f} MB, of which {before:,.0f} MB before")
    for ranks, needed in loops.items():
        kept = f"{ranks:,} ranks a query, extrapolated from {DEPTHS} depths"
        print(f"pytrec_eval loop  {needed:10.0f} s   {kept}: {needed / seconds:,.0f} times as long")


if __name__ == "__main__":
    main()
