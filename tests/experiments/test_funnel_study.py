"""The study of a funnel against searches done by hand, on a tiny model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mteb_cascade.corpora import beir
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.funnel import study
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.funnel import Funnel
from mteb_cascade.stages.funnel_step import FunnelStep

WORDS = ["red", "fox", "blue", "whale", "green", "tree", "old", "stone"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A BEIR folder of 56 documents, with queries to choose on and others to confirm on."""
    folder = tmp_path / "data"
    (folder / "qrels").mkdir(parents=True)
    texts = [f"{one} {two} {one}" for one in WORDS for two in WORDS if one != two]
    corpus = [json.dumps({"_id": f"d{row}", "text": text}) for row, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("\n".join(corpus) + "\n")
    queries = [json.dumps({"_id": f"q{row}", "text": text}) for row, text in enumerate(WORDS)]
    (folder / "queries.jsonl").write_text("\n".join(queries) + "\n")
    for name, rows in (("dev", range(5)), ("test", range(5, 8))):
        lines = "".join(f"q{row}\td{row}\t1\n" for row in rows)
        (folder / "qrels" / f"{name}.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    return folder


def kept_by_hand(encoder: BiEncoder, steps: list[dict[str, object]], data: Path, split: str, depth: int) -> float:
    collection = beir.load(data)
    queries = collection.split(split).queries
    funnel = Funnel(encoder, *steps)
    for stage in (funnel, encoder):
        stage.index(collection.corpus)
    pairs = zip(funnel.retrieve(queries, depth).docs, encoder.retrieve(queries, depth).docs, strict=True)
    return float(np.mean([len(set(found) & set(exact)) / depth for found, exact in pairs]))


def test_figures_and_the_proposal(tiny_bi_encoder: Path, data: Path, tmp_path: Path) -> None:
    encoder = BiEncoder(model=str(tiny_bi_encoder))
    found = study(encoder, data, depth=5, goal=0.9, shares=(0.2, 0.6), calls=2, output=tmp_path / "out")
    assert (found["dev"], found["split"], found["dev_queries"], found["documents"]) == ("dev", "test", 5, 56)
    for point in found["points"]:
        assert point["kept"]["top"] == pytest.approx(kept_by_hand(encoder, point["steps"], data, "dev", 5))
    kept = {one["label"]: one["kept"]["top"] for one in found["points"]}
    assert kept["int8 34"] == 1.0 and min(kept.values()) < 0.9  # else the test would say little
    chosen = found["chosen"]
    able = [one["latency"]["p50"] for one in found["points"] if one["kept"]["top"] >= 0.9]
    assert chosen["latency"]["p50"] == min(able)
    confirmed = found["confirmed"]["chosen"]
    assert confirmed["top"] == pytest.approx(kept_by_hand(encoder, chosen["steps"], data, "test", 5))
    assert confirmed["low"] <= confirmed["top"] <= confirmed["high"]
    # 16 dimensions: 64 bytes as float32, 8 bytes of bits, 20 of 8-bit numbers with their scale.
    sizes = {one["family"]: one["bytes"] for one in found["points"]}
    assert sizes["hamming"] == {"vectors": 64_000_000, "codes": 8_000_000}
    assert sizes["int8"] == {"vectors": 64_000_000, "codes": 20_000_000}
    assert sizes["hamming > int8"]["codes"] == 28_000_000
    assert json.loads(Path(found["path"]).read_text())["chosen"] == chosen
    assert found["provenance"]["corpus_digest"] == beir.load(data).corpus.digest


def test_a_funnel_s_own_setting_is_a_point(tiny_bi_encoder: Path, data: Path) -> None:
    encoder = BiEncoder(model=str(tiny_bi_encoder))
    funnel = Funnel(encoder, FunnelStep(codes="hamming", keep=7))
    found = study(funnel, data, depth=5, shares=(0.2,), calls=1, output=None)
    assert found["points"][0]["label"] == "hamming 7" and found["points"][0]["origin"] == "spec"
    assert found["confirmed"]["spec"]["top"] == pytest.approx(
        kept_by_hand(encoder, [{"codes": "hamming", "keep": 7}], data, "test", 5)
    )
    with pytest.raises(InputError, match=r"keeps 7 documents, fewer than the 9 .* --depth 7"):
        study(funnel, data, depth=9, calls=1, output=None)


def test_faiss_is_a_first_step_too(tiny_bi_encoder: Path, data: Path) -> None:
    pytest.importorskip("faiss", reason="the extra faiss is not installed")
    encoder = BiEncoder(model=str(tiny_bi_encoder))
    found = study(encoder, data, depth=5, shares=(0.2,), faiss=["Flat"], calls=1, output=None)
    (point,) = [one for one in found["points"] if one["origin"] == "faiss"]
    assert (point["steps"], point["scanned"]) == ([{"faiss": "Flat", "keep": 12}], None)
    assert point["kept"]["top"] == 1.0
    # faiss keeps the 56 vectors of 16 dimensions once more, and a header.
    assert 64_000_000 < point["bytes"]["codes"] < 80_000_000


def test_where_nothing_keeps_enough_nothing_is_proposed(tiny_bi_encoder: Path, data: Path) -> None:
    encoder = BiEncoder(model=str(tiny_bi_encoder))
    found = study(encoder, data, depth=5, goal=1.0, shares=(0.09,), calls=1, output=None)
    best = max(one["kept"]["top"] for one in found["points"])
    assert (found["chosen"] is None) == (best < 1)
    assert ("chosen" in found["confirmed"]) == (best == 1)


def test_mistakes(tiny_bi_encoder: Path, data: Path, write_spec: Callable[[str, str], Path]) -> None:
    encoder = BiEncoder(model=str(tiny_bi_encoder))
    with pytest.raises(InputError, match="bm25 is a bm25: only a bi-encoder's vectors go through a funnel"):
        study(BM25(), data)
    with pytest.raises(InputError, match=r"depth: expected fewer than the 56 documents of data, got 56"):
        study(encoder, data, depth=56)
    with pytest.raises(InputError, match=r"goal: expected a share .* got 99"):
        study(encoder, data, goal=99)
    with pytest.raises(InputError, match=r"share: expected a share of the corpus between 0 and 1, such as \.02, got 2"):
        study(encoder, data, shares=[2])
    said: list[str] = []
    with pytest.raises(InputError, match="unknown precision 'int4'"):
        study(encoder, data, precision="int4", say=said.append)
    assert not said
    with pytest.raises(InputError, match="calls: expected at least 1, got 0"):
        study(encoder, data, calls=0)
    (data / "qrels" / "dev.tsv").unlink()
    with pytest.raises(InputError, match=r"no development queries for split 'test'; give --dev-fraction \.2"):
        study(encoder, data, depth=5)
