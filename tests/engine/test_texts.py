"""Texts packed by tokens are encoded as the library encodes them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from sentence_transformers import MultiVectorEncoder, SentenceTransformer, SparseEncoder

from mteb_cascade.engine import texts as engine
from mteb_cascade.errors import InputError
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.late_interaction import LateInteraction
from mteb_cascade.stages.sparse import Sparse

WORDS = ("red", "fox", "blue", "whale", "old stone", "tree", "x?")
RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(0, 40))) for _ in range(50)]
TASKS: list[Literal["query", "document"]] = ["query", "document"]


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "budget_of", lambda *_: 100)


def sizes_of(network: Any, monkeypatch: pytest.MonkeyPatch, limit: int = 10**6) -> list[int]:
    """How many texts each forward pass gets; one of more than `limit` fails as a full memory does."""
    sizes: list[int] = []
    forward = network.forward

    def counted(features: dict[str, Any], **options: Any) -> Any:
        ids = features["input_ids"]
        sizes.append(len(features["offsets"]) if "offsets" in features else len(ids))
        if sizes[-1] > limit:
            torch.empty(2**50, dtype=torch.uint8)
        return forward(features, **options)

    monkeypatch.setattr(network, "forward", counted)
    return sizes


@pytest.mark.parametrize("task", TASKS)
def test_dense(task: str, tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = BiEncoder(model=str(tiny_bi_encoder), query_prompt="old ", device="cpu")
    sizes = sizes_of(stage.network, monkeypatch)
    found = stage.encode_queries(TEXTS) if task == "query" else stage.encode_documents(TEXTS)
    assert len(sizes) > 5 and sum(sizes) == len(TEXTS)
    plain = SentenceTransformer(str(tiny_bi_encoder), device="cpu")
    texts = [("old " if task == "query" else "") + text for text in TEXTS]
    np.testing.assert_allclose(found, plain.encode(texts, normalize_embeddings=True), atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_prompts_pooling_and_dimensions_are_the_model_s_own(
    task: str, tiny_bi_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = {"query": "old ", "passage": "blue tree "}
    plain = SentenceTransformer(str(tiny_bi_encoder), device="cpu", prompts=prompts, truncate_dim=5)
    plain.set_pooling_include_prompt(False)
    plain.similarity_fn_name = "dot"
    plain.save(str(tmp_path))
    stage = BiEncoder(model=str(tmp_path), device="cpu")
    assert stage.network.truncate_dim == 5
    texts = [*TEXTS, "red fox " * 25_000, "", "🐳" * 50, "x" * 200_000]
    expected = plain.encode_query(texts) if task == "query" else plain.encode_document(texts)
    encode = stage.encode_queries if task == "query" else stage.encode_documents
    # Each text is tokenised once.
    seen: list[str] = []
    preprocess = stage.network.preprocess
    monkeypatch.setattr(
        stage.network, "preprocess", lambda texts, **options: seen.extend(texts) or preprocess(texts, **options)
    )
    np.testing.assert_allclose(encode(texts), expected, atol=1e-5)
    assert len(seen) == len(texts) and max(map(len, seen)) == 200_000
    assert sorted(map(len, seen))[-2] < 2_000  # Of the long line with spaces the beginning is enough.
    assert expected.shape == (len(texts), 5)


@pytest.mark.parametrize("task", TASKS)
def test_sparse_with_few_dimensions(task: str, tiny_sparse: Path) -> None:
    stage = Sparse(model=str(tiny_sparse), device="cpu", max_active_dims=3)
    plain = SparseEncoder(str(tiny_sparse), device="cpu", max_active_dims=3)
    found = stage.encode_queries(TEXTS) if task == "query" else stage.encode_documents(TEXTS)
    expected = plain.encode_query(TEXTS) if task == "query" else plain.encode_document(TEXTS)
    np.testing.assert_allclose(found.toarray(), expected.to_dense().numpy(), atol=1e-5)
    assert found.nnz and (found.getnnz(axis=1) <= 3).all()


@pytest.mark.parametrize("task", TASKS)
def test_sparse_by_both_ways_of_a_router(task: str, tiny_inference_free: Path) -> None:
    stage = Sparse(model=str(tiny_inference_free), device="cpu")
    plain = SparseEncoder(str(tiny_inference_free), device="cpu")
    found = stage.encode_queries(TEXTS) if task == "query" else stage.encode_documents(TEXTS)
    expected = plain.encode_query(TEXTS) if task == "query" else plain.encode_document(TEXTS)
    np.testing.assert_allclose(found.toarray(), expected.to_dense().numpy(), atol=1e-5)
    assert found.nnz


@pytest.mark.parametrize("task", TASKS)
def test_late_interaction(task: str, tiny_late_interaction: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = LateInteraction(model=str(tiny_late_interaction), device="cpu")
    sizes = sizes_of(stage.network, monkeypatch)
    found = stage.encode_queries(TEXTS) if task == "query" else stage.encode_documents(TEXTS)
    assert len(sizes) > 3 and sum(sizes) == len(TEXTS)
    plain = MultiVectorEncoder(str(tiny_late_interaction), device="cpu")
    expected: Sequence[Any] = plain.encode_query(TEXTS) if task == "query" else plain.encode_document(TEXTS)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_a_table_of_vectors_gets_all_texts_at_once(tiny_static: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = BiEncoder(model=str(tiny_static), device="cpu", batch_size=50)
    sizes = sizes_of(stage.network, monkeypatch)
    found = stage.encode_documents(TEXTS)
    assert sizes == [50]
    np.testing.assert_allclose(found, SentenceTransformer(str(tiny_static), device="cpu").encode(TEXTS), atol=1e-5)


def test_one_at_a_time(tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    stage = BiEncoder(model=str(tiny_bi_encoder), device="cpu", batch_size=1)
    sizes = sizes_of(stage.network, monkeypatch)
    stage.encode_documents(TEXTS[:4])
    assert sizes == [1, 1, 1, 1]


def test_a_batch_that_memory_does_not_hold_is_halved(tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = BiEncoder(model=str(tiny_bi_encoder), device="cpu")
    expected = stage.encode_documents(["red fox"] * 16)
    sizes = sizes_of(stage.network, monkeypatch, limit=3)
    np.testing.assert_allclose(stage.encode_documents(["red fox"] * 16), expected, atol=1e-5)
    assert sizes == [16, 8, 4, *[2] * 8]
    sizes_of(stage.network, monkeypatch, limit=0)
    with pytest.raises(InputError, match=r"memory does not hold a single text of 5 tokens\. Set max_length lower"):
        stage.encode_documents(["red fox", "red fox x"])


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_lengths_are_counted_on_a_cpu_and_estimated_elsewhere(
    device: str, tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = SentenceTransformer(str(tiny_bi_encoder), device="cpu")
    if device != "cpu":
        monkeypatch.setattr(type(network), "device", property(lambda self: torch.device(device)))
    # By hand: two words between [CLS] and [SEP]; a long text is cut at 64; 30 letters are 30 bytes, or 30 pieces.
    assert engine.lengths(network, ["red fox", "red " * 200], "document").tolist() == [4, 64]
    assert engine.lengths(network, ["a", "x" * 30], "document")[1] == (32 if device == "cpu" else 12)
