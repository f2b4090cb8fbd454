"""`dtype = "auto"`: measured once, kept, and part of what identifies a stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.engine import dtypes, openvino
from mteb_cascade.engine.dtypes import Probed
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import hash_of
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.files import digests, model_files
from mteb_cascade.stages.late_interaction import LateInteraction
from mteb_cascade.stages.sparse import Sparse
from mteb_cascade.stages.weights import MODULE_KEY


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Tiny models count as large enough to be probed, among torch's formats; a cache of its own."""
    monkeypatch.setattr(dtypes, "SMALL", 0)
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def keep(stage: Any, dtype: Any, backend: Any = "torch") -> None:
    digest = hash_of([stage.kind, digests(model_files(Path(stage.model)))])
    dtypes.keep(digest, "cpu", Probed(dtype, backend), "mine", dtypes.compared(stage.backend, "cpu", 0))


def test_it_is_probed_when_it_is_loaded_and_then_known_without(tiny_cross_encoder: Path, large: Path) -> None:
    stage = CrossEncoder(model=str(tiny_cross_encoder), device="cpu")
    cascade = Cascade(BM25(), Step(stage, 5))
    assert stage.described()["dtype"] == "auto"
    before = stage.fingerprint, cascade.fingerprint
    stage.prepare()
    (file,) = (large / "dtypes").iterdir()
    found = json.loads(file.read_text())
    assert found["dtype"] in ("float32", "bfloat16")
    assert found["seconds"].keys() == {"float32", "bfloat16"} and found["factor"] > 0
    assert stage.described()["dtype"] == found["dtype"]
    assert next(stage.network.parameters()).dtype == getattr(torch, found["dtype"])
    other = CrossEncoder(model=str(tiny_cross_encoder), device="cpu")
    assert other.fingerprint == stage.fingerprint
    assert other._network is None
    said = CrossEncoder(model=str(tiny_cross_encoder), dtype=found["dtype"])
    assert said.fingerprint == stage.fingerprint
    assert not {stage.fingerprint, cascade.fingerprint} & set(before)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_kept_answer_is_obeyed(dtype: Any, tiny_cross_encoder: Path, large: Path) -> None:
    stage = CrossEncoder(model=str(tiny_cross_encoder), device="cpu")
    keep(stage, dtype)
    before = stage.fingerprint
    rows = np.arange(3, dtype=np.int32)[None, :]
    texts = (["red fox"], ["blue whale", "red", "fox tree"], rows)
    found = stage.scores_of(*texts)
    assert next(stage.network.parameters()).dtype == getattr(torch, dtype)
    np.testing.assert_array_equal(
        found, CrossEncoder(model=str(tiny_cross_encoder), device="cpu", dtype=dtype).scores_of(*texts)
    )
    assert (stage.fingerprint, stage.described()["dtype"]) == (before, dtype)


def test_what_is_kept_later_does_not_change_what_is_loaded(tiny_cross_encoder: Path, large: Path) -> None:
    stage = CrossEncoder(model=str(tiny_cross_encoder), device="cpu")
    keep(stage, "bfloat16")
    stage.prepare()
    before = stage.store_key(Queries((), ()))
    keep(stage, "float32")
    assert stage.described()["dtype"] == "bfloat16"
    assert stage.store_key(Queries((), ())) == before
    assert CrossEncoder(model=str(tiny_cross_encoder), device="cpu").computes_in == "float32"


def test_of_two_processes_that_probe_at_once_the_first_to_end_decides(
    tiny_cross_encoder: Path, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = CrossEncoder(model=str(tiny_cross_encoder), device="cpu")

    def overtaken(*_: Any) -> Probed:
        keep(stage, "bfloat16")
        return Probed("float32")

    monkeypatch.setattr(dtypes, "probed", overtaken)
    stage.prepare()
    assert next(stage.network.parameters()).dtype == torch.bfloat16
    assert CrossEncoder(model=str(tiny_cross_encoder), device="cpu").fingerprint == stage.fingerprint


def test_another_model_or_device_is_probed_for_itself(tiny_cross_encoder: Path, tmp_path: Path, large: Path) -> None:
    import shutil

    stage = CrossEncoder(model=str(tiny_cross_encoder), device="cpu")
    keep(stage, "bfloat16")
    assert CrossEncoder(model=str(tiny_cross_encoder), device="cuda").computes_in == "auto"
    shutil.copytree(tiny_cross_encoder, tmp_path / "moved")
    moved = CrossEncoder(model=str(tmp_path / "moved"), device="cpu")
    assert moved.computes_in == "bfloat16"
    (tmp_path / "moved" / "config.json").write_text((tmp_path / "moved" / "config.json").read_text() + " ")
    assert moved.computes_in == "auto"


def test_a_cache_that_cannot_be_written(
    tiny_cross_encoder: Path, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "file"))
    stage = CrossEncoder(model=str(tiny_cross_encoder), device="cpu")
    stage.prepare()
    assert stage.computes_in in ("float32", "bfloat16")
    assert stage.described()["dtype"] == stage.computes_in


def test_small_models_and_ours_are_float32_at_once(tiny_cross_encoder: Path, tmp_path: Path) -> None:
    assert CrossEncoder(model=str(tiny_cross_encoder)).computes_in == "float32"
    (tmp_path / "config.json").write_text(json.dumps({MODULE_KEY: "interaction"}))
    (tmp_path / "model.safetensors").write_bytes(bytes(dtypes.SMALL))
    assert CrossEncoder(model=str(tmp_path)).computes_in == "float32"
    (tmp_path / "config.json").write_text("{}")
    assert CrossEncoder(model=str(tmp_path)).computes_in == "auto"


def test_bi_encoders_are_probed_and_other_encoders_on_request(
    tiny_bi_encoder: Path, tiny_sparse: Path, tiny_late_interaction: Path, large: Path
) -> None:
    assert Sparse(model=str(tiny_sparse)).computes_in == "float32"
    assert LateInteraction(model=str(tiny_late_interaction)).computes_in == "float32"
    stage = BiEncoder(model=str(tiny_bi_encoder), device="cpu")
    assert stage.computes_in == "auto"
    stage.prepare()
    assert stage.computes_in in ("float32", "bfloat16")
    assert BiEncoder(model=str(tiny_bi_encoder), device="cpu").fingerprint == stage.fingerprint


def test_a_probe_encodes_each_time(tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the stage holds of documents would make the second format of a comparison look fast."""
    stage = BiEncoder(model=str(tiny_bi_encoder), dtype="float32")
    asked: list[int] = []
    encode = BiEncoder.encode_documents

    def counting(self: BiEncoder, texts: list[str]) -> np.ndarray:
        asked.append(len(texts))
        return encode(self, texts)

    monkeypatch.setattr(BiEncoder, "encode_documents", counting)
    given = (["red fox"], ["blue whale", "red", "fox tree"], np.arange(3, dtype=np.int32)[None, :])
    np.testing.assert_array_equal(stage.scores_of(*given), stage.scores_of(*given))
    assert asked == [3, 3]


def test_weights_that_are_not_there_are_named(large: Path) -> None:
    stage = CrossEncoder(model="/nowhere/at/all")
    assert stage.computes_in == "auto"
    with pytest.raises(InputError, match=r"no model in .*nowhere"):
        stage.prepare()


def test_a_batch_size_below_one_is_refused(tiny_cross_encoder: Path) -> None:
    with pytest.raises(InputError, match=r"^batch_size: expected at least 1, got 0$"):
        CrossEncoder(model=str(tiny_cross_encoder), batch_size=0)
