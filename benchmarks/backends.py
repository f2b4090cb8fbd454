"""What each back-end and number format buys and costs: all-MiniLM-L6-v2 in torch and in OpenVINO, by turns.

As a bi-encoder with its real weights on SciFact's test queries: tokens/s of encoding documents and, over the very
documents that were encoded, nDCG@10, recall@1, the share of queries with another first document than in torch's
float32, and the share of its first ten that are among the first ten still. With fewer documents than SciFact has, those
that are relevant to a query are among them, and quality is above the whole collection's. As a cross-encoder, whose head
was never trained, over the first 20 of BM25: its scores lie closer together than a trained one's, and flip more.

    python benchmarks/backends.py [--size small|bench|full] [--documents 500] [--queries 15] [--formats "openvino int8"]
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
from minilm import beir, random_head, weights
from turns import Ratio, Row, parser, write

from mteb_cascade.corpora.beir import load
from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine.dtypes import OPENVINO, TORCH, Format
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.store.switch import bypassed
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.run import Run

FORMATS = {str(one): one for one in (*TORCH, *OPENVINO)}
PLAIN = str(TORCH[0])

DOCUMENTS = {"small": 500, "bench": 1_000, "full": 5_183, "gpu": 5_183}
QUERIES = {"small": 15, "bench": 100, "full": 300, "gpu": 300}
"""Of the cross-encoder."""

BLOCK = 100
"""Documents that one turn encodes; a turn of the cross-encoder scores the candidates of five queries."""

DEPTH = 20


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--documents", type=int)
    options.add_argument("--queries", type=int)
    options.add_argument("--formats", nargs="+", choices=list(FORMATS)[1:], default=list(FORMATS)[1:])
    given = options.parse_args()
    formats = {name: FORMATS[name] for name in (PLAIN, *given.formats)}
    collection = load(beir("scifact"))
    rows: list[Row] = []
    with bypassed(), tempfile.TemporaryDirectory() as place:
        model = random_head(Path(place) / "minilm-cross-encoder")
        found = {
            "bi-encoder": encoding(collection, formats, given.documents or DOCUMENTS[given.size], rows),
            "cross-encoder": reranking(collection, formats, model, given.queries or QUERIES[given.size], rows),
        }
    write("backends", given, rows, **found)


def prepared(kind: Any, model: Path, formats: Mapping[str, Format]) -> tuple[dict[str, ModelStage], dict[str, float]]:
    """The model in each format, and the seconds that loading it took, conversion included where none was kept."""
    stages, seconds = {}, {}
    for name, one in formats.items():
        start = perf_counter()
        stages[name] = kind(model=str(model), device="cpu", dtype=one.dtype, backend=one.backend)
        stages[name].prepare()
        seconds[name] = perf_counter() - start
    return stages, seconds


def by_turns(
    names: Sequence[str], blocks: Sequence[Any], work: Callable[[str, Any], Any]
) -> tuple[dict[str, list[float]], dict[str, list[Any]]]:
    """{way: seconds of each block} and {way: what it gave}; the order of the ways turns round with each block."""
    seconds: dict[str, list[float]] = {name: [] for name in names}
    values: dict[str, list[Any]] = {name: [] for name in names}
    for number, block in enumerate(blocks):
        for name in list(names)[:: -1 if number % 2 else 1]:
            start = perf_counter()
            values[name].append(work(name, block))
            seconds[name].append(perf_counter() - start)
    return seconds, values


def encoding(collection: Collection, formats: Mapping[str, Format], count: int, rows: list[Row]) -> dict[str, Any]:
    """Speed and quality as a bi-encoder."""
    part = collection.split("test")
    judged = {document for query in part.queries.ids for document in part.qrels.of(query)}
    ids = [collection.corpus.id_of(row) for row in range(len(collection.corpus))]
    chosen = sorted(range(len(ids)), key=lambda row: (ids[row] not in judged, row))[:count]
    corpus = Corpus.of([ids[row] for row in chosen], collection.corpus.texts_at(np.array(chosen)))
    stages, loading = prepared(BiEncoder, weights(), formats)
    texts = list(corpus.texts_at(np.arange(len(corpus))))
    # Shuffled, or the judged ones would all be in the first blocks.
    order = np.random.default_rng(0).permutation(len(texts))
    blocks = [order[start : start + BLOCK] for start in range(0, len(order), BLOCK)]
    for stage in stages.values():
        stage.encode_documents(texts[:20])
    seconds, values = by_turns(
        list(stages), blocks, lambda name, block: stages[name].encode_documents([texts[row] for row in block])
    )
    tokens = tokens_of(stages[PLAIN].network, texts)
    found: dict[str, Any] = {"documents": len(texts), "queries": len(part.queries), "tokens": tokens, "formats": {}}
    first: Run | None = None
    for name, stage in stages.items():
        vectors = np.empty((len(texts), values[name][0].shape[1]), np.float32)
        vectors[order] = np.concatenate(values[name])
        scores = stage.compare(stage.encode_queries(list(part.queries.texts)), vectors)
        docs = np.repeat(np.arange(len(texts), dtype=np.int32)[None], len(scores), axis=0)
        run = Run.ranked(part.queries.ids, corpus, docs, scores).cut(DEPTH)
        first = first or run
        told = evaluate(run, part.qrels, ["ndcg@10", "recall@1"])
        figures = {"ndcg@10": float(mean(told["ndcg@10"])), "recall@1": float(mean(told["recall@1"]))}
        figures |= beside(first, run)
        found["formats"][name] = row_of("bi-encoder", name, seconds, tokens, loading, figures, rows)
    return found


def reranking(
    collection: Collection, formats: Mapping[str, Format], model: Path, count: int, rows: list[Row]
) -> dict[str, Any]:
    """Speed and quality as a cross-encoder."""
    queries = collection.split("test").queries.rows(range(count))
    first_stage = BM25()
    first_stage.index(collection.corpus)
    candidates = first_stage.retrieve(queries, DEPTH)
    stages, loading = prepared(CrossEncoder, model, formats)
    blocks = [range(start, min(start + 5, count)) for start in range(0, count, 5)]

    def work(name: str, block: range) -> np.ndarray:
        asked = Queries(tuple(queries.ids[row] for row in block), tuple(queries.texts[row] for row in block))
        return stages[name].score(asked, candidates.rows(np.array(block)))

    for name in stages:
        work(name, range(1))
    seconds, values = by_turns(list(stages), blocks, work)
    pairs = [
        (query, text)
        for query, docs in zip(queries.texts, candidates.docs, strict=True)
        for text in collection.corpus.texts_at(docs[docs >= 0])
    ]
    tokens = tokens_of(stages[PLAIN].network, pairs)
    found: dict[str, Any] = {"queries": count, "pairs": len(pairs), "tokens": tokens, "formats": {}}
    first: Run | None = None
    for name in stages:
        scores = np.concatenate(values[name])
        run = Run.ranked(queries.ids, collection.corpus, candidates.docs, scores)
        first = first or run
        finite = scores[np.isfinite(scores)]
        figures = beside(first, run) | {"distinct scores": len(np.unique(finite)) / len(finite)}
        found["formats"][name] = row_of("cross-encoder", name, seconds, tokens, loading, figures, rows)
    return found


def beside(first: Run, other: Run) -> dict[str, float]:
    """How another run differs from the first one: first places that are others, and the share of the ten that stays."""
    kept = [len(set(one) & set(two)) / 10 for one, two in zip(first.docs[:, :10], other.docs[:, :10], strict=True)]
    return {"flips": float((first.docs[:, 0] != other.docs[:, 0]).mean()), "kept of 10": float(np.mean(kept))}


def row_of(
    kind: str,
    name: str,
    seconds: Mapping[str, Sequence[float]],
    tokens: int,
    loading: Mapping[str, float],
    figures: dict[str, float],
    rows: list[Row],
) -> dict[str, Any]:
    """Keep a row of the table, print the figures."""
    rate, ratio = tokens / sum(seconds[name]), Ratio.of(seconds[PLAIN], seconds[name])
    told = ", ".join(f"{what} {value:.4f}" for what, value in figures.items())
    print(f"{kind}, {name}: {rate:,.0f} tokens/s, {told}, loaded in {loading[name]:.1f} s", flush=True)
    if name != PLAIN:
        rows.append(Row(f"MiniLM as {kind}, {name}", "torch float32", ratio, note=told))
    return {"tokens/s": rate, "ratio": ratio.median, "seconds": list(seconds[name]), "loading": loading[name]} | figures


def tokens_of(network: Any, texts: Sequence[Any]) -> int:
    """Real tokens of texts or pairs."""
    return sum(
        int(network.preprocess(list(texts[start : start + 100]))["attention_mask"].sum())
        for start in range(0, len(texts), 100)
    )


if __name__ == "__main__":
    main()
