"""A model of every kind that an index serves, and a small collection of titled documents with many ties."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.hybrid import Hybrid, Member
from mteb_cascade.stages.late_interaction import LateInteraction
from mteb_cascade.stages.sparse import Sparse
from mteb_cascade.stages.tfidf import TFIDF

WORDS = ("red", "fox", "blue", "whale", "green", "tree", "old", "stone")


@dataclass(frozen=True)
class Drawn:
    """60 documents, ten of them twice under another id, and 12 queries; `file` is their corpus.jsonl."""

    file: Path
    rows: list[dict[str, str]]
    queries: tuple[str, ...]


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Drawn:
    rng = random.Random(7)
    texts = [(rng.choice([*WORDS, ""]), " ".join(rng.choices(WORDS, k=rng.randint(1, 6)))) for _ in range(50)]
    rows = [{"_id": f"d{row}", "title": title, "text": text} for row, (title, text) in enumerate(texts + texts[:10])]
    file = tmp_path_factory.mktemp("drawn") / "corpus.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Drawn(file, rows, tuple(" ".join(rng.sample(WORDS, rng.randint(1, 4))) for _ in range(12)))


KINDS = (
    "bm25",
    "tfidf",
    "static",
    "bi-encoder",
    "sparse",
    "inference-free",
    "late-interaction",
    "cross-encoder",
    "hybrid",
    "hybrid by rrf",
    "cascade",
    "cascade of models",
    "nested cascade",
)


@pytest.fixture(params=KINDS)
def make(
    request: pytest.FixtureRequest,
    tiny_static: Path,
    tiny_bi_encoder: Path,
    tiny_cross_encoder: Path,
    tiny_late_interaction: Path,
    tiny_sparse: Path,
    tiny_inference_free: Path,
) -> Callable[[], Stage]:
    """Makes a new stage of this kind."""

    def dense() -> Stage:
        return BiEncoder(model=str(tiny_static))

    def reranker() -> Stage:
        return CrossEncoder(model=str(tiny_cross_encoder), dtype="float32")

    makers: dict[str, Callable[[], Stage]] = {
        "bm25": BM25,
        "tfidf": TFIDF,
        "static": dense,
        "bi-encoder": lambda: BiEncoder(model=str(tiny_bi_encoder)),
        "sparse": lambda: Sparse(model=str(tiny_sparse)),
        "inference-free": lambda: Sparse(model=str(tiny_inference_free)),
        "late-interaction": lambda: LateInteraction(model=str(tiny_late_interaction)),
        "cross-encoder": reranker,
        "hybrid": lambda: Hybrid(Member(BM25(), 0.5), dense(), pool=20),
        "hybrid by rrf": lambda: Hybrid(BM25(), dense(), TFIDF(), pool=20, fusion="rrf"),
        "cascade": lambda: Cascade(Hybrid(BM25(), dense(), pool=30), Step(reranker(), 20, 0.5)),
        "cascade of models": lambda: Cascade(
            BiEncoder(model=str(tiny_bi_encoder)),
            Step(LateInteraction(model=str(tiny_late_interaction)), 15),
            Step(reranker(), 5, -1.0),
        ),
        "nested cascade": lambda: Cascade(Cascade(BM25(), Step(dense(), 10)), Step(reranker(), 5)),
    }
    return makers[request.param]
