"""A format is chosen by speed and by what it changes."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from mteb_cascade.engine.devices import device_type
from mteb_cascade.engine.dtypes import (
    FLIPS,
    INT8,
    LARGE,
    LIST,
    OPENVINO,
    PLAIN,
    TORCH,
    Format,
    Probed,
    compared,
    keep,
    kept,
    path_of,
    probed,
    texts,
)
from mteb_cascade.errors import InputError

SHORT = Format("bfloat16")


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
    found = probed({PLAIN: Model(0.02), SHORT: Model()}, "cpu")
    assert (found.dtype, found.flips, found.lists) == ("bfloat16", 0.0, 48)
    assert found.factor is not None and found.factor > 2


def test_fast_but_it_changes_too_many_first_places() -> None:
    most = int(FLIPS * 48)
    assert probed({PLAIN: Model(0.02), SHORT: Model(flipped=most)}, "cpu").dtype == "bfloat16"
    found = probed({PLAIN: Model(0.02), SHORT: Model(flipped=most + 1)}, "cpu")
    assert (found.dtype, found.flips) == ("float32", (most + 1) / 48)


def test_not_faster() -> None:
    plain, short = Model(), Model(0.02)
    found = probed({PLAIN: plain, SHORT: short}, "cpu")
    assert (found.dtype, found.flips) == ("float32", None)
    assert plain.lists == short.lists == 0


def test_a_model_that_does_not_run_in_bfloat16() -> None:
    def fails(*_: object) -> np.ndarray:
        raise RuntimeError('"addmm_impl_cpu_" not implemented\nfor it')

    found = probed({PLAIN: Model(), SHORT: fails}, "cpu")
    assert (found.dtype, found.why) == ("float32", '"addmm_impl_cpu_" not implemented for it')


def test_the_fastest_that_is_faithful() -> None:
    many = int(FLIPS * 48) + 1
    found = probed({PLAIN: Model(0.04), SHORT: Model(0.01), INT8: Model(flipped=many)}, "cpu")
    assert (found.dtype, found.backend, found.flips) == ("bfloat16", "torch", 0.0)
    assert found.looked == {"openvino int8": many / 48, "bfloat16": 0.0}
    found = probed({PLAIN: Model(0.04), SHORT: Model(0.01), INT8: Model()}, "cpu")
    assert (found.dtype, found.backend, list(found.looked)) == ("int8", "openvino", ["openvino int8"])
    assert found.seconds is not None and list(found.seconds) == ["float32", "bfloat16", "openvino int8"]


def test_one_that_fails_leaves_the_others() -> None:
    def fails(*_: object) -> np.ndarray:
        raise InputError("OpenVINO cannot compute it")

    found = probed({PLAIN: Model(0.02), SHORT: Model(), INT8: fails}, "cpu")
    assert (found.dtype, found.why) == ("bfloat16", "OpenVINO cannot compute it")


def test_what_is_taken_otherwise() -> None:
    plain, many = OPENVINO[0], int(FLIPS * 48) + 1
    models = {PLAIN: Model(0.02), plain: Model(0.02), INT8: Model(flipped=many)}
    found = probed(models, "cpu", otherwise=plain)
    assert (found.dtype, found.backend, found.flips) == ("float32", "openvino", many / 48)


def test_what_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mteb_cascade.engine.openvino.is_installed", lambda: True)
    assert compared("auto", "cpu", 10**8) == (*TORCH, INT8)
    assert compared("auto", "cuda", 10**8) == compared("torch", "cpu", 10**8) == compared("auto", "cpu", LARGE) == TORCH
    assert compared("openvino", "cpu", LARGE) == (PLAIN, *OPENVINO)
    monkeypatch.setattr("mteb_cascade.engine.openvino.is_installed", lambda: False)
    assert compared("auto", "cpu", 10**8) == TORCH


def test_each_choice_has_an_answer_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path))
    wide, only = (*TORCH, INT8), (PLAIN, *OPENVINO)
    keep("abc", "cpu", Probed("int8", "openvino"), "mine", wide)
    assert [kept("abc", "cpu", one) for one in (TORCH, wide, only)] == [None, INT8, None]
    keep("abc", "cpu", Probed("bfloat16"), "mine")
    keep("abc", "cpu", Probed("float32", "openvino"), "mine", only)
    assert [kept("abc", "cpu", one) for one in (TORCH, wide, only)] == [SHORT, INT8, OPENVINO[0]]


def test_the_lists_of_the_probe() -> None:
    """A question's own passage and others; no passage twice."""
    seen = []

    def score(queries: Sequence[str], documents: Sequence[str], rows: np.ndarray) -> np.ndarray:
        time.sleep(0.005 if not seen else 0)
        if rows.shape[1] > 1:
            seen.append((queries, documents, rows))
        return np.zeros(rows.shape, np.float32)

    probed({PLAIN: score, SHORT: Model()}, "cpu")
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
    seconds = {"float32": 3.25, "bfloat16": 1.0}
    keep("abc", "cpu", Probed("bfloat16", factor=3.25, flips=0.02, lists=48, seconds=seconds), "mine")
    assert (kept("abc", "cpu"), kept("abc", "cuda"), kept("abd", "cpu")) == (SHORT, None, None)
    (file,) = (tmp_path / "dtypes").iterdir()
    content = json.loads(file.read_text())
    assert (content["model"], content["factor"], content["flips"]) == ("mine", 3.25, 0.02)
    assert content["machine"]["processor"]
    path_of("abc", "cpu").write_text('{"dtype": "float32"}')  # As it was before there were back-ends.
    assert kept("abc", "cpu") == PLAIN
    for damaged in ("{", "[]", '{"dtype": "int4"}', '{"dtype": "int8", "backend": "openvino"}', '{"dtype": []}'):
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
