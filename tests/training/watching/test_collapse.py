"""Collapse is told from figures worked out by hand, and of networks that were made to collapse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mteb_cascade.stages.load import stage_class
from mteb_cascade.training.watching.collapse import collapse, of_stage, spread

TEXTS = ["red fox", "blue whale", "green tree", "old stone", "the fox of the tree", "a whale of stone", "red", "of the"]


def test_figures_worked_out_by_hand():
    # Two directions at a right angle, taken twice and once: singular values sqrt(2) and 1; cosines 1, 0, 0.
    found = collapse(np.array([[3.0, 0, 0], [1, 0, 0], [0, 2, 0]]))
    shares = np.array([np.sqrt(2), 1]) / (np.sqrt(2) + 1)
    assert found.mean_cosine == pytest.approx(1 / 3)
    assert found.effective_rank == pytest.approx(np.prod(shares**-shares))
    assert (found.texts, found.directions, found.zero) == (3, 3, 0)


def test_neither_length_nor_rotation_nor_order_count():
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(40, 12)) + 0.5
    turned, _ = np.linalg.qr(draw.normal(size=(12, 12)))
    other = collapse((vectors * draw.uniform(0.1, 9, size=(40, 1)) @ turned)[draw.permutation(40)])
    assert other.mean_cosine == pytest.approx(collapse(vectors).mean_cosine)
    assert other.effective_rank == pytest.approx(collapse(vectors).effective_rank)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda draw: draw.normal(size=(256, 64)), "healthy"),
        (lambda draw: np.ones((256, 64)), "collapsed"),
        (lambda draw: np.ones((256, 64)) + 0.05 * draw.normal(size=(256, 64)), "collapsed"),
        (lambda draw: np.ones((256, 64)) + 0.3 * draw.normal(size=(256, 64)), "crowded"),
        (lambda draw: draw.normal(size=(256, 1)) * np.ones((1, 64)), "collapsed"),
        (lambda draw: draw.normal(size=(256, 3)) @ draw.normal(size=(3, 64)), "narrow"),
        (lambda draw: np.zeros((256, 64)), "collapsed: 100% of the vectors are 0"),
        (lambda draw: np.full((256, 64), np.nan), "collapsed"),
    ],
)
def test_verdicts(make: Any, word: str):
    found = collapse(make(np.random.default_rng(0)))
    assert found.verdict.startswith(word)
    assert found.collapsed == word.startswith("collapsed")


def test_spread_worked_out_by_hand():
    found = spread(np.array([[1.0, 3.0, -np.inf], [5.0, 5.0, 5.0], [9.0, -np.inf, -np.inf]]))
    assert (found.lists, found.within, found.between, found.flat) == (2, 0.5, 1.5, 0.5)


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda draw: draw.normal(size=(50, 20)), "healthy"),
        (lambda draw: np.full((50, 20), 0.3), "collapsed"),
        (lambda draw: 0.3 + 1e-6 * draw.normal(size=(50, 20)), "collapsed"),
        (lambda draw: draw.normal(size=(50, 1)) + 0.01 * draw.normal(size=(50, 20)), "blind"),
        (lambda draw: np.full((50, 1), 2.0), "collapsed"),
    ],
)
def test_verdicts_of_rerankers(make: Any, word: str):
    found = spread(make(np.random.default_rng(0)))
    assert found.verdict.startswith(word)
    assert found.collapsed == (word == "collapsed")


@pytest.mark.parametrize(
    ("kind", "fixture"),
    [("bi-encoder", "tiny_bi_encoder"), ("sparse", "tiny_sparse"), ("late-interaction", "tiny_late_interaction")],
)
def test_a_network_that_was_made_to_collapse_is_told(kind: str, fixture: str, request: pytest.FixtureRequest):
    options: dict[str, Any] = {"model": str(request.getfixturevalue(fixture)), "device": "cpu"}
    stage: Any = stage_class(kind)(**options)
    before = of_stage(stage, TEXTS)
    with torch.no_grad():
        for name, value in stage.network.named_parameters():
            if "word_embeddings" in name or "position_embeddings" in name:
                value.copy_(value[:1].expand_as(value))
    after = of_stage(stage_class(kind).around(stage.network), TEXTS)
    assert not before.collapsed and after.collapsed, (before.verdict, after.verdict)
    assert before.texts == after.texts == len(TEXTS)


def test_a_sparse_model_regularised_to_death_is_told(tiny_inference_free: Path):
    stage: Any = stage_class("sparse")(model=str(tiny_inference_free), device="cpu")
    with torch.no_grad():
        for value in stage.network.parameters():
            value.mul_(0)
    assert of_stage(stage, TEXTS).verdict == "collapsed: 100% of the vectors are 0"
