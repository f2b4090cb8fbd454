"""What headers and small JSON say of a model is what sentence-transformers finds when it loads the model."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentence_transformers
from safetensors.numpy import load_file, save_file

from mteb_cascade.spec import SpecError, required
from mteb_cascade.stages.load import load
from mteb_cascade.stages.model_meta import model_meta_of
from mteb_cascade.stages.training_facts import adapted_from, trained_on
from mteb_cascade.stages.weight_facts import (
    has_prompts,
    lacks_head,
    positions_of,
    similarity_of,
    size_of,
    tensors,
    tokens_of,
    width_of,
)

CLASSES = {
    "tiny_bi_encoder": ("SentenceTransformer", "bi-encoder"),
    "tiny_static": ("SentenceTransformer", "bi-encoder"),
    "tiny_late_interaction": ("MultiVectorEncoder", "late-interaction"),
    "tiny_sparse": ("SparseEncoder", "sparse"),
    "tiny_inference_free": ("SparseEncoder", "sparse"),
    "tiny_cross_encoder": ("CrossEncoder", "cross-encoder"),
}


@pytest.mark.parametrize("fixture", CLASSES)
def test_facts_are_those_of_the_loaded_model(fixture: str, request: pytest.FixtureRequest) -> None:
    folder: Path = request.getfixturevalue(fixture)
    name, kind = CLASSES[fixture]
    model = getattr(sentence_transformers, name)(str(folder), device="cpu")
    size = size_of(folder)
    assert size is not None
    # Tied weights are one parameter, and stored once; of an inference-free model the words' weights are frozen.
    assert size.parameters == sum(one.numel() for one in model.parameters())
    assert size.size == 4 * size.parameters
    table = [
        one.numel()
        for key, one in model.named_parameters()
        if key.endswith(("embedding.weight", "word_embeddings.weight"))
    ]
    assert size.embedding_parameters == sum(table)
    assert tokens_of(folder) == model.max_seq_length
    # Not what it says of itself: a SPLADE model says the width of its tokens there.
    assert width_of(folder, kind) == (None if kind == "cross-encoder" else model.encode("red fox").shape[-1])
    expected = (
        {"cross-encoder": None, "late-interaction": "MaxSim"}.get(kind)
        if kind in ("cross-encoder", "late-interaction")
        else model.similarity_fn_name
    )
    assert similarity_of(folder, kind) == expected
    assert not has_prompts(folder)


def test_memory_is_counted_in_the_stored_type_and_positions_are_no_parameters(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file as save

    save(
        {
            "encoder.embeddings.word_embeddings.weight": torch.zeros(10, 4, dtype=torch.bfloat16),
            "encoder.embeddings.position_embeddings.weight": torch.zeros(7, 4, dtype=torch.float16),
            "encoder.embeddings.position_ids": torch.zeros(1, 7, dtype=torch.int64),
            "head.weight": torch.zeros(3, dtype=torch.float32),
        },
        tmp_path / "model.safetensors",
    )
    size = size_of(tmp_path)
    assert size is not None
    assert (size.parameters, size.embedding_parameters, size.size) == (71, 40, 2 * 68 + 8 * 7 + 4 * 3)
    assert positions_of(tmp_path) == 7
    assert sorted(one.dtype for one in tensors(tmp_path)) == ["BF16", "F16", "F32", "I64"]
    assert size_of(tmp_path / "nowhere") is None


def test_a_classifier_without_its_head_is_told(tiny_cross_encoder: Path, tiny_bert: Path, tmp_path: Path) -> None:
    assert not lacks_head(tiny_cross_encoder)
    shutil.copytree(tiny_cross_encoder, tmp_path / "headless")
    shutil.copy(tiny_bert / "model.safetensors", tmp_path / "headless")
    assert lacks_head(tmp_path / "headless")


def test_widths_of_pooling_and_dense(tiny_bi_encoder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_bi_encoder, folder)
    pooling = folder / "1_Pooling" / "config.json"
    for config, width in (
        ({"word_embedding_dimension": 16, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True}, 32),
        ({"word_embedding_dimension": 16, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, 16),
        ({"embedding_dimension": 16, "pooling_mode": ["cls", "max", "mean"]}, 48),
    ):
        pooling.write_text(json.dumps(config))
        assert width_of(folder, "bi-encoder") == width
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"})
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "config.json").write_text('{"in_features": 48, "out_features": 5}')
    (folder / "modules.json").write_text(json.dumps(modules))
    assert width_of(folder, "bi-encoder") == 5
    modules[2]["type"] = "somebody.elses.Module"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert width_of(folder, "bi-encoder") is None


@pytest.fixture
def specs(
    write_spec: Callable[[str, str], Path], tiny_static: Path, tiny_cross_encoder: Path
) -> Callable[[str, str], Path]:
    """A table, a cross-encoder over positions, BM25, and a cascade of all three, the table twice."""
    write_spec("words", 'kind = "bm25"\n')
    write_spec("table", f'kind = "bi-encoder"\nmodel = "{tiny_static}"\n[card]\ntraining_datasets = ["NFCorpus"]\n')
    write_spec(
        "judge", f'kind = "cross-encoder"\nmodel = "{tiny_cross_encoder}"\n[card]\ntraining_datasets = ["MSMARCO"]\n'
    )
    write_spec("pair", 'kind = "hybrid"\n[[member]]\nmodel = "words"\n[[member]]\nmodel = "table"\n')
    steps = "".join(f'[[stage]]\nmodel = "{name}"\ndepth = {depth}\n' for name, depth in (("table", 9), ("judge", 5)))
    write_spec("whole", f'kind = "cascade"\n[[stage]]\nmodel = "pair"\n{steps}')
    return write_spec


def test_a_composition_is_the_sum_of_its_stages_each_once(
    specs: Any, tiny_static: Path, tiny_cross_encoder: Path
) -> None:
    table, judge = size_of(tiny_static), size_of(tiny_cross_encoder)
    assert table is not None
    assert judge is not None
    meta = model_meta_of(load("whole"))
    assert meta.n_parameters == table.parameters + judge.parameters
    assert meta.memory_usage_mb == round((table.size + judge.size) / 2**20, 2)
    assert meta.max_tokens == 64
    assert meta.training_datasets == {"NFCorpus", "MSMARCO"}
    assert meta.framework == ["NumPy", "Sentence Transformers", "PyTorch", "safetensors"]
    assert (model_meta_of(load("pair")).max_tokens, model_meta_of(load("words")).training_datasets) == (math.inf, set())
    specs("judge", f'kind = "cross-encoder"\nmodel = "{tiny_cross_encoder}"\nmax_length = 20\n')
    meta = model_meta_of(load("whole"))
    assert (meta.max_tokens, meta.training_datasets) == (20, None)


def test_a_card_has_the_last_word_and_all_of_its_mistakes_are_named(specs: Any, tiny_static: Path) -> None:
    text = f'kind = "bi-encoder"\nmodel = "{tiny_static}"\n[training]\nmatryoshka = [16, 4]\n[card]\ncommit = "x"\n'
    specs("table", text)
    assert model_meta_of(load("table")).embed_dim == [4, 16]
    specs("table", text + "n_parameters = 5\nembed_dim = 4\n")
    assert (model_meta_of(load("table")).n_parameters, model_meta_of(load("table")).embed_dim) == (5, 4)
    specs("table", text + 'license = "mine"\nlicence = "mit"\nlanguages = ["english"]\ntraining_datasets = "MSMARCO"\n')
    with pytest.raises(SpecError) as raised:
        model_meta_of(load("table"))
    lines = str(raised.value).splitlines()
    assert [line.partition("[card] ")[2].partition(":")[0] for line in lines] == [
        "licence",
        "training_datasets",
        "languages",
        "license",
    ]
    assert "Did you mean 'license'?" in lines[0]
    assert "mteb knows no license 'mine'" in lines[3]


def test_training_data_and_origin_follow_the_bases(specs: Any) -> None:
    training = '[training]\nbase = "{}"\ncollection = "{}"\n'
    specs(
        "hub", 'name = "org/first"\nkind = "bi-encoder"\n' + training.format("google-bert/bert-base-uncased", "MSMARCO")
    )
    specs("second", 'kind = "bi-encoder"\n' + training.format("hub", "PythonDocs"))
    specs("third", 'kind = "bi-encoder"\n' + training.format("second", "NFCorpus"))
    assert trained_on(required("third")) == {"MSMARCO", "PythonDocsRetrieval", "NFCorpus"}
    assert [adapted_from(required(name)) for name in ("hub", "second", "third")] == [
        "google-bert/bert-base-uncased",
        "org/first",
        "org/first",
    ]
    specs("scratch", 'kind = "bi-encoder"\n' + training.format("scratch", "NFCorpus"))
    assert (trained_on(required("scratch")), adapted_from(required("scratch"))) == ({"NFCorpus"}, None)
    specs("folder", 'kind = "bi-encoder"\n' + training.format("/some/folder", "NFCorpus"))
    assert (trained_on(required("folder")), adapted_from(required("folder"))) == (None, None)
    specs("self", 'kind = "bi-encoder"\n' + training.format("self", "NFCorpus"))
    assert (trained_on(required("self")), adapted_from(required("self"))) == (None, None)
    assert trained_on(required("table"), by_card=False) is None


def test_only_floats_of_the_right_folder_count(tiny_static: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_static, folder)
    before = size_of(folder)
    (folder / ".cache").mkdir()
    save_file({"embedding.weight": np.zeros((2, 2), np.float32)}, folder / ".cache" / "old.safetensors")
    assert size_of(folder) == before
    assert load_file(folder / "model.safetensors")["embedding.weight"].shape[1] == 16
