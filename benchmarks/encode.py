"""Encoding 500 SciFact documents by all-MiniLM-L6-v2: ours against mteb's wrapper and sentence-transformers.

Timed is from texts to vectors, tokenising included; models are loaded and warm, and what dtype "auto" needs once for a
model (its probe, a conversion) is paid before and told apart. Real weights, the same for everyone:

- mteb: `SentenceTransformerEncoderWrapper.encode` of mteb's data loader, as `mteb.evaluate` calls it, batches of 32;
- sentence-transformers: `encode_document`, batches of 32, sorted by length by itself (mteb's wrapper calls this, too);
- ours: `BiEncoder.encode_documents`, in float32 and with our defaults.

float32 vectors of everyone have to agree to 1e-4: of 20 documents before anything is timed, which also warms everyone,
and of all in the end. With our defaults the queries of SciFact's test split with another best document among them are
told, and the mean cosine with float32.

    python benchmarks/encode.py [--size bench] [--documents 500]
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")

import numpy as np
from minilm import beir, weights
from numpy.typing import NDArray
from turns import Row, alternate, parser, write

from mteb_cascade.corpora.beir import load
from mteb_cascade.stages.bi_encoder import BiEncoder

WANTED = 3.0
SIZES = {"small": (32, 2), "bench": (200, 2), "full": (500, 3), "gpu": (5183, 5)}
"""Documents, rounds."""

Vectors = NDArray[np.float32]


def network() -> Any:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(weights()), local_files_only=True)
    model.encode(["warm"])
    return model


def plain_way(texts: list[str]) -> Callable[[], Vectors]:
    model = network()
    return lambda: model.encode_document(texts, batch_size=32, show_progress_bar=False)


def mteb_way(texts: list[str]) -> Callable[[], Vectors]:
    """What `mteb.evaluate` calls for a corpus."""
    from datasets import Dataset
    from mteb._create_dataloaders import create_dataloader
    from mteb.models.sentence_transformer_wrapper import SentenceTransformerEncoderWrapper
    from mteb.types import PromptType

    from mteb_cascade.mteb_plugin.tasks import PythonDocsRetrieval

    metadata, side = PythonDocsRetrieval.metadata, PromptType.document
    model = SentenceTransformerEncoderWrapper(network())
    rows = Dataset.from_dict({"id": list(map(str, range(len(texts)))), "title": [""] * len(texts), "text": texts})
    options = {"task_metadata": metadata, "prompt_type": side}

    def encode() -> Vectors:
        loader = create_dataloader(rows, batch_size=32, **options)
        told = {"batch_size": 32, "show_progress_bar": False}
        return np.asarray(model.encode(loader, hf_split="test", hf_subset="default", **options, **told))

    return encode


def our_way(texts: list[str], **options: Any) -> Callable[[], Vectors]:
    stage = BiEncoder(model=str(weights()), **options)
    stage.encode_documents(texts[:20])
    return lambda: stage.encode_documents(texts)


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--documents", type=int)
    given = options.parse_args()
    count, rounds = SIZES[given.size]
    count = given.documents or count
    collection = load(beir("scifact"))
    # Spread over the collection, in its order.
    rows = np.linspace(0, len(collection.corpus) - 1, count).astype(int)
    texts = collection.corpus.texts_at(rows)
    start = perf_counter()
    stage = BiEncoder(model=str(weights()))
    stage.prepare()
    prepared = perf_counter() - start
    chosen = str(stage.number_format)
    print(f"prepared (probe and conversion where they were not kept) in {prepared:.1f} s: {chosen}")
    makers: dict[str, Callable[[list[str]], Callable[[], Any]]] = {
        "mteb wrapper": mteb_way,
        "ours, float32": partial(our_way, dtype="float32"),
        "ours, our defaults": our_way,
        "sentence-transformers encode": plain_way,
    }
    queries = network().encode_query(list(collection.split("test").queries.texts))
    agree({name: make(texts[:20])() for name, make in makers.items()}, queries)
    taken = alternate({name: make(texts) for name, make in makers.items()}, given.rounds or rounds, warm=0)
    flips, cosine = agree(taken.values, queries)
    work = f"encode {count} SciFact documents"
    taken.show(work, "ours, float32")
    note = f"{chosen}; mean cosine with float32 {cosine:.4f}; {flips:.1%} of best documents are others"
    rows_told = [
        Row(f"{work}, our defaults", "mteb", taken.ratio("mteb wrapper", "ours, our defaults"), WANTED, note=note)
    ]
    plainly = ("mteb wrapper", "sentence-transformers encode")
    rows_told += [Row(f"{work}, float32", name, taken.ratio(name, "ours, float32")) for name in plainly]
    write("encode", given, rows_told, prepared=prepared, chosen=chosen, flips=flips, cosine=cosine, **taken.as_json())


def agree(found: dict[str, Vectors], queries: Vectors) -> tuple[float, float]:
    """Float32 vectors are the same; the share of best documents that our defaults change, and their mean cosine."""
    ours, auto = found["ours, float32"], found["ours, our defaults"]
    for name, vectors in found.items():
        apart = float(np.abs(vectors - ours).max())
        print(f"{name} and ours in float32 differ by {apart:.1e} at most", flush=True)
        if apart > 1e-4 and vectors is not auto:
            raise SystemExit(f"the vectors of {name} are not ours")
    best, other = ((queries @ vectors.T).argmax(axis=1) for vectors in (ours, auto))
    return float(np.mean(best != other)), float((ours * auto).sum(axis=1).mean())


if __name__ == "__main__":
    main()
