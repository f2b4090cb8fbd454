"""MS MARCO's own training sample through every loss of every kind: from the file to two steps of its trainer."""

from __future__ import annotations

import gc
import json
import math
from pathlib import Path
from typing import Any

import pytest
from careful_runs import furthest, weights

from mteb_cascade import spec as specs
from mteb_cascade.training.fit import trainer_of
from mteb_cascade.training.losses.registry import LOSSES
from mteb_cascade.training.networks.scratch import scratch_base
from mteb_cascade.training.options import Scratch, Training
from mteb_cascade.training.prepared import Prepared, checked, prepare

TRIPLETS, SCORED = "triplets.jsonl", "flagembedding_msmarco.jsonl"
WORDS = [(kind, word) for kind, known in LOSSES.items() for word in known]
TAUGHT = [(kind, word) for kind, word in WORDS if LOSSES[kind][word].needs.scores]
OF_LISTS = [(kind, word) for kind, word in WORDS if kind == "cross-encoder" or (kind, word) in TAUGHT]


@pytest.fixture(scope="module")
def sample(shared_data: Path) -> Path:
    """The folder of the sample: 350 triplets of 110 queries, and 10 lists of 26 documents with a teacher's scores."""
    return shared_data / "msmarco-train-sample"


@pytest.fixture(scope="module")
def base(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT of one layer, its tokenizer trained on the sample: every kind starts from it."""
    import torch

    from mteb_cascade.training.data.triplet_files import read_json_lines

    torch.manual_seed(0)
    sizes = Scratch(vocabulary=600, dim=16, layers=1, heads=2, feed_forward=16, positions=48)
    corpus = read_json_lines(sample / TRIPLETS).corpus
    return scratch_base(Training("scratch", "-", scratch=sizes), corpus, tmp_path_factory.mktemp("base"), "sample")


def learned(write_spec: Any, kind: str, **table: Any) -> tuple[Prepared, list[float], float]:
    """What was prepared, the loss of each of two steps, and the furthest that a weight moved."""
    given = {"negatives": 1, "batch_size": 4, "micro_batch": 8, "max_steps": 2, "learning_rate": 0.01, "warmup": 0.0}
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in {**given, "max_length": 32, **table}.items())
    write_spec("tiny", f'kind = "{kind}"\n[training]\n{"".join(lines)}')
    spec = specs.required("tiny")
    prepared = prepare(spec, checked(spec), Path("models/.tiny.training"))
    before = weights(prepared.network)
    # Transformers collects garbage before it trains, which takes longer than to train, with all that a test imports.
    gc.freeze()
    trainer = trainer_of(prepared, Path("models/.tiny.training"), save_strategy="no", logging_steps=1)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return prepared, losses, furthest(before, weights(prepared.network))


@pytest.mark.parametrize(("kind", "word"), WORDS)
def test_triplets(kind: str, word: str, sample: Path, base: Path, tiny_cross_encoder: Path, write_spec: Any) -> None:
    teacher = {"teacher": str(tiny_cross_encoder)} if (kind, word) in TAUGHT else {}
    prepared, losses, moved = learned(
        write_spec, kind, base=str(base), data=str(sample / TRIPLETS), loss=word, **teacher
    )
    assert len(prepared.lists) == 110 and prepared.lists.scored is bool(teacher)
    assert len(losses) == 2 and all(map(math.isfinite, losses)) and any(losses)
    assert moved > 1e-3


@pytest.mark.parametrize(("kind", "word"), OF_LISTS)
def test_lists_with_a_teachers_scores(kind: str, word: str, sample: Path, base: Path, write_spec: Any) -> None:
    prepared, losses, moved = learned(
        write_spec, kind, base=str(base), data=str(sample / SCORED), loss=word, negatives=3
    )
    assert len(losses) == 2 and all(map(math.isfinite, losses)) and any(losses)
    assert moved > 1e-3
    if kind == "cross-encoder":
        labels = prepared.dataset[0]["labels"]
        assert labels[0] > 90 if (kind, word) in TAUGHT else labels == [1, 0, 0, 0]
