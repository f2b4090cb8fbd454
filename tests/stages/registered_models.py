"""Tiny models for mteb's registry, and a task of mteb to run them on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mteb_cascade.stages.mteb import generic_task

WORDS = ("red", "fox", "blue", "whale", "green", "tree", "old", "stone")
BM25S = "mteb/baseline-bm25s"


def drawn_split(instructed: bool = False, candidates: bool = False) -> Any:
    """60 titled documents of few words, some of them twice, and 12 queries."""
    from datasets import Dataset
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData

    rng = random.Random(1)
    texts = [" ".join(rng.choices(WORDS, k=6)) for _ in range(50)]
    texts += texts[:10]
    corpus = [{"id": f"d{row}", "title": rng.choice(WORDS), "text": text} for row, text in enumerate(texts)]
    queries = [{"id": f"q{row}", "text": " ".join(rng.sample(WORDS, 3))} for row in range(12)]
    if instructed:
        queries = [{**query, "instruction": rng.choice(WORDS)} for query in queries]
    return RetrievalSplitData(
        queries=Dataset.from_list(queries),
        corpus=Dataset.from_list(corpus),
        relevant_docs={query["id"]: {f"d{row}": 1 for row in rng.sample(range(60), 3)} for query in queries},
        top_ranked={query["id"]: [f"d{row}" for row in rng.sample(range(60), 20)] for query in queries}
        if candidates
        else None,
    )


def task_of(**split: bool) -> Any:
    """A task of mteb over the drawn split."""
    from mteb.abstasks import AbsTaskRetrieval

    class Drawn(AbsTaskRetrieval):
        metadata = generic_task("Drawn")

        def load_data(self, **_: Any) -> None:
            self.dataset = {"default": {"test": drawn_split(**split)}}
            self.data_loaded = True

    return Drawn()


class ReadsApart:
    """An encoder that, as some of mteb's models, reads titles, bodies, queries and instructions apart."""

    mteb_model_meta: Any = None

    def __init__(self) -> None:
        self.encoded: list[str] = []
        self.heard: list[dict[str, Any]] = []

    def encode(self, inputs: Any, *, prompt_type: Any, **context: Any) -> np.ndarray:
        self.heard.append(context)
        vectors = []
        for batch in inputs:
            if prompt_type.value == "document":
                fields = zip(batch["title"], batch["body"], strict=True)
                self.encoded += batch["id"]
            else:
                fields = zip(batch["query"], batch.get("instruction", batch["query"]), strict=True)
            vectors += [
                [*(float(first.count(word)) for word in WORDS), *(float(second.count(word)) for word in WORDS)]
                for first, second in fields
            ]
        return np.asarray(vectors, np.float16)

    def similarity(self, first: Any, second: Any) -> Any:
        return first @ second.T

    def similarity_pairwise(self, first: Any, second: Any) -> Any:
        return (first * second).sum(-1)


@contextmanager
def tiny_models(folders: dict[str, Path]) -> Iterator[dict[str, Any]]:
    """mteb's registry with tiny models in it, of these folders and `ReadsApart`; put back afterwards."""
    from mteb.models import (
        CrossEncoderWrapper,
        MultiVectorWrapper,
        SentenceTransformerEncoderWrapper,
        SparseEncoderWrapper,
    )
    from mteb.models.model_implementations import MODEL_REGISTRY
    from mteb.models.model_meta import ModelMeta

    def wrapped(wrapper: Any, folder: Path, name: str, revision: str | None = None, **options: Any) -> Any:
        return wrapper(str(folder), **{"device": "cpu", **options})

    makers: dict[str, Any] = {
        "tiny/encoder": partial(wrapped, SentenceTransformerEncoderWrapper, folders["bi_encoder"]),
        "tiny/static": partial(wrapped, SentenceTransformerEncoderWrapper, folders["static"]),
        "tiny/sparse": partial(wrapped, SparseEncoderWrapper, folders["sparse"]),
        "tiny/cross-encoder": partial(wrapped, CrossEncoderWrapper, folders["cross_encoder"]),
        "tiny/late": partial(wrapped, MultiVectorWrapper, folders["late_interaction"]),
        "tiny/apart": lambda name, **_: ReadsApart(),
    }
    before = dict(MODEL_REGISTRY)
    for name, maker in makers.items():
        MODEL_REGISTRY[name] = ModelMeta.create_empty({"name": name, "revision": "r1", "loader": maker})
    try:
        yield MODEL_REGISTRY
    finally:
        MODEL_REGISTRY.clear()
        MODEL_REGISTRY.update(before)
