"""Pairs packed in any way score what they score alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import CrossEncoder

from mteb_cascade.engine import pairs as engine
from mteb_cascade.engine.pairs import scores_of_pairs
from mteb_cascade.engine.tokens import TokenisedPairs, counted, estimated
from mteb_cascade.errors import InputError

WORDS = ("red", "fox", "blue", "whale", "old stone", "tree", "x?", "")


@pytest.fixture(scope="module")
def network(tiny_cross_encoder: Path) -> CrossEncoder:
    return CrossEncoder(str(tiny_cross_encoder), device="cpu", activation_fn=torch.nn.Identity())


def one_by_one(network: CrossEncoder, pairs: list[tuple[str, str]]) -> np.ndarray:
    return np.array([float(network.predict([pair], show_progress_bar=False)[0]) for pair in pairs])


def drawn(count: int, longest: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng(0)

    def text() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(0, longest)))

    return [(text(), text()) for _ in range(count)]


@pytest.mark.parametrize("batch_size", [1, 2, 32])
def test_logits_are_those_of_each_pair_alone(batch_size: int, network: CrossEncoder) -> None:
    # Some are longer than the 64 tokens that the model reads.
    pairs = drawn(60, 60)
    assert max(len(ids) for ids in network.tokenizer(pairs)["input_ids"]) > 64
    expected = one_by_one(network, pairs)
    found = scores_of_pairs(network, pairs, batch_size, "mine")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert expected.std() > 0.1


def test_pads_stand_on_the_side_that_the_model_reads_them(
    network: CrossEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network.tokenizer, "padding_side", "left")
    pairs = drawn(20, 60)
    found, expected = TokenisedPairs.of(network, pairs), network.preprocess(pairs)
    assert found is not None
    assert expected["attention_mask"][:, 0].min() == 0
    torch.testing.assert_close(found.padded(np.arange(20))["input_ids"], expected["input_ids"])


@settings(max_examples=20)
@given(st.integers(1, 400), st.integers(1, 40), st.integers(3, 50))
def test_any_packing_gives_the_same(network: CrossEncoder, budget: int, count: int, at_once: int) -> None:
    pairs = drawn(count, 12)
    expected = scores_of_pairs(network, pairs, 1, "mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "budget_of", lambda batch_size, device: budget)
        patch.setattr(engine, "PAIRS_AT_ONCE", at_once)
        np.testing.assert_allclose(scores_of_pairs(network, pairs, 32, "mine"), expected, atol=1e-4)


def test_each_pair_is_tokenised_once(network: CrossEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, str]] = []
    preprocess = network.preprocess
    monkeypatch.setattr(
        network, "preprocess", lambda pairs, **options: seen.extend(pairs) or preprocess(pairs, **options)
    )
    pairs = drawn(50, 20)
    scores_of_pairs(network, pairs, 2, "mine")
    assert sorted(seen) == sorted(pairs)


def test_tokens_are_those_that_predict_uses(network: CrossEncoder) -> None:
    pairs = drawn(40, 60)
    tokenised = TokenisedPairs.of(network, pairs)
    assert tokenised is not None
    expected = network.preprocess(pairs)
    found = tokenised.padded(np.arange(40))
    assert set(found) == set(expected)
    for name, values in expected.items():
        if isinstance(values, torch.Tensor):
            torch.testing.assert_close(found[name], values)
    np.testing.assert_array_equal(tokenised.lengths, expected["attention_mask"].sum(1))


def test_a_prompt_of_the_model_stands_before_the_query(tiny_cross_encoder: Path) -> None:
    prompts: dict[str, Any] = {"prompts": {"ask": "old stone "}, "default_prompt_name": "ask"}
    network = CrossEncoder(str(tiny_cross_encoder), device="cpu", activation_fn=torch.nn.Identity(), **prompts)
    pairs = [("red fox", "blue whale"), ("tree", "red")]
    plain = CrossEncoder(str(tiny_cross_encoder), device="cpu", activation_fn=torch.nn.Identity())
    found = scores_of_pairs(network, pairs, 32, "mine")
    np.testing.assert_allclose(found, network.predict(pairs, show_progress_bar=False), atol=1e-5)
    assert np.abs(found - scores_of_pairs(plain, pairs, 32, "mine")).max() > 0.01


def test_a_batch_that_memory_does_not_hold_is_halved(network: CrossEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = drawn(30, 10)
    expected = scores_of_pairs(network, pairs, 32, "mine")
    forward = engine.forwarded
    sizes: list[int] = []

    def small(network: CrossEncoder, pairs: TokenisedPairs, pack: np.ndarray) -> np.ndarray:
        sizes.append(len(pack))
        if len(pack) > 4:
            torch.empty(2**50, dtype=torch.uint8)
        return forward(network, pairs, pack)

    monkeypatch.setattr(engine, "forwarded", small)
    np.testing.assert_allclose(scores_of_pairs(network, pairs, 32, "mine"), expected, atol=1e-4)
    assert sizes[:4] == [30, 15, 7, 3]
    monkeypatch.setattr(engine, "forwarded", lambda *_: torch.empty(2**50, dtype=torch.uint8))
    with pytest.raises(InputError, match="mine: memory does not hold a single text of"):
        scores_of_pairs(network, pairs, 32, "mine")


def test_counted_tokens_are_cut_and_estimates_are_near(network: CrossEncoder) -> None:
    texts = ["red fox", "", "blue whale " * 100]
    found = counted(network, texts)
    assert found is not None
    np.testing.assert_array_equal(found, [len(network.tokenizer(text, truncation=True)["input_ids"]) for text in texts])
    assert found[2] == 64
    assert estimated(["a" * 300, "語" * 300], 200).tolist() == [102, 200]
