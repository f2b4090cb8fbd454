"""Tokens cut on both sides, against counts by hand and against the tokenizer itself."""

from __future__ import annotations

import numpy as np
import pytest
from doctored import collection_of, placed

from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.late_interaction import LateInteraction
from mteb_cascade.studies.doctor.checks import truncation

LONG = " ".join(["red fox"] * 10)
"""20 tokens, and 2 special ones."""


def found(stage, documents=(LONG, LONG, "old tree"), queries=("blue whale",)):
    return list(truncation.check(placed(stage, collection_of(documents, queries))))


def test_documents_cut_by_the_spec_fail_and_queries_that_fit_do_not(tiny_bi_encoder):
    queries, documents = found(BiEncoder(model=str(tiny_bi_encoder), max_length=8))
    assert queries.verdict == "ok"
    assert (documents.verdict, documents.figures["limit"], documents.figures["typical"]) == ("fail", 8, 22)
    assert documents.figures["longer"] == pytest.approx(2 / 3)
    assert documents.figures["lost"] == pytest.approx((14 + 14) / (22 + 22 + 4))
    assert "66.7% of documents cut at 8 tokens" in documents.evidence
    assert "the model takes 64" in documents.remedy


def test_queries_that_are_cut_fail(tiny_bi_encoder):
    queries, _ = found(BiEncoder(model=str(tiny_bi_encoder), max_length=8), queries=(LONG, "red fox"))
    assert (queries.verdict, queries.figures["longer"]) == ("fail", 0.5)


def test_a_model_is_not_blamed_for_its_position_table(tiny_bi_encoder):
    stage = BiEncoder(model=str(tiny_bi_encoder))
    assert [one.verdict for one in found(stage)] == ["ok", "ok"]
    far = " ".join([LONG] * 4)
    assert [one.verdict for one in found(stage, (far, far), (far,))] == ["note", "note"]


def test_a_limit_of_8_in_the_model_folder_is_a_mistake_too(tiny_bi_encoder, tmp_path):
    from sentence_transformers import SentenceTransformer

    network = SentenceTransformer(str(tiny_bi_encoder), device="cpu")
    network.max_seq_length = 8
    network.save_pretrained(str(tmp_path / "short"))
    _, documents = found(BiEncoder(model=str(tmp_path / "short")))
    assert documents.verdict == "fail"
    assert "give max_length in the spec" in documents.remedy


def test_prompts_take_their_share(tiny_bi_encoder):
    stage = BiEncoder(model=str(tiny_bi_encoder), max_length=8, query_prompt=f"{LONG} ")
    assert found(stage)[0].figures["longest"] == 24


def test_late_interaction_has_a_limit_of_queries(tiny_late_interaction):
    stage = LateInteraction(model=str(tiny_late_interaction))
    stage.network[0].query_length = 8
    queries, documents = found(stage, queries=(LONG,))
    assert (queries.verdict, documents.verdict) == ("fail", "ok")
    assert "query_length" in queries.remedy


def test_a_pair_leaves_little_of_the_document(tiny_cross_encoder):
    (pairs,) = found(
        CrossEncoder(model=str(tiny_cross_encoder), max_length=16, dtype="float32"), documents=(LONG, LONG)
    )
    # [CLS] and two [SEP]: 13 of 16 tokens are left for 2 of the query and 11 of the document.
    assert (pairs.verdict, pairs.figures["limit"], pairs.figures["typical"]) == ("fail", 16, 25)
    assert pairs.figures["lost"] == pytest.approx(9 / 20)
    assert "after the query a median of 11 of 20 document tokens is left" in pairs.evidence
    assert [one.verdict for one in found(CrossEncoder(model=str(tiny_cross_encoder), dtype="float32"))] == ["ok"]


def test_what_is_left_of_pairs_is_what_the_tokenizer_leaves(tiny_tokenizer):
    rng = np.random.default_rng(0)
    asked, answered, room = rng.integers(1, 20, 60), rng.integers(1, 20, 60), 11
    kept = truncation.left_of(asked, answered, room)
    for query, document, *expected in zip(asked, answered, *kept, strict=True):
        texts = " ".join(["fox"] * query), " ".join(["whale"] * document)
        ids = tiny_tokenizer(*texts, truncation="longest_first", max_length=room + 3)["input_ids"]
        counted = [ids.count(tiny_tokenizer.convert_tokens_to_ids(word)) for word in ("fox", "whale")]
        assert counted == expected


def test_what_reads_no_tokens_is_not_asked(tiny_static):
    assert found(BM25()) == []
    assert found(BiEncoder(model=str(tiny_static))) == []
