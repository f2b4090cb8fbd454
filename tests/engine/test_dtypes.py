"""A format is chosen by speed and by what it changes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mteb_cascade.engine.devices import device_type
from mteb_cascade.engine.dtypes import FLIPS, LIST, Probed, keep, kept, path_of, probed, texts


class Model:
    """Scores the documents of a list by their place in it, but those of the first `flipped` lists the other way."""

    def __init__(self, seconds: float = 0.0, flipped: int = 0) -> None:
        self.seconds, self.flipped = seconds, flipped
        self.lists = 0

    def __call__(self, queries: Sequence[str], documents: Sequence[str], rows: np.ndarray) -> np.ndarray:
        time.sleep(self.seconds)
        assert rows.shape[0] == len(queries) and rows.max() < len(documents)
        scores = np.tile(-np.arange(rows.shape[1], dtype=np.float32), (len(rows), 1))
        if rows.shape[1] > 1:
            self.lists += 1
            scores[: self.flipped] *= -1
        return scores


def test_fast_and_faithful() -> None:
    found = probed(Model(0.02), Model(), "cpu")
    assert (found.dtype, found.flips, found.lists) == ("bfloat16", 0.0, 48)
    assert found.factor is not None and found.factor > 2


def test_fast_but_it_changes_too_many_first_places() -> None:
    most = int(FLIPS * 48)
    assert probed(Model(0.02), Model(flipped=most), "cpu").dtype == "bfloat16"
    found = probed(Model(0.02), Model(flipped=most + 1), "cpu")
    assert (found.dtype, found.flips) == ("float32", (most + 1) / 48)


def test_not_faster() -> None:
    plain, short = Model(), Model(0.02)
    found = probed(plain, short, "cpu")
    assert (found.dtype, found.flips) == ("float32", None)
    assert plain.lists == short.lists == 0


def test_a_model_that_does_not_run_in_bfloat16() -> None:
    def fails(*_: object) -> np.ndarray:
        raise RuntimeError('"addmm_impl_cpu_" not implemented\nfor it')

    found = probed(Model(), fails, "cpu")
    assert (found.dtype, found.why) == ("float32", '"addmm_impl_cpu_" not implemented for it')


def test_the_lists_of_the_probe() -> None:
    """A question's own passage and others; no passage twice."""
    seen = []

    def score(queries: Sequence[str], documents: Sequence[str], rows: np.ndarray) -> np.ndarray:
        time.sleep(0.005 if not seen else 0)
        if rows.shape[1] > 1:
            seen.append((queries, documents, rows))
        return np.zeros(rows.shape, np.float32)

    probed(score, Model(), "cpu")
    questions, passages = texts()
    ((queries, documents, rows), *_) = seen
    assert (list(queries), list(documents), rows.shape) == (questions, passages, (48, LIST))
    assert all(len(set(row)) == LIST for row in rows.tolist())
    assert queries[2] == "how to store lithium batteries for months"
    assert documents[rows[2, 0]].startswith("A lithium cell loses capacity")
    assert len(set(questions)) == 48 and len(set(passages)) == 24


def test_an_answer_is_kept_by_model_and_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path))
    assert kept("abc", "cpu") is None
    keep("abc", "cpu", Probed("bfloat16", 3.25, 0.02, 48, {"float32": 3.25, "bfloat16": 1.0}), "mine")
    assert (kept("abc", "cpu"), kept("abc", "cuda"), kept("abd", "cpu")) == ("bfloat16", None, None)
    (file,) = (tmp_path / "dtypes").iterdir()
    content = json.loads(file.read_text())
    assert (content["model"], content["factor"], content["flips"]) == ("mine", 3.25, 0.02)
    assert content["machine"]["processor"]
    for damaged in ("{", "[]", '{"dtype": "int4"}'):
        path_of("abc", "cpu").write_text(damaged)
        assert kept("abc", "cpu") is None


def test_a_cache_that_cannot_be_written_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "file"))
    keep("abc", "cpu", Probed("bfloat16"), "mine")
    assert kept("abc", "cpu") is None


def test_a_named_device_is_taken_at_its_word() -> None:
    assert (device_type("cuda:1"), device_type("cpu"), device_type("mps")) == ("cuda", "cpu", "mps")


def test_the_device_that_torch_chooses() -> None:
    import torch

    found = torch.accelerator.current_accelerator(check_available=True)
    assert device_type() == (found.type if found else "cpu")
