"""What a run would take, and whether it can learn at all: told by real steps that leave no trace in the weights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_training import prepared

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.training.fit import trainer_of
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.prepared import Prepared
from mteb_cascade.training.steps.batches import Batches
from mteb_cascade.training.watching.collapse import Spread
from mteb_cascade.training.watching.dry_run import dry_run
from mteb_cascade.training.watching.evaluation import logged
from mteb_cascade.training.watching.overfit import STEPS, Again, Shown, overfit
from mteb_cascade.training.watching.truncation import truncation
from mteb_cascade.values.run import PAD, Run


@contextmanager
def unchanged(network: Any) -> Iterator[None]:
    before = {name: value.clone() for name, value in network.state_dict().items()}
    yield
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert all(value.grad is None for value in network.parameters())


@pytest.mark.parametrize(
    ("kind", "loss", "steps", "table"),
    [
        ("bi-encoder", "contrastive", None, {}),
        ("bi-encoder", "cosine", 20, {"negatives": 2}),
        ("cross-encoder", "softmax", 40, {"negatives": 3, "learning_rate": 0.03}),
    ],
)
def test_a_batch_is_learned_by_heart_and_forgotten(
    kind: str, loss: str, steps: int | None, table: dict[str, Any], write_spec: Any
):
    run = prepared(write_spec, kind, loss, **table)
    with unchanged(run.network):
        found = overfit(run, steps=steps)
    assert found.learned and found.after > found.before, str(found)
    assert found.last_loss < 0.5 * found.first_loss
    assert found.examples == 8 and found.steps < STEPS
    assert "it can learn" in str(found)
    assert not list(Path("models/.tiny.training").rglob("checkpoint-*"))


def test_what_does_not_move_does_not_learn(write_spec: Any):
    found = overfit(prepared(write_spec, "bi-encoder", "contrastive", learning_rate=0.0), batches=2, steps=4)
    assert (found.examples, found.steps) == (16, 4)
    assert found.first_loss == pytest.approx(found.last_loss)
    assert not found.learned and found.verdict.startswith("it does not learn: ")


def collapsed_at_once(run: Prepared) -> None:
    """Every text gets one vector, or one logit."""
    with torch.no_grad():
        for name, value in run.network.named_parameters():
            value.copy_(value[:1].expand_as(value)) if "embedding" in name else value.mul_(0)


@pytest.mark.parametrize(("kind", "loss", "negatives"), [("bi-encoder", "contrastive", 0), ("cross-encoder", "bce", 3)])
def test_a_collapsed_model_is_told(kind: str, loss: str, negatives: int, write_spec: Any):
    run = prepared(write_spec, kind, loss, negatives=negatives, learning_rate=0.0)
    collapsed_at_once(run)
    found = overfit(run, steps=2)
    assert found.reading.collapsed and found.verdict.startswith("it does not learn, it collapses: collapsed:")
    assert found.after == 0, "a tie is no answer first"
    assert run.evaluator is not None
    run.evaluator(run.network)
    assert run.evaluator.reading is not None and run.evaluator.reading.collapsed


def test_what_is_right_worked_out_by_hand():
    corpus = Corpus.of("abcd", ["a", "b", "c", "d"])
    queries = Queries(("q1", "q2", "q3"), ("1", "2", "3"))
    docs = np.array([[0, 1, 2], [1, 3, PAD], [2, PAD, PAD]], np.int32)
    answers = np.array([[True, False, False], [True, False, False], [True, False, False]])
    scores = np.array([[3, 1, 2], [5, 5, -np.inf], [0, -np.inf, -np.inf]], np.float32)
    run = Run(queries.ids, corpus, docs, np.zeros(docs.shape, np.float32))
    apart = Shown(queries, run, answers, alone=False)
    assert apart.right(scores) == 1 / 2, "the second ties, the third has nothing to compare with"
    assert apart.compared.startswith("2 queries")
    # 3 answers (3, 5, 0) against 3 others (1, 2, 5): 2 + 2 + 0 of 9.
    assert Shown(queries, run, answers, alone=True).right(scores) == pytest.approx(4 / 9)
    assert math.isnan(Shown(queries.rows([2]), run.rows(np.array([2])), answers[2:], alone=False).right(scores[2:]))


def test_the_same_batches_come_in_every_epoch():
    batches = Batches(20, 4, seed=1)
    again = Again(batches, 2)
    assert list(again.of_epoch(0)) == list(again.of_epoch(3)) == list(batches.of_epoch(0))[:2]
    assert (len(again), again.of_step(5)) == (2, again.few[1])


@pytest.mark.parametrize("table", [{"epochs": 2.5, "max_length": 6}, {"max_steps": 7, "evaluation": "every = 3"}])
def test_a_dry_run_foretells_what_training_does(table: dict[str, Any], write_spec: Any):
    run = prepared(write_spec, "bi-encoder", "contrastive", **table)
    with unchanged(run.network):
        told = dry_run(run, steps=4)
    assert told.parameters == (run.network[0].embedding.weight.numel(),) * 2
    assert told.batch[0] == 8 and told.memory[0] > 0
    assert told.total == pytest.approx(told.steps * told.seconds + told.evaluations * told.evaluation)
    trainer = trainer_of(run, Path("kept"))
    trainer.train()
    assert (trainer.state.global_step, len(logged(Path("kept/eval")))) == (told.steps, told.evaluations)
    lines = str(told).splitlines()
    assert lines[0] == "model        SentenceTransformer from scratch"
    assert any(line.startswith("data         words: 40 training queries, 60 documents") for line in lines)
    assert any("40 queries in 40 examples of the form 'tuples'" in line for line in lines)


def test_too_few_steps_or_batches_are_refused(write_spec: Any):
    run = prepared(write_spec, "bi-encoder", "contrastive")
    with pytest.raises(InputError, match="at least 3 steps, got 2"):
        dry_run(run, steps=2)
    with pytest.raises(InputError, match="at least 1 batch, got 0"):
        overfit(run, batches=0)


@pytest.fixture
def lists() -> Lists:
    """Documents of 1, 2 and 5 words, queries of 2 and 3, each word a token."""
    corpus = Corpus.of("abc", ["red", "blue whale", "green tree old stone fox"])
    docs = np.array([[0, 1], [2, PAD]], np.int32)
    relevant = np.array([[True, False], [True, False]])
    return Lists(Queries(("1", "2"), ("red fox", "the old stone")), corpus, docs, relevant.astype(np.float32), relevant)


def test_truncation_counted_by_hand(lists: Lists, tiny_bi_encoder: Path, tiny_static: Path):
    from sentence_transformers import SentenceTransformer

    network = SentenceTransformer(str(tiny_bi_encoder), device="cpu")
    network.max_seq_length = 4
    network.prompts = {"query": "the "}
    # [CLS] and [SEP] count: documents 3, 4 and 7 tokens; queries, with the prompt, 5 and 6.
    queries, documents = truncation("bi-encoder", network, lists)
    assert (queries.side, queries.texts, queries.longer, queries.longest) == ("queries", 2, 1.0, 6)
    assert (documents.texts, documents.typical, documents.longest) == (3, 4, 7)
    assert documents.longer == pytest.approx(1 / 3)
    assert str(documents) == "33.3% of documents cut at 4 tokens (median 4 tokens, longest 7)"
    table = SentenceTransformer(str(tiny_static), device="cpu")
    assert [one.limit for one in truncation("bi-encoder", table, lists)] == [None, None]
    assert str(truncation("bi-encoder", table, lists)[1]).startswith("no documents cut")


def test_pairs_are_read_together(lists: Lists, tiny_cross_encoder: Path, tiny_late_interaction: Path):
    from sentence_transformers import CrossEncoder, MultiVectorEncoder

    network = CrossEncoder(str(tiny_cross_encoder), max_length=8, device="cpu")
    # [CLS] query [SEP] document [SEP]: 2 + 1 + 3, 2 + 2 + 3, 3 + 5 + 3.
    (pairs,) = truncation("cross-encoder", network, lists)
    assert (pairs.side, pairs.limit, pairs.texts, pairs.typical, pairs.longest) == ("pairs", 8, 3, 7, 11)
    assert pairs.longer == pytest.approx(1 / 3)
    apart = MultiVectorEncoder(str(tiny_late_interaction), device="cpu")
    apart[0].query_length, apart[0].document_length = 3, 6
    assert [(one.limit, one.longer) for one in truncation("late-interaction", apart, lists)] == [(3, 1.0), (6, 1 / 3)]


def test_a_short_look_costs_what_it_says(write_spec: Any):
    run = prepared(write_spec, "cross-encoder", "bce", negatives=1)
    assert run.evaluator is not None
    part = run.evaluator.first(3)
    assert len(part.split.queries) == len(part.candidates.query_ids) == 3
    assert part.work == int((run.evaluator.candidates.docs[:3, :20] != PAD).sum()) < run.evaluator.work
    assert isinstance(part(run.network), dict) and isinstance(part.reading, Spread)
    assert run.evaluator.reading is None and len(run.evaluator.split.queries) == 12
