"""Scores against the model's own similarity."""

from __future__ import annotations

import numpy as np
import pytest
from doctored import collection_of, placed

from mteb_cascade.spec import read
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.studies.doctor.checks import normalisation

DOCUMENTS = ("red fox", "blue whale of the old stone", "green tree", "old stone", "the fox", "the whale and the tree")


class Unnormalised(BiEncoder):
    """Takes inner products of vectors as they are, whatever the model says."""

    def _unit(self, vectors):
        return np.asarray(vectors, np.float32)


def found(stage):
    return list(normalisation.check(placed(stage, collection_of(DOCUMENTS, ("fox", "whale", "stone")))))


def test_inner_products_where_the_model_says_cosine(tiny_bi_encoder):
    (one,) = found(Unnormalised(model=str(tiny_bi_encoder)))
    assert one.verdict == "fail"
    assert "compares by cosine, but the stage's scores are by dot" in one.evidence
    assert "normalise" in one.remedy


def test_a_stage_that_does_as_its_model_says(tiny_bi_encoder, tiny_static):
    for folder, measure in ((tiny_bi_encoder, "cosine"), (tiny_static, "dot")):
        (one,) = found(BiEncoder(model=str(folder)))
        assert (one.verdict, one.figures["similarity"]) == ("ok", measure)
        assert one.figures["difference"] < 1e-3
    assert found(BM25()) == []


def test_scores_that_are_no_similarity_at_all(tiny_bi_encoder):
    class Odd(BiEncoder):
        def compare(self, queries, documents):
            return np.sin(7 * super().compare(queries, documents)).astype(np.float32)

    (one,) = found(Odd(model=str(tiny_bi_encoder)))
    assert one.verdict == "fail"
    assert "something else" in one.evidence


@pytest.mark.parametrize(("stated", "verdict"), [("dot", "fail"), ("cosine", "ok")])
def test_a_card_that_says_otherwise(tiny_bi_encoder, write_spec, stated, verdict):
    card = f'kind = "bi-encoder"\n[card]\nsimilarity_fn_name = "{stated}"\n'
    (one,) = found(BiEncoder(model=str(tiny_bi_encoder), spec=read(write_spec("mine", card))))
    assert one.verdict == verdict


def test_a_card_that_says_otherwise_of_vectors_of_length_1(tiny_bi_encoder, tmp_path, write_spec):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize

    network = SentenceTransformer(str(tiny_bi_encoder), device="cpu")
    network.append(Normalize())
    network.save_pretrained(str(tmp_path / "unit"))
    card = 'kind = "bi-encoder"\n[card]\nsimilarity_fn_name = "dot"\n'
    (one,) = found(BiEncoder(model=str(tmp_path / "unit"), spec=read(write_spec("mine", card))))
    assert one.verdict == "note"
    assert "vectors have length 1" in one.evidence
