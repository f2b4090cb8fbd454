"""BM25: an index of NFCorpus and its 3,237 queries, ours against pyserini (Lucene) and bm25s alone.

Timed is from texts to {query: {document: score}} of the first 100 (1,000 with --k 1000): tokenising, the index, the
search, the ids.

- pyserini: `LuceneIndexer.add_batch_dict`, then `LuceneSearcher.batch_search`, with a thread a core, in an environment
  of its own; Java runs before, and the first turn, which lets it compile, is not timed. Beside it, what it takes
  where nobody reads its hits, each of which is a Java object;
- bm25s: its own `tokenize`, `index` and `retrieve`, with the same stemmer and stop words as ours, numpy back-end;
- ours: `BM25().index` and `retrieve`, ties ranked by id, the store bypassed.

k1 .9, b .4 for everyone. Words are split and stemmed otherwise by Lucene, so its scores are others: the nDCG@10 of each
on the test queries is told, and has to be within .02. bm25s's scores have to be ours to 1e-4.

    python benchmarks/bm25_speed.py [--size bench] [--k 100]
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from minilm import beir
from peer import Peer, missing
from turns import Row, alternate, parser, write

from mteb_cascade.corpora.beir import load
from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.engine.latency import usable_cores
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.store.switch import bypassed

K1, B = 0.9, 0.4
WANTED = 2.0
IN_JAVA = "pyserini, hits left in Java"
APART = 0.02
SIZES = {"small": (300, 2), "bench": (None, 3), "full": (None, 7), "gpu": (None, 7)}
"""Queries, rounds."""

Found = dict[str, dict[str, float]]


def our_way(collection: Collection, queries: Queries, k: int) -> Callable[[], Any]:
    def work() -> Any:
        with bypassed():
            stage = BM25(k1=K1, b=B)
            stage.index(collection.corpus)
            return stage.retrieve(queries, k).as_dict()

    return work


def bm25s_way(collection: Collection, queries: Queries, k: int) -> Callable[[], Any]:
    """Its own pipeline; documents without a shared word, which it lists too, are dropped."""
    import bm25s
    import Stemmer

    texts, ids, asked = collection.corpus.texts.to_pylist(), collection.corpus.ids.to_pylist(), list(queries.texts)

    def work() -> Any:
        stemmer = Stemmer.Stemmer("english")
        index = bm25s.BM25(k1=K1, b=B, method="lucene", backend="numpy")
        options = {"stopwords": "en", "stemmer": stemmer, "show_progress": False}
        index.index(bm25s.tokenize(texts, **options), show_progress=False)
        found = index.retrieve(bm25s.tokenize(asked, **options), k=k, show_progress=False)
        return {
            query: {ids[row]: score for row, score in zip(rows, scores, strict=True) if score > 0}
            for query, rows, scores in zip(queries.ids, found.documents.tolist(), found.scores.tolist(), strict=True)
        }

    return work


def ndcg(lists: Found, split: Split) -> float:
    """nDCG@10 of the split's judged queries."""
    import ir_measures

    measure = ir_measures.parse_measure("nDCG@10")
    judged = {query: dict(grades) for query, grades in split.qrels.grades.items()}
    value: float = ir_measures.calc_aggregate([measure], judged, {query: lists.get(query, {}) for query in judged})[
        measure
    ]
    return value


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--k", type=int, default=100)
    given = options.parse_args()
    count, rounds = SIZES[given.size]
    collection = load(beir("nfcorpus"))
    every = {
        query: text
        for split in collection.splits.values()
        for query, text in zip(split.queries.ids, split.queries.texts, strict=True)
    }
    test = collection.split("test")
    order = dict.fromkeys([*test.queries.ids, *every])
    queries = Queries(
        *(tuple(one) for one in zip(*((query, every[query]) for query in list(order)[:count]), strict=True))
    )
    with ExitStack() as open_peers:
        ways = {"ours": our_way(collection, queries, given.k), "bm25s alone": bm25s_way(collection, queries, given.k)}
        if Peer.is_there():
            corpus = collection.corpus
            texts = zip(corpus.ids.to_pylist(), corpus.texts.to_pylist(), strict=True)
            work = {"k": given.k, "k1": K1, "b": B, "threads": usable_cores()}
            work |= {"documents": list(texts), "queries": list(zip(queries.ids, queries.texts, strict=True))}
            for name, ids in (("pyserini", True), (IN_JAVA, False)):
                ways[name] = open_peers.enter_context(Peer("with_pyserini.py", ids=ids, **work))
        else:
            missing("pyserini")
        quality = agree(
            {name: getattr(lists := way(), "value", lists) for name, way in ways.items() if name != IN_JAVA}, test
        )
        taken = alternate(ways, given.rounds or rounds, warm=1)
    title = f"BM25 index of {len(collection.corpus):,}, {len(queries):,} queries, first {given.k}"
    taken.show(title, "ours")
    rows = [
        Row(title, name, taken.ratio(name, "ours"), WANTED if name == "pyserini" else None)
        for name in ways
        if name != "ours"
    ]
    write("bm25_speed", given, rows, ndcg=quality, threads=usable_cores(), **taken.as_json())


def agree(found: dict[str, Found], split: Split) -> dict[str, float]:
    """nDCG@10 of each; bm25s's scores are ours, and Lucene's figure is near."""
    ours, theirs = found["ours"], found["bm25s alone"]
    both = ((query, doc) for query, scores in theirs.items() for doc in scores if doc in ours[query])
    apart = max(abs(ours[query][doc] - theirs[query][doc]) for query, doc in both)
    quality = {name: ndcg(lists, split) for name, lists in found.items()}
    figures = ", ".join(f"{name} {value:.4f}" for name, value in quality.items())
    print(f"scores of bm25s and ours differ by {apart:.1e} at most; nDCG@10: {figures}")
    if apart > 1e-4:
        raise SystemExit("the scores of bm25s are not ours")
    if max(quality.values()) - min(quality.values()) > APART:
        raise SystemExit(f"a figure is more than {APART} off: not the same work")
    return quality


if __name__ == "__main__":
    main()
