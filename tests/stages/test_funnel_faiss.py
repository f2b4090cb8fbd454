"""faiss as the first step of a funnel."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.documents import documents_of
from mteb_cascade.errors import InputError
from mteb_cascade.retriever.building import build
from mteb_cascade.retriever.changing import add
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.funnel import Funnel
from mteb_cascade.stages.funnel_step import FunnelStep
from mteb_cascade.store.index.index import Index

WORDS = ["red", "fox", "blue", "whale", "green", "tree", "old", "stone", "the", "of"]
CHOSEN = np.random.default_rng(0).choice(WORDS, (300, 6))
CORPUS = Corpus.of([f"d{row}" for row in range(300)], [" ".join(words) for words in CHOSEN])
QUERIES = Queries(("q", "p"), ("red fox tree", "old whale"))


@pytest.fixture
def faiss() -> None:
    if importlib.util.find_spec("faiss") is None:
        pytest.skip("faiss is not installed: pip install 'mteb-cascade[faiss]'")


@pytest.fixture
def encoder(tiny_bi_encoder: Path) -> BiEncoder:
    return BiEncoder(model=str(tiny_bi_encoder))


@pytest.mark.usefixtures("faiss")
@pytest.mark.parametrize(
    ("factory", "parameters", "precision"),
    [("Flat", "", "int8"), ("IVF4,Flat", "nprobe=4", "float32"), ("HNSW8", "efSearch=400", "float32")],
)
def test_it_finds_what_exact_search_finds(
    encoder: BiEncoder, factory: str, parameters: str, precision: str, tmp_path: Path
) -> None:
    """In memory and over an index, where it is asked for more than it looks at."""
    funnel = Funnel(encoder, FunnelStep(120, faiss=factory, parameters=parameters), FunnelStep(60, codes="int8"))
    funnel.index(CORPUS)
    encoder.index(CORPUS)
    exact = encoder.retrieve(QUERIES, 10)
    assert funnel.retrieve(QUERIES, 10).docs.tolist() == exact.docs.tolist()
    assert funnel.retrieve(QUERIES, 300).depth == 120
    assert funnel.retrieve(QUERIES, 90).docs.tolist() == funnel.retrieve(QUERIES, 120).docs[:, :90].tolist()
    build(funnel, documents_of(CORPUS), tmp_path / "index", precision=precision)
    over = funnel.over(Index.open(tmp_path / "index"))
    found = over.retrieve(QUERIES, 10)
    if precision == "float32":
        assert found.docs.tolist() == exact.docs.tolist()
    else:
        np.testing.assert_allclose(found.scores, exact.scores, atol=0.02)
    assert list((tmp_path / "index" / "whole").rglob("faiss.index"))


@pytest.mark.usefixtures("faiss")
def test_what_it_finds_does_not_depend_on_the_segments_of_an_index(tiny_static: Path, tmp_path: Path) -> None:
    funnel = Funnel(BiEncoder(model=str(tiny_static)), FunnelStep(20, faiss="HNSW2", parameters="efSearch=20"))
    funnel.index(CORPUS)
    ids, texts = CORPUS.ids.to_pylist(), CORPUS.texts.to_pylist()
    build(funnel, documents_of(Corpus.of(ids[:100], texts[:100])), tmp_path / "index", segment_rows=30)
    add(tmp_path / "index", documents_of(CORPUS), funnel, segment_rows=70)
    over = funnel.over(Index.open(tmp_path / "index"))
    queries = Queries(tuple(f"q{row}" for row in range(20)), tuple(texts[:20]))
    assert over.retrieve(queries, 20).docs.tolist() == funnel.retrieve(queries, 20).docs.tolist()


@pytest.mark.usefixtures("faiss")
def test_a_full_disk_is_an_error_of_the_disk(encoder: BiEncoder, tmp_path: Path, no_file_above: Any) -> None:
    funnel = Funnel(encoder, FunnelStep(20, faiss="HNSW8"))
    with no_file_above(5_000), pytest.raises(OSError, match="File too large"):
        funnel.build_whole(CORPUS, tmp_path)


@pytest.mark.usefixtures("faiss")
def test_lists_that_end_early(encoder: BiEncoder) -> None:
    """One list of 60 is looked at: queries find fewer than `keep`, each another number; nothing is found twice."""
    funnel = Funnel(
        encoder,
        FunnelStep(250, faiss="IVF60,Flat", parameters="nprobe=1"),
        FunnelStep(6, codes="hamming"),
        FunnelStep(3, codes="int8"),
    )
    funnel.index(CORPUS)
    queries = Queries(tuple(f"q{row}" for row in range(40)), tuple(CORPUS.texts_at(np.arange(40))))
    long = funnel.retrieve(queries, 250)
    assert len(set(long.lengths.tolist())) > 1
    for row, length in enumerate(long.lengths.tolist()):
        assert (long.docs[row, :length] >= 0).all()
        assert (long.docs[row, length:] == -1).all()
        assert np.isfinite(long.scores[row, :length]).all()
    for k in (1, 3, 5, 6, 9):
        assert funnel.retrieve(queries, k).docs.tolist() == long.docs[:, :k].tolist()


@pytest.mark.usefixtures("faiss")
@pytest.mark.parametrize(
    ("step", "said"),
    [
        (FunnelStep(5, faiss="HNWS8"), "faiss refuses 'HNWS8'"),
        (FunnelStep(5, faiss="Flat", parameters="nprob=1"), "faiss refuses 'Flat, nprob=1'"),
        (FunnelStep(5, faiss="IVF400,Flat"), "faiss refuses 'IVF400,Flat'"),
        (FunnelStep(5, faiss="Flat", dimensions=99), "step 1: dimensions: expected at most the 16"),
    ],
)
def test_what_faiss_refuses_is_one_line(encoder: BiEncoder, step: FunnelStep, said: str) -> None:
    funnel = Funnel(encoder, step)
    funnel.index(CORPUS)
    with pytest.raises(InputError, match=said) as error:
        funnel.retrieve(QUERIES, 3)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("faiss")
def test_a_gpu_that_is_not_there(encoder: BiEncoder) -> None:
    import faiss

    if hasattr(faiss, "StandardGpuResources") and faiss.get_num_gpus():
        pytest.skip("there is a GPU here")
    funnel = Funnel(encoder, FunnelStep(5, faiss="Flat", gpu=True))
    funnel.index(CORPUS)
    with pytest.raises(
        InputError, match=r"gpu = true needs a GPU and faiss for it: pip install 'mteb-cascade\[faiss-gpu\]'"
    ):
        funnel.retrieve(QUERIES, 3)
    assert funnel.fingerprint == Funnel(encoder, FunnelStep(5, faiss="Flat")).fingerprint


def test_without_the_extra(encoder: BiEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    funnel = Funnel(encoder, FunnelStep(5, faiss="Flat"))
    funnel.index(CORPUS)
    with pytest.raises(InputError, match=r"needs an extra: pip install 'mteb-cascade\[faiss\]'"):
        funnel.retrieve(QUERIES, 3)
