"""A batch size is found on an accelerator by doubling; here one is played."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mteb_cascade.engine import batch_size as engine
from mteb_cascade.engine.batch_size import fastest, keep, kept, probed, rate_of
from mteb_cascade.engine.memory import SIGNS
from mteb_cascade.errors import InputError
from mteb_cascade.stages import found_batch_size as stages
from mteb_cascade.stages.cross_encoder import CrossEncoder


def test_doubled_until_it_gains_too_little() -> None:
    speeds = {32: 100.0, 64: 180.0, 128: 200.0, 256: 205.0, 512: 900.0}
    found = probed(lambda size: (speeds[size], 0.1))
    assert list(found) == [32, 64, 128, 256]
    assert fastest(found) == 128


@pytest.mark.parametrize("error", [RuntimeError(f"CUDA {SIGNS[0]}"), MemoryError(), InputError("a single text of")])
def test_doubled_until_memory_runs_out(error: Exception) -> None:
    def rate(size: int) -> tuple[float, float]:
        if size > 64:
            raise error
        return float(size), 0.1

    assert fastest(probed(rate)) == 64


def test_a_slow_model_is_not_tried_for_long() -> None:
    found = probed(lambda size: (float(size), size / 20))
    assert list(found) == [32, 64]


def test_other_errors_pass() -> None:
    def rate(size: int) -> tuple[float, float]:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        probed(rate)


def test_each_try_has_two_micro_batches_of_its_size() -> None:
    asked: list[tuple[int, int]] = []

    def with_size(size: int) -> Any:
        def score(queries: list[str], documents: list[str], rows: np.ndarray) -> np.ndarray:
            assert len(queries) == len(rows) and rows.max() < len(documents)
            asked.append((size, len(rows)))
            return np.zeros(rows.shape, np.float32)

        return score

    rate_of(with_size, "cuda")(32)
    assert asked == [(32, 2 * 32 * 512 // engine.TOKENS // 2), (32, 2 * 32 * 512 // engine.TOKENS)]


def test_the_answer_is_kept_and_the_first_one_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path))
    assert kept("digest", "cuda") is None
    assert keep("digest", "cuda", {32: 100.0, 64: 150.0}, "mine") == 64
    assert keep("digest", "cuda", {32: 100.0}, "mine") == 64
    assert kept("digest", "cuda") == 64 and kept("digest", "mps") is None
    engine.path_of("digest", "cuda").write_text('{"batch_size": -1}', encoding="utf-8")
    assert kept("digest", "cuda") is None


def test_a_stage_asks_once_and_only_on_an_accelerator(
    tiny_cross_encoder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path))
    monkeypatch.setattr(stages, "SMALL", 0)
    tried: list[int] = []
    monkeypatch.setattr(stages.batch_sizes, "probed", lambda rate: tried.append(1) or {32: 100.0, 64: 150.0})

    def stage(**options: Any) -> CrossEncoder:
        made = CrossEncoder(model=str(tiny_cross_encoder), device="cpu", **options)
        made.prepare()
        return made

    assert stage().used_batch_size == 32 and not tried
    monkeypatch.setattr(stages, "device_type", lambda device: "cuda")
    assert stage(batch_size=7).used_batch_size == 7 and not tried
    assert stage().used_batch_size == 64 and stage().used_batch_size == 64
    assert len(tried) == 1
