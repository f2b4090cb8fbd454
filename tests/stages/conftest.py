"""Small worlds drawn at random: a corpus of few texts many times over under odd ids, and queries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from registered_models import tiny_models
from slow_stage import CALLS
from table_stage import TEXTS, Table

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.funnel import Funnel
from mteb_cascade.stages.funnel_step import FunnelStep
from mteb_cascade.stages.hybrid import Hybrid, Member
from mteb_cascade.stages.late_interaction import LateInteraction
from mteb_cascade.stages.lucene import Lucene
from mteb_cascade.stages.sparse import Sparse
from mteb_cascade.stages.tfidf import TFIDF
from mteb_cascade.values.qrels import Qrels

IDS = ("d2", "d10", "d1", "D3", "é", "e\u0301", "z", "𝒶", "ﬁ", "a", "ß", "~", "0", "ÿ", "\ufffd")


@dataclass(frozen=True)
class World:
    corpus: Corpus
    queries: Queries


@st.composite
def worlds(draw: st.DrawFn) -> World:
    ids = draw(st.lists(st.sampled_from(IDS), min_size=1, max_size=len(IDS), unique=True))
    text = st.sampled_from(TEXTS)
    texts = draw(st.lists(text, min_size=len(ids), max_size=len(ids)))
    asked = draw(st.lists(text, min_size=1, max_size=3))
    queries = Queries(tuple(f"q{row}" for row in range(len(asked))), tuple(asked))
    return World(Corpus.of(ids, texts), queries)


@pytest.fixture(scope="session")
def any_world() -> st.SearchStrategy[World]:
    return worlds()


@pytest.fixture(scope="session")
def stage_of(
    tiny_static: Path,
    tiny_bi_encoder: Path,
    tiny_cross_encoder: Path,
    tiny_late_interaction: Path,
    tiny_sparse: Path,
    tiny_inference_free: Path,
) -> Callable[[str], Stage]:
    """A new stage of this name; hybrids have pools that some corpora fill and others do not."""

    def dense() -> Stage:
        return BiEncoder(model=str(tiny_static))

    def lucene() -> Stage:
        pytest.importorskip("pyserini", reason="pyserini is not installed: pip install 'mteb-cascade[lucene]'")
        return Lucene()

    def hybrid(fusion: str = "linear") -> Stage:
        return Hybrid(Member(BM25(), 1.0), Member(dense(), 0.25), pool=4, fusion=fusion)

    makers: dict[str, Callable[[], Stage]] = {
        "bm25": BM25,
        "tfidf": TFIDF,
        "lucene": lucene,
        "sparse": lambda: Sparse(model=str(tiny_sparse), max_active_dims=2),
        "inference-free": lambda: Sparse(model=str(tiny_inference_free), max_active_dims=20),
        "static": dense,
        "bi-encoder": lambda: BiEncoder(model=str(tiny_bi_encoder)),
        "late-interaction": lambda: LateInteraction(model=str(tiny_late_interaction)),
        "cross-encoder": lambda: CrossEncoder(model=str(tiny_cross_encoder)),
        "table": Table.coarse,
        "hybrid": hybrid,
        **{f"hybrid by {fusion}": partial(hybrid, fusion) for fusion in ("min-max", "z-score", "dbsf", "rrf")},
        "hybrid of three": lambda: Hybrid(BM25(), dense(), Member(Table.coarse(), -0.5), pool=3),
        "funnel": lambda: Funnel(
            dense(),
            FunnelStep(7, codes="hamming", dimensions=5),
            FunnelStep(4, codes="binary"),
            FunnelStep(3, codes="int8", dimensions=12),
        ),
        "cascade of a funnel": lambda: Cascade(
            Funnel(BiEncoder(model=str(tiny_bi_encoder)), FunnelStep(4, codes="int8")), Step(Table.coarse(), 3)
        ),
        "hybrid of a funnel": lambda: Hybrid(
            BM25(), Funnel(dense(), FunnelStep(6, codes="hamming"), FunnelStep(2, codes="float32")), pool=4
        ),
        "cascade": lambda: Cascade(BM25(), Step(Table.coarse(), depth=3)),
        "cascade of three": lambda: Cascade(hybrid(), Step(Table.coarse(), 5, 0.5), Step(dense(), 2, -1.0)),
        "hybrid with sparse": lambda: Hybrid(
            TFIDF(), Sparse(model=str(tiny_inference_free), max_active_dims=20), pool=4
        ),
        "cascade with sparse": lambda: Cascade(TFIDF(), Step(Sparse(model=str(tiny_sparse)), 3, 0.5)),
        "nested cascade": lambda: Cascade(
            Cascade(dense(), Step(Table.coarse(), 4)), Step(Cascade(BM25(), Step(Table.coarse(), 2)), 3, 0.25)
        ),
        "hybrid of cascades": lambda: Hybrid(
            Cascade(BM25(), Step(Table.coarse(), 3)), Cascade(dense(), Step(Table.coarse(), 2)), pool=5
        ),
        "cascade of models": lambda: Cascade(
            BiEncoder(model=str(tiny_bi_encoder)),
            Step(LateInteraction(model=str(tiny_late_interaction)), 6),
            Step(CrossEncoder(model=str(tiny_cross_encoder)), 3, 0.5),
        ),
    }
    return lambda name: makers[name]()


@pytest.fixture(scope="session")
def tiny_collection() -> Collection:
    """Three documents and two judged queries."""
    corpus = Corpus.of(["a", "b", "c"], ["red fox", "blue whale", "red whale"])
    queries = Queries(("q1", "q2"), ("red fox", "whale"))
    return Collection("tiny", corpus, {"test": Split(queries, Qrels({"q1": {"a": 1}, "q2": {"b": 1}}))})


@pytest.fixture(scope="module")
def mteb_registry(
    tiny_bi_encoder: Path,
    tiny_static: Path,
    tiny_sparse: Path,
    tiny_cross_encoder: Path,
    tiny_late_interaction: Path,
) -> Iterator[dict[str, Any]]:
    """mteb's registry with tiny models in it, put back after the tests of a file."""
    folders = {
        "bi_encoder": tiny_bi_encoder,
        "static": tiny_static,
        "sparse": tiny_sparse,
        "cross_encoder": tiny_cross_encoder,
        "late_interaction": tiny_late_interaction,
    }
    with tiny_models(folders) as registry:
        yield registry


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(CALLS, str(tmp_path / "calls"))
    return tmp_path / "cache"


@pytest.fixture
def calls(cache: Path) -> Callable[[], list[list[str]]]:
    """The pairs of each call of the slow stage since it was last asked for them."""

    def taken() -> list[list[str]]:
        file = cache.parent / "calls"
        lines = file.read_text().splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return [line.split("|") for line in lines]

    return taken
