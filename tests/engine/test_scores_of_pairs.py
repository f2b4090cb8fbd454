"""Pairs packed in any way score what they score alone."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import CrossEncoder

from mteb_cascade.engine import chunks
from mteb_cascade.engine import pair_template as templates
from mteb_cascade.engine import pairs as engine
from mteb_cascade.engine.chunks import Tokens
from mteb_cascade.engine.text_pairs import TextPairs
from mteb_cascade.engine.tokens import Tokenised, counted, estimated
from mteb_cascade.errors import InputError

WORDS = ("red", "fox", "blue", "whale", "old stone", "tree", "x?", "")


@pytest.fixture(scope="module")
def network(tiny_cross_encoder: Path) -> CrossEncoder:
    return CrossEncoder(str(tiny_cross_encoder), device="cpu", activation_fn=torch.nn.Identity())


def one_by_one(network: CrossEncoder, pairs: list[tuple[str, str]]) -> np.ndarray:
    """The slow reference: each pair alone, by the library's own way."""
    return np.array([float(network.predict([pair], show_progress_bar=False)[0]) for pair in pairs])


def scores_of_pairs(
    network: CrossEncoder, pairs: list[tuple[str, str]], batch_size: int | None, what: str = "mine"
) -> np.ndarray:
    return engine.scores_of_pairs(network, TextPairs.of(pairs), batch_size, what)


def drawn(count: int, longest: int) -> list[tuple[str, str]]:
    rng = np.random.default_rng(0)

    def text() -> str:
        return " ".join(rng.choice(WORDS, rng.integers(0, longest)))

    return [(text(), text()) for _ in range(count)]


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("batch_size", [1, 2, None])
def test_logits_are_those_of_each_pair_alone(
    batch_size: int, joined: bool, network: CrossEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not joined:
        monkeypatch.setattr(engine, "template_of", lambda network: None)
    # Some are longer than the 64 tokens that the model reads.
    pairs = drawn(60, 60)
    assert max(len(ids) for ids in network.tokenizer(pairs)["input_ids"]) > 64
    expected = one_by_one(network, pairs)
    found = scores_of_pairs(network, pairs, batch_size)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert expected.std() > 0.1


@settings(max_examples=20)
@given(st.integers(1, 400), st.permutations(range(40)), st.integers(3, 50), st.booleans(), st.integers(1, 99))
def test_any_packing_order_and_place_of_tokenising_give_the_same(
    network: CrossEncoder, budget: int, order: list[int], at_once: int, background: bool, least: int
) -> None:
    pairs = drawn(40, 12)
    expected = scores_of_pairs(network, pairs, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "budget_of", lambda *_: budget)
        patch.setattr(chunks, "AT_ONCE", at_once)
        patch.setattr(chunks, "AT_ONCE_AHEAD", at_once)
        patch.setattr(chunks, "NOT_AHEAD", () if background else ("cpu",))
        patch.setattr(chunks, "LEAST", {"cpu": least})
        found = scores_of_pairs(network, [pairs[place] for place in order], 32)
    np.testing.assert_allclose(found, expected[order], atol=1e-4)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_a_text_is_tokenised_once_for_all_its_pairs(network: CrossEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "_known", type(templates._known)())
    seen: list[str] = []
    ids = templates.PairTemplate.ids
    template = templates.template_of(network)
    assert template is not None
    monkeypatch.setattr(
        templates.PairTemplate, "ids", lambda self, texts, *rest: seen.extend(texts) or ids(self, texts, *rest)
    )
    queries, documents = ["red fox", "whale"], ["blue", "old stone", "tree red"]
    pairs = [(query, document) for query in queries for document in documents]
    found = scores_of_pairs(network, pairs, 2)
    assert sorted(seen) == sorted([*queries, *documents])
    # Documents are kept for the next query.
    again = scores_of_pairs(network, [("tree", document) for document in documents], 2)
    assert sorted(seen) == sorted([*queries, *documents, "tree"])
    np.testing.assert_allclose(found, one_by_one(network, pairs), atol=1e-4)
    np.testing.assert_allclose(again, one_by_one(network, [("tree", one) for one in documents]), atol=1e-4)


def test_texts_are_fetched_piece_by_piece(network: CrossEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "AT_ONCE", 7)
    pairs = drawn(40, 12)
    plain = TextPairs.of(pairs)
    sizes: list[int] = []

    def texts_at(rows: np.ndarray) -> list[str]:
        sizes.append(len(rows))
        return plain.texts_at(rows)

    counted = TextPairs(plain.queries, plain.rows, plain.docs, texts_at, plain.sizes_at)
    found = engine.scores_of_pairs(network, counted, 32, "mine")
    assert sizes == [7, 7, 7, 7, 7, 5]
    np.testing.assert_allclose(found, one_by_one(network, pairs), atol=1e-4)


def test_a_prompt_of_the_model_stands_before_the_query(tiny_cross_encoder: Path) -> None:
    prompts: dict[str, Any] = {"prompts": {"ask": "old stone "}, "default_prompt_name": "ask"}
    network = CrossEncoder(str(tiny_cross_encoder), device="cpu", activation_fn=torch.nn.Identity(), **prompts)
    pairs = [("red fox", "blue whale"), ("tree", "red")]
    plain = CrossEncoder(str(tiny_cross_encoder), device="cpu", activation_fn=torch.nn.Identity())
    assert templates.template_of(network) is not None
    found = scores_of_pairs(network, pairs, 32)
    np.testing.assert_allclose(found, network.predict(pairs, show_progress_bar=False), atol=1e-5)
    assert np.abs(found - scores_of_pairs(plain, pairs, 32)).max() > 0.01


def test_a_batch_that_memory_does_not_hold_is_halved(network: CrossEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = drawn(30, 10)
    expected = scores_of_pairs(network, pairs, 32)
    forward = engine.forwarded
    sizes: list[int] = []

    def small(network: CrossEncoder, pairs: Tokens, pack: np.ndarray) -> np.ndarray:
        sizes.append(len(pack))
        if len(pack) > 4:
            torch.empty(2**50, dtype=torch.uint8)
        return forward(network, pairs, pack)

    monkeypatch.setattr(engine, "forwarded", small)
    monkeypatch.setattr(chunks, "LEAST", {})
    np.testing.assert_allclose(scores_of_pairs(network, pairs, 32), expected, atol=1e-4)
    assert sizes[:4] == [30, 15, 7, 3]
    # What memory holds is known for the pieces that come after.
    sizes.clear()
    monkeypatch.setattr(chunks, "AT_ONCE", 15)
    np.testing.assert_allclose(scores_of_pairs(network, pairs, 32), expected, atol=1e-4)
    assert sizes[:3] == [15, 7, 3] and max(sizes[3:]) < 7
    monkeypatch.setattr(engine, "forwarded", lambda *_: torch.empty(2**50, dtype=torch.uint8))
    with pytest.raises(InputError, match="mine: memory does not hold a single text of"):
        scores_of_pairs(network, pairs, 32)


def test_a_mix_of_all_that_a_corpus_may_hold(network: CrossEncoder) -> None:
    rng = np.random.default_rng(0)
    short = [" ".join(rng.choice(WORDS, 5)) for _ in range(60)]
    odd = [
        "red fox " * 5_000,
        "",
        " ",
        "\n\t",
        "🐳🐋" * 30,
        "x" * 200_000,
        "red " * 50_000,
        "語" * 300,
        "a\u0301 \u200d",
    ]
    pairs = [(query, text) for query in ("red fox", "", "🐳") for text in (*short, *odd)]
    found = scores_of_pairs(network, pairs, 32)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, one_by_one(network, pairs), atol=1e-4)


def test_counted_tokens_are_cut_and_estimates_are_near(network: CrossEncoder) -> None:
    texts = ["red fox", "", "blue whale " * 100]
    found = counted(network, texts)
    assert found is not None
    np.testing.assert_array_equal(found, [len(network.tokenizer(text, truncation=True)["input_ids"]) for text in texts])
    assert found[2] == 64
    assert estimated(["a" * 300, "語" * 300], 200).tolist() == [102, 200]
    tokenised = Tokenised.of(network, texts)
    assert tokenised is not None
    np.testing.assert_array_equal(tokenised.lengths, found)
