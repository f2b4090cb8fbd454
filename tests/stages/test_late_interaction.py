"""Token vectors within a budget: what is held decides how long scoring takes, not what comes out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from table_stage import TEXTS

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine.held import Held
from mteb_cascade.errors import InputError
from mteb_cascade.stages import late_interaction
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.late_interaction import LateInteraction, bytes_of
from mteb_cascade.stages.load import load
from mteb_cascade.values.run import Run

TEXTS_30 = [TEXTS[row % 7] + " tree" * (row % 4) for row in range(30)]
CORPUS = Corpus.of([f"d{row}" for row in range(30)], TEXTS_30)
QUERIES = Queries(("q", "p", "o"), ("red fox stone", "the whale", "green"))


@pytest.fixture
def candidates() -> Run:
    rng = np.random.default_rng(0)
    docs = np.stack([rng.permutation(30)[:12] for _ in range(3)]).astype(np.int32)
    docs[1, 7:] = -1
    return Run(QUERIES.ids, CORPUS, docs, np.zeros(docs.shape, np.float32))


def maxsim(folder: Path, candidates: Run) -> np.ndarray:
    """Pair by pair, each text encoded alone."""
    from sentence_transformers import MultiVectorEncoder

    network = MultiVectorEncoder(str(folder), device="cpu")
    scores = np.full(candidates.docs.shape, -np.inf)
    for row, text in enumerate(QUERIES.texts):
        query = network.encode_query(text).numpy()
        for column, doc in enumerate(candidates.docs[row]):
            if doc >= 0:
                scores[row, column] = (query @ network.encode_document(TEXTS_30[doc]).numpy().T).max(1).sum()
    return scores


def test_scores_do_not_depend_on_what_is_held(
    tiny_late_interaction: Path, candidates: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = maxsim(tiny_late_interaction, candidates)
    for bytes_at_once, held in ((60, 0), (60, 1), (1_000_000, 0), (1_000_000, 1)):
        monkeypatch.setattr(late_interaction, "BLOCK_BYTES", bytes_at_once)
        stage = LateInteraction(model=str(tiny_late_interaction), held_mb=held)
        for _ in range(2):
            np.testing.assert_allclose(stage.score(QUERIES, candidates), expected, rtol=1e-5, atol=1e-5)
        assert (stage._held.size > 0) == (held > 0)


def test_each_text_is_encoded_once_in_a_call_whatever_is_held(
    tiny_late_interaction: Path, candidates: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(late_interaction, "BLOCK_BYTES", 1_000_000)
    for held, calls in ((0, 2), (1, 1)):
        encoded: list[str] = []
        stage = LateInteraction(model=str(tiny_late_interaction), held_mb=held)
        encode = stage.encode_documents
        monkeypatch.setattr(stage, "encode_documents", lambda texts, e=encode, n=encoded: n.extend(texts) or e(texts))
        stage.score(QUERIES, candidates)
        stage.score(QUERIES, candidates)
        distinct = {TEXTS_30[doc] for doc in candidates.docs.ravel() if doc >= 0}
        assert sorted(encoded) == sorted([*distinct] * calls)


def test_no_more_is_held_than_allowed_and_the_oldest_goes_first() -> None:
    encoded: list[str] = []

    def encode(texts: list[str]) -> list[torch.Tensor]:
        encoded.extend(texts)
        return [torch.full((int(text), 2), float(text)) for text in texts]

    held = Held(10 * 8, bytes_of)
    assert [len(one) for one in held.of(["3", "4", "3"], encode)] == [3, 4, 3]
    held.of(["3"], encode)
    held.of(["5"], encode)
    assert (held.size, encoded) == (8 * 8, ["3", "4", "5"])
    held.of(["3", "5"], encode)
    assert encoded == ["3", "4", "5"]
    assert held.of(["4"], encode)[0].tolist() == [[4.0, 4.0]] * 4
    assert encoded == ["3", "4", "5", "4"]
    held.of(["20"], encode)
    assert held.size == 0
    with pytest.raises(InputError, match="held_mb: expected 0 or more, got -1"):
        LateInteraction(held_mb=-1)


def test_the_budget_is_no_part_of_the_fingerprint(tiny_late_interaction: Path) -> None:
    one, two = (LateInteraction(model=str(tiny_late_interaction), held_mb=held) for held in (1, 2))
    assert one.fingerprint == two.fingerprint
    assert "held_mb" not in one.described()


def test_a_large_corpus_wants_a_first_stage(tiny_late_interaction: Path) -> None:
    stage: Stage = LateInteraction(model=str(tiny_late_interaction), pair_limit=89)
    stage.index(CORPUS)
    with pytest.raises(InputError, match=r"3 queries x 30 documents = 90 pairs, .* Put a first stage before it"):
        stage.retrieve(QUERIES, 3)
    stage.pair_limit = 90
    assert stage.retrieve(QUERIES, 3).depth == 3


def test_a_folder_that_pylate_saved_loads(tiny_bert: Path, tmp_path: Path) -> None:
    """PyLate lists a Transformer and a Dense of its own, and keeps prefixes and lengths beside them."""
    from safetensors.torch import save_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Transformer

    folder = tmp_path / "pylate"
    SentenceTransformer(modules=[Transformer(str(tiny_bert))], device="cpu").save(str(folder))
    (folder / "1_Dense").mkdir()
    torch.manual_seed(0)
    save_file({"linear.weight": torch.randn(8, 16)}, folder / "1_Dense" / "model.safetensors")
    dense = {
        "in_features": 16,
        "out_features": 8,
        "bias": False,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (folder / "1_Dense" / "config.json").write_text(json.dumps(dense))
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 1, "name": "1", "path": "1_Dense", "type": "pylate.models.Dense.Dense"})
    (folder / "modules.json").write_text(json.dumps(modules))
    written = {"model_type": "ColBERT", "similarity_fn_name": "MaxSim", "prompts": {}, "query_prefix": "[Q] "}
    written |= {
        "document_prefix": "[D] ",
        "query_length": 16,
        "document_length": 32,
        "attend_to_expansion_tokens": False,
    }
    (folder / "config_sentence_transformers.json").write_text(json.dumps(written))

    stage = load(folder)
    assert isinstance(stage, LateInteraction)
    assert [tuple(one.shape) for one in stage.encode_queries(["red fox"])] == [(16, 8)]
    stage.index(CORPUS)
    assert stage.retrieve(QUERIES, 5).depth == 5
