"""Scores that depend on what is scored beside them: pads that are read, dropout that is left on."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from planted import COLLECTION, Coverage, in_place, one

from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.late_interaction import LateInteraction
from mteb_cascade.stages.sparse import Sparse
from mteb_cascade.studies.doctor.checks import padding


class Padded(Coverage):
    """Pads its batch to the longest text and counts the pads as text."""

    def given(self, scores, texts):
        longest = max(map(len, texts))
        return scores - np.array([longest - len(text) for text in texts]) / 100


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        (CrossEncoder, "tiny_cross_encoder"),
        (BiEncoder, "tiny_bi_encoder"),
        (LateInteraction, "tiny_late_interaction"),
        (Sparse, "tiny_sparse"),
    ],
)
def test_sound_models_pass(kind, folder, request):
    found = one(padding.check(in_place(kind(model=str(request.getfixturevalue(folder))))))
    assert found.verdict == "ok"
    assert found.figures["queries"] == padding.FEW


def test_pads_that_are_read():
    subject = in_place(Padded())
    found = one(padding.check(subject))
    assert found.verdict == "fail"
    texts = subject.candidates.corpus.texts.to_pylist()
    shortest = [min((texts[doc] for doc in row), key=len) for row in subject.candidates.docs[: padding.FEW]]
    longest = max((texts[doc] for doc in np.unique(subject.candidates.docs)), key=len)
    expected = max(len(longest) - len(text) for text in shortest) / 100 / np.std(subject.scores)
    assert found.figures["largest"] == pytest.approx(expected, rel=1e-4)


def test_scores_that_follow_from_the_place_in_the_list():
    """Every answer that is tried stands first, so that all other checks find such a reranker perfect."""

    class Places(Coverage):
        def score(self, queries, candidates):
            return np.where(candidates.docs >= 0, -np.arange(candidates.depth), -np.inf).astype(np.float32)

    assert one(padding.check(in_place(Places()))).verdict == "fail"


def test_a_stage_that_compares_its_candidates_says_so():
    class Listwise(Padded):
        pointwise = False

    assert list(padding.check(in_place(Listwise()))) == []
    assert list(padding.check(in_place(BM25()))) == []


def test_an_encoder_whose_mask_gets_lost(tiny_bi_encoder, monkeypatch):
    """Vectors that the stage holds already do not hide it."""
    stage = BiEncoder(model=str(tiny_bi_encoder))
    forward = stage.network[0].auto_model.forward
    stage.network[0].auto_model.forward = lambda **inputs: forward(**{**inputs, "attention_mask": None})
    subject = in_place(stage)
    _ = subject.scores
    encoded = []
    encode = BiEncoder.encode_documents
    monkeypatch.setattr(BiEncoder, "encode_documents", lambda self, texts: encoded.extend(texts) or encode(self, texts))
    assert one(padding.check(subject)).verdict == "fail"
    shortest, longest = padding.by_length(subject)
    texts = set(COLLECTION.corpus.texts_at(np.append(shortest[: padding.FEW], longest)))
    assert set(encoded) == texts


def test_dropout_that_is_left_on():
    class Dropping(Coverage):
        def given(self, scores, texts):
            kept = torch.nn.functional.dropout(torch.from_numpy(scores), 0.5, training=True)
            return kept.numpy()

    torch.manual_seed(0)
    found = one(padding.check(in_place(Dropping())))
    assert found.verdict == "fail"
    assert "alone, twice" in found.evidence
    assert "network.eval()" in found.remedy
