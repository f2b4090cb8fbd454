"""Prompts that are missing, switched off, swapped or unread."""

from __future__ import annotations

import pytest
from doctored import collection_of, placed

from mteb_cascade.spec import read
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.studies.doctor.checks import prompts

DOCUMENTS = ("red fox", "blue whale", "green tree", "old stone", "the fox", "the whale")
QUERIES = ("fox", "blue", "green")


def found(stage):
    return list(prompts.check(placed(stage, collection_of(DOCUMENTS, QUERIES))))


@pytest.fixture
def prompted(tiny_bi_encoder, tmp_path):
    """Saves a model with these prompts."""
    from sentence_transformers import SentenceTransformer

    def save(name="model", **own):
        network = SentenceTransformer(str(tiny_bi_encoder), device="cpu")
        network.prompts = own
        network.save_pretrained(str(tmp_path / name))
        return str(tmp_path / name)

    return save


def test_none_and_none_expected(tiny_bi_encoder):
    (one,) = found(BiEncoder(model=str(tiny_bi_encoder)))
    assert one.verdict == "ok"
    assert found(BM25()) == []


@pytest.mark.parametrize("prompt", ["query: ", "search_query: ", "Represent this sentence for searching passages: "])
def test_a_query_prompt_on_documents(tiny_bi_encoder, prompt):
    (one,) = found(BiEncoder(model=str(tiny_bi_encoder), document_prompt=prompt))
    assert one.verdict == "fail"
    assert f"documents get a query's prompt, {prompt!r}" in one.evidence
    assert "leave document_prompt out" in one.remedy


def test_the_models_own_prompts_are_right_and_swapped_ones_wrong(prompted):
    folder = prompted(query="red ", document="blue ")
    assert [one.verdict for one in found(BiEncoder(model=folder))] == ["ok"]
    both = found(BiEncoder(model=folder, query_prompt="blue ", document_prompt="red "))
    assert [one.verdict for one in both] == ["fail", "fail"]
    assert "queries get a document's prompt, 'blue '" in both[0].evidence
    assert "documents get a query's prompt, 'red '" in both[1].evidence


def test_the_evidence_is_what_the_right_prompts_give(prompted):
    folder = prompted(query="red ", document="blue ")
    wrong, right = BiEncoder(model=folder, document_prompt="red "), BiEncoder(model=folder)
    (one,) = found(wrong)

    def area(stage):
        scores = placed(stage, collection_of(DOCUMENTS, QUERIES)).probe_scores
        return float(((scores[:, :1] > scores[:, 1:]) + 0.5 * (scores[:, :1] == scores[:, 1:])).mean())

    assert one.figures["auc"] == pytest.approx(area(wrong))
    assert one.figures["auc_expected"] == pytest.approx(area(right))


def test_a_prompt_that_the_spec_switches_off(prompted):
    (one,) = found(BiEncoder(model=prompted(query="red "), query_prompt=""))
    assert (one.verdict, one.remedy) == ("fail", "take query_prompt out of the spec")


def test_a_prompt_under_a_name_that_is_not_read(prompted):
    folder = prompted(query="red ", passage="blue ")
    stage = BiEncoder(model=folder)
    alone, prompt = stage.encode_documents(["fox"]), stage.network.encode(["blue fox"])
    assert abs(alone - prompt).max() > 1e-3, "sentence-transformers reads it by now: the check has lost its reason"
    (one,) = found(stage)
    assert one.verdict == "fail"
    assert "document_prompt = 'blue '" in one.remedy
    assert [one.verdict for one in found(BiEncoder(model=folder, document_prompt="blue "))] == ["ok"]


def test_families_whose_folders_say_nothing(prompted):
    assert [one.verdict for one in found(BiEncoder(model=prompted("e5-small-v2")))] == ["fail", "fail"]
    right = BiEncoder(model=prompted("e5-small-v2"), query_prompt="query: ", document_prompt="passage: ")
    assert [one.verdict for one in found(right)] == ["ok"]
    (one,) = found(BiEncoder(model=prompted("bge-small-en-v1.5")))
    assert one.verdict == "note"
    assert "Represent this sentence" in one.remedy


def test_a_model_trained_here_from_such_a_base_may_do_without(tiny_bi_encoder, write_spec):
    path = write_spec("mine", 'kind = "bi-encoder"\n[training]\nbase = "intfloat/e5-small-v2"\nloss = "contrastive"\n')
    both = found(BiEncoder(model=str(tiny_bi_encoder), spec=read(path)))
    assert [one.verdict for one in both] == ["note", "note"]


def test_a_model_from_nothing_is_of_no_family_whatever_it_is_called(prompted, write_spec):
    path = write_spec("our-e5", 'kind = "bi-encoder"\n[training]\nbase = "scratch"\nloss = "contrastive"\n')
    assert [one.verdict for one in found(BiEncoder(model=prompted("our-e5"), spec=read(path)))] == ["ok"]


def test_the_name_that_a_checkpoint_was_made_from_is_a_hint(prompted):
    import json
    from pathlib import Path

    folder = Path(prompted("fine-tuned"))
    config = json.loads((folder / "config.json").read_text()) | {"_name_or_path": "nomic-ai/nomic-embed-text-v1.5"}
    (folder / "config.json").write_text(json.dumps(config))
    both = found(BiEncoder(model=str(folder)))
    assert [one.verdict for one in both] == ["note", "note"]
    assert "search_document: " in both[1].remedy
