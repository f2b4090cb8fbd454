"""Reranking 10 queries x 100 candidates by a cross-encoder of MiniLM-L6's shape: ours against mteb and others.

dl20, SciFact and PythonDocs, BM25's candidates of their first test queries. Timed is from texts to scores, tokenising
included; the model is loaded and warm on every side, no document is known from a turn before, the store is bypassed,
and what dtype "auto" needs once for a model
(its probe, a conversion) is paid before and told apart. Everyone has the same weights (a head that was never trained:
what it ranks is no matter) and torch's threads:

- mteb: `SearchCrossEncoderWrapper(CrossEncoderWrapper(...)).search`, which is what `mteb.evaluate` calls, batches of 32
  in candidate order;
- sentence-transformers: `CrossEncoder.predict` of all pairs at once, batches of 32, sorted by length by itself;
- rerankers: `Reranker(model_type="cross-encoder").rank`, query by query, batches of 32, in an environment of its own;
- ours: `CrossEncoder.score`, in float32 and with our defaults.

float32 scores of everyone have to agree to 1e-4: of 20 candidates of one query before anything is timed, which also
warms everyone, and of all that was timed in the end. With our defaults the queries with another best candidate are
told. sentence-transformers and rerankers stand in one collection's rows, dl20's, and in none of a short run's.

    python benchmarks/rerank.py [--size bench] [--only dl20]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from minilm import DATA, absent, forget, random_head
from numpy.typing import NDArray
from peer import Peer, missing
from turns import Row, alternate, parser, write

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.corpora.load import load
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.store.switch import bypassed
from mteb_cascade.values.run import Run

WANTED = {"dl20": 1.5, "SciFact": 1.3, "PythonDocs": 3.0}
"""Times as fast as mteb in the same dtype."""

WANTED_AUTO = 4.0
OTHERS = "dl20"
"""The collection that sentence-transformers and rerankers score, too."""

SOURCES = {"dl20": DATA / "dl20", "SciFact": DATA / "scifact", "PythonDocs": "PythonDocs"}
SIZES = {"small": (2, 20, 2), "bench": (2, 100, 2), "full": (10, 100, 2), "gpu": (200, 100, 5)}
"""Queries, candidates, rounds."""

Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Work:
    """What is to be scored, and by which weights."""

    name: str
    collection: Collection
    queries: Queries
    candidates: Run
    model: Path

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which of the candidates are some [Q, K]: a list may be shorter."""
        return self.candidates.docs >= 0

    def first(self, queries: int, depth: int) -> Work:
        """So much of it."""
        rows = slice(queries)
        return replace(self, queries=self.queries.first(queries), candidates=self.candidates.rows(rows).cut(depth))


def there(names: Sequence[str]) -> list[str]:
    """Those of the collections that are here; the others are told."""
    found = []
    for name in names:
        source = SOURCES[name]
        if isinstance(source, Path) and not source.is_dir():
            print(absent(source), flush=True)
        else:
            found.append(name)
    return found


def work_of(name: str, model: Path, queries: int, depth: int) -> Work:
    """The first test queries of a collection with BM25's candidates; ends here where there is none."""
    if not there([name]):
        raise SystemExit(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dl20's judgements name documents of the full collection
        collection = load(SOURCES[name])
    asked = collection.split("test").queries.first(queries)
    first = BM25()
    first.index(collection.corpus)
    return Work(name, collection, asked, first.retrieve(asked, depth), model)


def network_of(model: Path) -> Any:
    """The weights as sentence-transformers loads them; logits, as ours are."""
    import torch
    from sentence_transformers import CrossEncoder as Network

    network = Network(str(model), activation_fn=torch.nn.Identity(), local_files_only=True)
    network.predict([("warm", "warm")])
    return network


def mteb_way(work: Work) -> Callable[[], list[float]]:
    """What `mteb.evaluate` calls, its corpus indexed."""
    from datasets import Dataset
    from mteb.models.search_wrappers import SearchCrossEncoderWrapper
    from mteb.models.sentence_transformer_wrapper import CrossEncoderWrapper

    from mteb_cascade.mteb_plugin.tasks import PythonDocsRetrieval

    ids, texts = (one.to_pylist() for one in (work.collection.corpus.ids, work.collection.corpus.texts))
    documents = Dataset.from_dict({"id": ids, "title": [""] * len(ids), "text": texts})
    asked = Dataset.from_dict({"id": list(work.queries.ids), "text": list(work.queries.texts)})
    lists = {query: list(found) for query, found in work.candidates.as_dict().items()}
    search = SearchCrossEncoderWrapper(CrossEncoderWrapper(network_of(work.model)))
    options = {"task_metadata": PythonDocsRetrieval.metadata, "hf_split": "test", "hf_subset": "default"}
    told = {"batch_size": 32, "show_progress_bar": False}
    search.index(documents, encode_kwargs=told, **options)

    def score() -> list[float]:
        found = search.search(asked, top_k=work.candidates.depth, encode_kwargs=told, top_ranked=lists, **options)
        return [found[query][document] for query, listed in lists.items() for document in listed]

    return score


def plain_way(work: Work) -> Callable[[], Scores]:
    """sentence-transformers' own `predict`, called plainly."""
    network = network_of(work.model)
    texts = work.collection.corpus.texts_at(work.candidates.docs[work.found])
    pairs = [(work.queries.texts[row], text) for row, text in zip(np.nonzero(work.found)[0], texts, strict=True)]
    return lambda: network.predict(pairs, batch_size=32, show_progress_bar=False)


def our_way(work: Work, **options: Any) -> Callable[[], Scores]:
    """Our stage, the store bypassed; loaded, and probed where it has to be."""
    stage = CrossEncoder(model=str(work.model), **options)
    stage.prepare()

    def score() -> Scores:
        forget(stage)
        with bypassed():
            return stage.score(work.queries, work.candidates)[work.found]

    few = work.first(1, 20)
    with bypassed():
        stage.score(few.queries, few.candidates)
    return score


def rerankers_way(work: Work) -> Peer:
    """The library rerankers, in its own environment."""
    import torch

    texts = (work.collection.corpus.texts_at(docs[docs >= 0]) for docs in work.candidates.docs)
    lists = [list(one) for one in zip(work.queries.texts, texts, strict=True)]
    return Peer("with_rerankers.py", model=str(work.model), lists=lists, threads=torch.get_num_threads())


def measured(work: Work, rounds: int, others: bool) -> tuple[list[Row], dict[str, Any]]:
    """All ways over one collection."""
    start = perf_counter()
    CrossEncoder(model=str(work.model)).prepare()
    prepared = perf_counter() - start
    print(f"\nprepared (probe and conversion where they were not kept) in {prepared:.1f} s: {chosen(work)}")
    makers: dict[str, Callable[[Work], Callable[[], Any]]] = {
        "mteb CrossEncoderWrapper": mteb_way,
        "ours, float32": partial(our_way, dtype="float32"),
        "ours, our defaults": our_way,
    }
    if others:
        makers["sentence-transformers predict"] = plain_way
    with ExitStack() as open_peers:
        agree(work.first(1, 20), {name: make(work.first(1, 20))() for name, make in makers.items()})
        ways = {name: make(work) for name, make in makers.items()}
        if others and Peer.is_there():
            ways["rerankers"] = open_peers.enter_context(rerankers_way(work))
        taken = alternate(ways, rounds, warm=0)
    flips = agree(work, taken.values)
    title = f"rerank {len(work.queries)} queries x {work.candidates.depth}, {work.name}"
    taken.show(f"{title}: {int(work.found.sum()):,} pairs", "ours, float32")
    same, auto = (taken.ratio("mteb CrossEncoderWrapper", name) for name in ("ours, float32", "ours, our defaults"))
    note = f"{chosen(work)}; {flips:.0%} of first places are others"
    rows = [
        Row(f"{title}, float32", "mteb", same, WANTED[work.name]),
        Row(f"{title}, our defaults", "mteb", auto, WANTED_AUTO, note=note),
    ]
    beside = (name for name in ways if name.startswith(("sentence", "rerankers")))
    rows += [Row(f"{title}, float32", name, taken.ratio(name, "ours, float32")) for name in beside]
    return rows, {"prepared": prepared, "chosen": chosen(work), "flips": flips, **taken.as_json()}


def agree(work: Work, found: dict[str, Any]) -> float:
    """Everyone's float32 scores are the same; the share of first places that our defaults change."""
    plain, auto = (np.asarray(found[name]) for name in ("ours, float32", "ours, our defaults"))
    for name, scores in found.items():
        apart = float(np.abs(np.asarray(scores) - plain).max())
        print(f"{work.name}: {name} and ours in float32 differ by {apart:.1e} at most", flush=True)
        if apart > 1e-4 and name != "ours, our defaults":
            raise SystemExit(f"{work.name}: the scores of {name} are not ours")
    rows = np.nonzero(work.found)[0]
    lists = [rows == row for row in np.unique(rows)]
    return float(np.mean([plain[one].argmax() != auto[one].argmax() for one in lists]))


def chosen(work: Work) -> str:
    """What our defaults compute in."""
    return str(CrossEncoder(model=str(work.model)).number_format)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--only", choices=SOURCES, nargs="+", default=list(SOURCES))
    options.add_argument(
        "--others", action=argparse.BooleanOptionalAction, help="sentence-transformers and rerankers, too"
    )
    given = options.parse_args()
    queries, depth, rounds = SIZES[given.size]
    others = given.size != "bench" if given.others is None else given.others
    if others and not Peer.is_there():
        missing("rerankers")
    rows, more = [], {}
    with tempfile.TemporaryDirectory() as place:
        model = random_head(Path(place) / "minilm-cross-encoder")
        for name in there(given.only):
            work = work_of(name, model, queries, depth)
            found, more[name] = measured(work, given.rounds or rounds, others and name == OTHERS)
            rows += found
    write("rerank", given, rows, collections=more)


if __name__ == "__main__":
    main()
