"""MaxSim token by token: the sums are the stage's scores, and every token is said to be what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.inspecting.token_alignment import Alignment, Match, Token, aligned, matches
from mteb_cascade.stages.late_interaction import LateInteraction
from mteb_cascade.values.run import Run

TEXTS = ["the red fox", "old stone of the whale", "green tree " * 40, ""]
QUERY = "red whale"


def scores(stage: LateInteraction) -> np.ndarray:
    corpus = Corpus.of([f"d{row}" for row in range(len(TEXTS))], TEXTS)
    docs = np.arange(len(TEXTS), dtype=np.int32)[None, :]
    return stage.score(Queries(("q",), (QUERY,)), Run(("q",), corpus, docs, np.zeros(docs.shape, np.float32)))[0]


@pytest.fixture(scope="session")
def colbert(tiny_bert: Path) -> Path:
    """A prompt before each text, queries extended with [MASK] to 8 tokens, and "the" of documents left out."""
    from sentence_transformers import MultiVectorEncoder
    from sentence_transformers.multi_vector_encoder.modules import MultiVectorMask

    torch.manual_seed(0)
    network = MultiVectorEncoder(str(tiny_bert), device="cpu")
    network[0].query_expansion = {"strategy": "fixed", "attend": False, "length": 8, "token": None}
    kept = [module for module in network if not isinstance(module, MultiVectorMask)]
    modules = [*kept, MultiVectorMask(skiplist_words=["the"])]
    prompts = {"query": "stone ", "document": "old "}
    folder = tiny_bert.parent / "tiny-colbert"
    MultiVectorEncoder(modules=modules, prompts=prompts, device="cpu").save(str(folder))
    return folder


@pytest.mark.parametrize("mean", [False, True])
def test_the_sum_is_the_score(tiny_late_interaction: Path, colbert: Path, mean: bool) -> None:
    for folder in (tiny_late_interaction, colbert):
        stage = LateInteraction(model=str(folder), max_length=32)
        stage.network.similarity_fn_name = "meanmaxsim" if mean else "maxsim"
        found = aligned(stage, QUERY, [(f"d{row}", text) for row, text in enumerate(TEXTS)])
        assert [one.document for one in found] == ["d0", "d1", "d2", "d3"]
        np.testing.assert_allclose([one.score for one in found], scores(stage), rtol=1e-5, atol=1e-5)


def test_tokens_are_what_they_are(colbert: Path) -> None:
    stage = LateInteraction(model=str(colbert))
    (found,) = aligned(stage, QUERY, [("d", "the red fox")])
    assert [(one.token.text, one.token.role) for one in found.matches] == [
        ("[CLS]", "marker"),
        ("stone", "prompt"),
        ("red", ""),
        ("whale", ""),
        ("[SEP]", "marker"),
        *[("[MASK]", "expansion")] * 3,
    ]
    # "the" is not compared.
    compared = {Token("[CLS]", "marker"), Token("old", "prompt"), Token("red"), Token("fox"), Token("[SEP]", "marker")}
    assert {one.matched for one in found.matches} <= compared
    own = LateInteraction(model=str(colbert), query_prompt="", document_prompt="")
    assert [one.token.role for one in aligned(own, QUERY, [("d", "")])[0].matches][1] == ""


def test_matches_by_hand() -> None:
    query, document = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([[0.5, 0.0], [0.25, -1.0]])
    tokens, candidates = [Token("a"), Token("b")], [Token("x"), Token("y")]
    found = matches(tokens, query, candidates, document)
    assert found == [Match(tokens[0], candidates[0], 0.5), Match(tokens[1], candidates[0], 0.0)]
    assert matches(tokens, query, [], document[:0]) == [Match(token, None, 0.0) for token in tokens]
    assert (Alignment("d", tuple(found)).score, Alignment("d", tuple(found), mean=True).score) == (0.5, 0.25)


def test_vectors_that_are_not_of_single_tokens_are_refused(
    tiny_late_interaction: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = LateInteraction(model=str(tiny_late_interaction))
    forward = stage.network.forward

    def pooled(features: dict[str, Any], **options: Any) -> dict[str, Any]:
        given = forward(features, **options)
        return {**given, **{name: given[name][:, :1] for name in ("token_embeddings", "attention_mask")}}

    monkeypatch.setattr(stage.network, "forward", pooled)
    with pytest.raises(InputError, match="its vectors are not those of single tokens"):
        aligned(stage, QUERY, [("d", "red fox")])
