"""Checkpoints whose files lack what decides scores, and one that was saved before it was trained."""

from __future__ import annotations

import json
import shutil

import pytest
from planted import in_place, one
from safetensors.torch import load_file, save_file

from mteb_cascade.spec import Spec
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.sparse import Sparse
from mteb_cascade.studies.doctor.checks import head
from mteb_cascade.studies.doctor.examine import examine
from mteb_cascade.studies.doctor.lacking import lacking


@pytest.fixture
def without(tmp_path):
    """Copies a model's folder and takes the tensors out of it whose names contain a word."""

    def copy(folder, word):
        shutil.copytree(folder, tmp_path / "model")
        file = tmp_path / "model" / "model.safetensors"
        tensors = load_file(file)
        kept = {name: value for name, value in tensors.items() if word not in name}
        assert len(kept) < len(tensors)
        save_file(kept, file, metadata={"format": "pt"})
        return str(tmp_path / "model")

    return copy


def test_whole_files_lack_nothing(tiny_cross_encoder, tiny_bi_encoder, tiny_sparse, tiny_static):
    kinds = (CrossEncoder, tiny_cross_encoder), (BiEncoder, tiny_bi_encoder), (Sparse, tiny_sparse)
    for kind, folder in (*kinds, (BiEncoder, tiny_static)):
        assert lacking(kind(model=str(folder))) == []


def test_a_missing_pooler_of_a_cross_encoder(tiny_cross_encoder, without):
    stage = CrossEncoder(model=without(tiny_cross_encoder, "pooler.dense.weight"))
    assert lacking(stage) == ["bert.pooler.dense.weight"]
    found = one(head.check(in_place(stage)))
    assert found.verdict == "fail"
    assert found.evidence.startswith("bert.pooler.dense.weight is not in the weight files, so random at every load; ")


def test_a_pooler_that_no_score_is_read_from_may_be_missing(tiny_bi_encoder, without):
    assert lacking(BiEncoder(model=without(tiny_bi_encoder, "pooler"))) == []


def test_a_missing_layer_of_a_bi_encoder(tiny_bi_encoder, without):
    stage = BiEncoder(model=without(tiny_bi_encoder, "layer.0.output.dense"))
    found = one(head.check(in_place(stage)))
    assert (found.verdict, found.figures["missing"]) == (
        "fail",
        ["encoder.layer.0.output.dense.bias", "encoder.layer.0.output.dense.weight"],
    )


def test_a_missing_head_of_a_splade_model(tiny_sparse, without):
    stage = Sparse(model=without(tiny_sparse, "cls.predictions.transform"))
    found = one(head.check(in_place(stage)))
    assert found.verdict == "fail"
    assert "cls.predictions.transform.LayerNorm.bias" in found.evidence
    assert "and 1 more are not in the weight files" in found.evidence


def test_a_missing_classifier_is_refused_and_reported(tiny_cross_encoder, without, tmp_path):
    """Loading refuses it; the doctor says why instead of stopping."""
    folder, model = tmp_path / "words", without(tiny_cross_encoder, "classifier")
    (folder / "qrels").mkdir(parents=True)
    for file, prefix in (("corpus", "d"), ("queries", "q")):
        rows = [json.dumps({"_id": f"{prefix}{n}", "text": f"red fox {n}"}) for n in range(4)]
        (folder / f"{file}.jsonl").write_text("\n".join(rows))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq0\td0\t1\n")
    found = examine(model_stage := CrossEncoder(model=model), folder)
    (failure,) = [finding for finding in found.findings if finding.verdict == "fail"]
    assert failure.stage == model_stage.label
    assert "is newly initialised (classifier.weight, classifier.bias not in its weights)" in failure.evidence


def test_a_head_that_was_saved_as_it_was_made(tiny_cross_encoder):
    """All tensors are there; only the scores show it."""
    found = one(head.check(in_place(CrossEncoder(model=str(tiny_cross_encoder), max_length=40))))
    assert found.verdict == "fail"
    assert found.evidence.startswith("no better than chance: answers score above ")
    assert found.evidence.endswith("; classifier.bias is exactly 0, as before any training")


def test_a_baseline_that_was_never_trained_is_a_note(tiny_static, tmp_path):
    spec = Spec(tmp_path / "mine.toml", "local/mine", "bi-encoder", training={"recipe": "static", "epochs": 0})
    found = one(head.check(in_place(BiEncoder(model=str(tiny_static), spec=spec))))
    assert (found.verdict, found.evidence[:30]) == ("note", "never trained to rank, a basel")
