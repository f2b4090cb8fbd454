"""Unpadded attention is turned on where it can run; by structure only, since it takes a GPU to run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer
from transformers.utils import import_utils

from mteb_cascade.engine.attention import unpadded
from mteb_cascade.engine.tokens import plain_transformer


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_utils, "is_flash_attn_2_available", lambda: True)
    for kind in (SentenceTransformer, CrossEncoder):
        monkeypatch.setattr(kind, "device", property(lambda self: torch.device("cuda:0")))


def asked_of(network: Any, monkeypatch: pytest.MonkeyPatch, flattens: bool) -> list[str]:
    """Attention that the network's transformer is told to use; it flattens its inputs with flash attention, or not."""
    asked: list[str] = []
    monkeypatch.setattr(network[0].model, "set_attn_implementation", asked.append)
    monkeypatch.setattr(network[0], "_can_flatten_inputs", lambda: flattens and asked[-1:] == ["flash_attention_2"])
    return asked


def test_an_encoder_in_half_precision(tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch, on_a_gpu: None) -> None:
    network = SentenceTransformer(str(tiny_bi_encoder), device="cpu")
    asked = asked_of(network, monkeypatch, flattens=True)
    assert not unpadded(network, "float32") and not asked
    assert plain_transformer(network)
    assert unpadded(network, "bfloat16") and asked == ["flash_attention_2"]
    # Its batches are no rows any more: the library tokenises and packs them.
    assert not plain_transformer(network)


def test_one_that_cannot_be_flattened_stays_as_it_is(
    tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch, on_a_gpu: None
) -> None:
    network = SentenceTransformer(str(tiny_bi_encoder), device="cpu")
    asked = asked_of(network, monkeypatch, flattens=False)
    assert not unpadded(network, "float16")
    assert asked == ["flash_attention_2", "sdpa"] and plain_transformer(network)


def test_a_head_that_reads_the_first_place_of_a_row(
    tiny_cross_encoder: Path, monkeypatch: pytest.MonkeyPatch, on_a_gpu: None
) -> None:
    network = CrossEncoder(str(tiny_cross_encoder), device="cpu")
    asked = asked_of(network, monkeypatch, flattens=True)
    assert not unpadded(network, "bfloat16") and not asked


def test_not_on_a_cpu(tiny_bi_encoder: Path) -> None:
    assert not unpadded(SentenceTransformer(str(tiny_bi_encoder), device="cpu"), "bfloat16")
