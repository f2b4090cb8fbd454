"""`backend` and int8: OpenVINO under a model of sentence-transformers, converted once and kept."""

from __future__ import annotations

import json
import pickle
import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.engine import dtypes, openvino
from mteb_cascade.engine.dtypes import INT8, Format, Probed
from mteb_cascade.errors import InputError
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.cross_encoder import CrossEncoder, head_layers
from mteb_cascade.stages.late_interaction import LateInteraction
from mteb_cascade.stages.sparse import Sparse

QUERIES = ["red fox", "the blue whale", "stone"]
DOCUMENTS = ["a red fox", "the old blue whale of the sea " * 4, "tree", "green stone, old stone", "fox fox fox"]
ROWS = np.tile(np.arange(len(DOCUMENTS), dtype=np.int32), (len(QUERIES), 1))

needs_openvino = pytest.mark.skipif(
    not openvino.is_installed(), reason="OpenVINO is missing: pip install -e '.[openvino]'"
)


@pytest.fixture(scope="module")
def one_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Conversions are shared by the tests of this file."""
    return tmp_path_factory.mktemp("openvino")


@pytest.fixture(autouse=True)
def cache(one_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(one_cache))
    return one_cache


@needs_openvino
def test_scores_of_pairs(tiny_cross_encoder: Path) -> None:
    """In float32 torch's; in int8 near them, and none depends on the batch that it is in."""
    plain = CrossEncoder(model=str(tiny_cross_encoder), dtype="float32")
    texts = (QUERIES, DOCUMENTS, ROWS)
    expected = plain.scores_of(*texts)
    exact = CrossEncoder(model=str(tiny_cross_encoder), dtype="float32", backend="openvino")
    np.testing.assert_allclose(exact.scores_of(*texts), expected, atol=1e-4)
    short = CrossEncoder(model=str(tiny_cross_encoder), dtype="int8")
    found = short.scores_of(*texts)
    assert np.abs(found - expected).max() < 0.1 * np.ptp(expected)
    assert len(np.unique(found)) >= len(np.unique(expected)) - 2
    one_by_one = CrossEncoder(model=str(tiny_cross_encoder), dtype="int8", batch_size=1)
    np.testing.assert_allclose(one_by_one.scores_of(*texts), found, atol=1e-3)


@needs_openvino
@pytest.mark.parametrize("kind", [BiEncoder, Sparse, LateInteraction])
def test_encoders(kind: Any, tiny_bi_encoder: Path, tiny_sparse: Path, tiny_late_interaction: Path) -> None:
    model = {BiEncoder: tiny_bi_encoder, Sparse: tiny_sparse, LateInteraction: tiny_late_interaction}[kind]
    texts = (QUERIES, DOCUMENTS, ROWS)
    expected = kind(model=str(model), dtype="float32").scores_of(*texts)
    np.testing.assert_allclose(
        kind(model=str(model), dtype="float32", backend="openvino").scores_of(*texts), expected, atol=1e-4, rtol=1e-4
    )
    assert np.abs(kind(model=str(model), dtype="int8").scores_of(*texts) - expected).max() < 0.1 * np.ptp(expected)


@needs_openvino
def test_the_head_is_not_quantised(tiny_cross_encoder: Path, cache: Path) -> None:
    import openvino as library

    shutil.rmtree(cache / "openvino", ignore_errors=True)
    stage = CrossEncoder(model=str(tiny_cross_encoder), dtype="int8")
    assert [name.rpartition(".")[2] for name in head_layers(stage.network)] == ["dense", "classifier"]
    (file,) = (cache / "openvino").glob("*/model.xml")
    layers = [one for one in library.Core().read_model(file).get_ops() if one.get_type_name() == "MatMul"]
    weights = {one.get_friendly_name(): [node.get_type_name() for node in above(one)] for one in layers}
    heads = [name for name in weights if "classifier" in name or "pooler" in name]
    body = [name for name in weights if "intermediate" in name]
    assert len(heads) == 2 and not any("FakeQuantize" in weights[name] for name in heads)
    assert len(body) == 1 and "FakeQuantize" in weights[body[0]]


def above(node: Any) -> list[Any]:
    return [port.get_source_output().get_node() for port in node.inputs()]


@needs_openvino
def test_a_conversion_is_kept_and_a_damaged_one_made_again(
    tiny_bi_encoder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(cache / "openvino", ignore_errors=True)

    def encoded() -> np.ndarray:
        return BiEncoder(model=str(tiny_bi_encoder), dtype="int8").encode_documents(DOCUMENTS)

    first = encoded()
    (folder,) = (cache / "openvino").iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["checksums.json", "model.bin", "model.xml"]
    (folder / "model.bin").write_bytes(bytes(len((folder / "model.bin").read_bytes())))
    np.testing.assert_array_equal(encoded(), first)
    (folder / "checksums.json").unlink()
    np.testing.assert_array_equal(encoded(), first)

    def never(*_: Any) -> None:
        raise AssertionError("it is kept")

    monkeypatch.setattr(openvino, "converted", never)
    np.testing.assert_array_equal(encoded(), first)
    assert [path.name for path in (cache / "openvino").iterdir()] == [folder.name]


@needs_openvino
def test_a_cut_text_is_calibrated_for_itself(tiny_bi_encoder: Path, cache: Path) -> None:
    shutil.rmtree(cache / "openvino", ignore_errors=True)
    for length in (None, 8):
        BiEncoder(model=str(tiny_bi_encoder), dtype="int8", max_length=length).prepare()
    assert len(list((cache / "openvino").iterdir())) == 2


@needs_openvino
def test_threads_share_a_stage(tiny_bi_encoder: Path) -> None:
    stage = BiEncoder(model=str(tiny_bi_encoder), dtype="int8")
    expected = stage.encode_queries(QUERIES)
    body = stage.network[0].model
    sample = stage.network.preprocess(QUERIES[:1])
    alone = body(**sample)["last_hidden_state"].clone()
    seen: list[bool] = []

    def ask() -> None:
        seen.extend(bool((body(**sample)["last_hidden_state"] == alone).all()) for _ in range(20))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 80 and all(seen)
    np.testing.assert_array_equal(stage.encode_queries(QUERIES), expected)


@needs_openvino
def test_another_process_gets_it_by_its_file(tiny_bi_encoder: Path) -> None:
    body = BiEncoder(model=str(tiny_bi_encoder), dtype="int8").network[0].model
    sample = {"input_ids": np.array([[2, 5, 6, 3]]), "attention_mask": np.ones((1, 4), np.int64)}
    import torch

    given = {name: torch.from_numpy(values) for name, values in sample.items()}
    given["token_type_ids"] = torch.zeros_like(given["input_ids"])
    again = pickle.loads(pickle.dumps(body.forward))
    assert (again(**given)["last_hidden_state"] == body.forward(**given)["last_hidden_state"]).all()


@needs_openvino
def test_what_identifies_it(tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = str(tiny_bi_encoder)
    plain, torchs = BiEncoder(model=model, dtype="float32"), BiEncoder(model=model, dtype="float32", backend="torch")
    exact = BiEncoder(model=model, dtype="float32", backend="openvino")
    short, named = BiEncoder(model=model, dtype="int8"), BiEncoder(model=model, dtype="int8", backend="openvino")
    assert "backend" not in plain.described()
    assert plain.fingerprint == torchs.fingerprint
    assert short.fingerprint == named.fingerprint
    assert len({plain.fingerprint, exact.fingerprint, short.fingerprint}) == 3
    assert short.described()["backend"] == {"name": "openvino", **openvino.versions()}
    assert short.described()["dtype"] == "int8"
    before = short.fingerprint
    monkeypatch.setattr(openvino, "versions", lambda: {"openvino": "1", "nncf": "1"})
    assert short.fingerprint != before


@needs_openvino
def test_auto_probes_what_is_at_hand(tiny_bi_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtypes, "SMALL", 0)
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path))
    asked: list[dict[Format, Any]] = []

    def probed(models: dict[Format, Any], *_: Any) -> Probed:
        asked.append(models)
        models[INT8](QUERIES, DOCUMENTS, ROWS)
        return Probed("int8", "openvino")

    monkeypatch.setattr(dtypes, "probed", probed)
    stage = BiEncoder(model=str(tiny_bi_encoder), device="cpu")
    stage.prepare()
    assert [str(one) for one in asked[0]] == ["float32", "bfloat16", "openvino int8"]
    assert (stage.computes_in, stage.number_format) == ("int8", INT8)
    said = BiEncoder(model=str(tiny_bi_encoder), dtype="int8")
    assert stage.fingerprint == said.fingerprint == BiEncoder(model=str(tiny_bi_encoder), device="cpu").fingerprint
    np.testing.assert_array_equal(stage.encode_documents(DOCUMENTS), said.encode_documents(DOCUMENTS))
    assert BiEncoder(model=str(tiny_bi_encoder), device="cpu", backend="torch").computes_in == "auto"
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    assert BiEncoder(model=str(tiny_bi_encoder), device="cpu").computes_in == "auto"
    assert len(asked) == 1


@needs_openvino
def test_a_model_that_openvino_cannot_compute(
    tiny_bi_encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dtypes, "SMALL", 0)
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path))

    def fails(*_: Any) -> None:
        raise RuntimeError("no conversion rule\nfor aten::strange")

    monkeypatch.setattr(openvino, "traced", fails)
    with pytest.raises(InputError) as refused:
        BiEncoder(model=str(tiny_bi_encoder), dtype="int8").prepare()
    assert str(refused.value).endswith("OpenVINO cannot compute it: no conversion rule for aten::strange")
    stage = BiEncoder(model=str(tiny_bi_encoder), device="cpu")
    stage.prepare()
    assert stage.computes_in in ("float32", "bfloat16")
    (file,) = (tmp_path / "dtypes").iterdir()
    assert "no conversion rule for aten::strange" in json.loads(file.read_text())["why"]


@needs_openvino
def test_a_trace_that_depends_on_its_batch_is_found_out(tiny_bi_encoder: Path, tmp_path: Path) -> None:
    import torch

    class Counts(torch.nn.Module):
        def forward(self, input_ids: Any, attention_mask: Any, return_dict: bool) -> dict[str, Any]:
            return {"out": input_ids.unsqueeze(2).float() * float(attention_mask.sum())}

    inputs = [
        {"input_ids": torch.arange(size)[None, :], "attention_mask": torch.ones(1, size, dtype=torch.int64)}
        for size in (3, 4, 5, 6)
    ]
    with openvino.quiet(), pytest.raises(RuntimeError, match=r"^converted, its numbers move by"):
        openvino.traced(Counts(), "out", inputs)


@needs_openvino
def test_what_openvino_is_not_asked_for(tiny_static: Path, tiny_bi_encoder: Path) -> None:
    stage = BiEncoder(model=str(tiny_static), backend="openvino")
    with pytest.raises(InputError, match=r"begin with a transformer, not StaticEmbedding"):
        stage.prepare()
    with pytest.raises(InputError, match=r'on cuda; set device = "cpu"$'):
        openvino_on_cuda = BiEncoder(model=str(tiny_bi_encoder), dtype="int8")
        openvino_on_cuda.device = "cuda"
        from mteb_cascade.stages.number_format import swap_transformer

        swap_transformer(openvino_on_cuda, None, "")


def test_a_table_is_float32_however_large(tiny_static: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtypes, "SMALL", 0)
    assert BiEncoder(model=str(tiny_static)).computes_in == "float32"


@pytest.mark.parametrize("options", [("torch", "int8"), ("openvino", "bfloat16"), ("openvino", "float16")])
def test_formats_that_a_back_end_does_not_have(options: tuple[Any, Any]) -> None:
    backend, dtype = options
    with pytest.raises(InputError, match=rf'^backend = "{backend}" does not compute in dtype = "{dtype}": expected '):
        BiEncoder(model="./somewhere", backend=backend, dtype=dtype)


def test_without_the_extra(tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openvino, "is_installed", lambda: False)
    stage = BiEncoder(model=str(tiny_bi_encoder), dtype="int8")
    with pytest.raises(InputError, match=r"OpenVINO is not installed: pip install 'mteb-cascade\[openvino\]'$"):
        stage.prepare()
    stage = BiEncoder(model=str(tiny_bi_encoder))
    stage.index(Corpus.of(["a", "b"], ["red", "fox"]))
    assert stage.computes_in == "float32"
    monkeypatch.setattr(dtypes, "SMALL", 0)
    for _ in range(2):  # What it would find without the extra is not kept.
        stage = BiEncoder(model=str(tiny_bi_encoder), device="cpu", backend="openvino")
        assert stage.number_format is None
        with pytest.raises(InputError, match="OpenVINO is not installed"):
            stage.prepare()
