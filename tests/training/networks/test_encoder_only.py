"""Models of every kind as `train` leaves them: plain sentence-transformers loads them, and scores as our stage does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from careful_runs import furthest, weights
from encoder_decoders import saved
from safetensors import safe_open
from tiny_training import write_specs

import mteb_cascade as mc
from mteb_cascade.corpora.beir import load as load_beir
from mteb_cascade.training import fit
from mteb_cascade.training.networks.build import NETWORKS
from mteb_cascade.training.networks.scratch import scratch_base
from mteb_cascade.training.options import Scratch, Training
from mteb_cascade.training.train import train
from mteb_cascade.values.run import Run

LOSSES = {
    "cross-encoder": {"loss": "softmax", "negatives": 2},
    "bi-encoder": {"loss": "contrastive"},
    "sparse": {"loss": "contrastive", "document_regularizer": 0.001},
    "late-interaction": {"loss": "contrastive", "query_length": 4, "max_length": 12},
}
PROMPTS = {"query_prompt": "w0 ", "document_prompt": "w1 "}


class Trained:
    """What `train` made of a spec: the network as it is in memory at the end, and the stage that loads its folder.

    Args:
        write_spec: The fixture.
        monkeypatch: Keeps a hand on the trainer, which `train` returns not.
        kind: Of the spec.
        overrides: Of its `[training]` table, which otherwise builds a BERT of one layer from nothing.
    """

    def __init__(
        self, write_spec: Any, monkeypatch: pytest.MonkeyPatch, kind: str, overrides: dict[str, Any] | None = None
    ) -> None:
        write_specs(write_spec, kind, learning_rate=0.05, epochs=2, **LOSSES[kind])
        made: Callable[..., Any] = fit.trainer_of

        def trainer_of(*given: Any, **changes: Any) -> Any:
            trainer = made(*given, **changes)
            self.network, self.before = trainer.model, weights(trainer.model)
            return trainer

        monkeypatch.setattr(fit, "trainer_of", trainer_of)
        self.folder = train("tiny", overrides={"scratch.layers": 1, **(overrides or {})})
        collection = load_beir(Path("words"))
        self.queries, self.corpus = collection.split("dev").queries, collection.corpus
        self.stage = mc.load("tiny")
        self.stage.index(self.corpus)

    @property
    def scores(self) -> np.ndarray:
        """float32 [12, 60], our stage's of every query and document."""
        shape = (len(self.queries), len(self.corpus))
        rows = np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape)
        return self.stage.score(self.queries, Run(self.queries.ids, self.corpus, rows, np.zeros(shape, np.float32)))

    def plain(self) -> Any:
        """What plain sentence-transformers makes of the folder."""
        import sentence_transformers

        return getattr(sentence_transformers, NETWORKS[self.stage.kind])(str(self.folder))

    def scores_of(self, network: Any) -> np.ndarray:
        """float32 [12, 60], those of a network of sentence-transformers by its own methods."""
        queries, documents = list(self.queries.texts), self.corpus.texts.to_pylist()
        if self.stage.kind == "cross-encoder":
            pairs = [(query, document) for query in queries for document in documents]
            return np.asarray(network.predict(pairs).reshape(len(queries), len(documents)))
        found = network.similarity(network.encode_query(queries), network.encode_document(documents))
        return np.asarray((found.to_dense() if found.is_sparse else found).cpu().numpy())

    def tensors(self) -> list[str]:
        """Names of all tensors in the folder."""
        names = []
        for path in self.folder.rglob("*.safetensors"):
            with safe_open(path, framework="np") as file:
                names += list(file.keys())
        return names


def has_learned_and_is_one_model(trained: Trained) -> None:
    """Its layers' weights moved; in memory, by plain sentence-transformers and by our stage it scores the same."""
    layers = {name: before for name, before in trained.before.items() if ".layer" in name}
    assert furthest(layers, weights(trained.network)) > 1e-3
    scores = trained.scores
    assert scores.std() > 1e-3
    for network in (trained.network.eval(), trained.plain()):
        np.testing.assert_allclose(trained.scores_of(network), scores, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of the words of the tiny collection."""
    from tiny_training import write_collection
    from transformers import AutoTokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    write_collection(folder / "words")
    options = Training("scratch", "-", scratch=Scratch(vocabulary=120, dim=8, layers=1, heads=1, feed_forward=8))
    corpus = load_beir(folder / "words").corpus
    return AutoTokenizer.from_pretrained(scratch_base(options, corpus, folder / "base", "words"))


@pytest.mark.parametrize("family", ["T5", "T5Gemma"])
def test_an_encoder_ranker(
    family: str, tokenizer: Any, write_spec: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = saved(family, "ConditionalGeneration", tokenizer, tmp_path / "base")
    trained = Trained(write_spec, monkeypatch, "cross-encoder", {"base": str(base)})
    names = trained.tensors()
    assert any(".layer" in name for name in names) and not any("decoder" in name for name in names)
    assert not any("decoder" in name for name, _ in trained.plain().named_modules())
    has_learned_and_is_one_model(trained)


@pytest.mark.parametrize("kind", list(NETWORKS))
def test_every_kind_from_nothing(kind: str, write_spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = Trained(write_spec, monkeypatch, kind, {} if kind == "cross-encoder" else PROMPTS)
    assert any("layer.0.attention" in name for name in trained.tensors())
    has_learned_and_is_one_model(trained)
    if kind != "cross-encoder":
        assert (trained.plain().prompts["query"], trained.plain().prompts["document"]) == ("w0 ", "w1 ")


def test_an_encoder_each_for_queries_and_documents(write_spec: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = Trained(write_spec, monkeypatch, "bi-encoder", {"separate": True, "pooling": "cls", **PROMPTS})
    has_learned_and_is_one_model(trained)
    plain = trained.plain()
    asked, told = (encode(["w3 w5"], prompt="") for encode in (plain.encode_query, plain.encode_document))
    assert np.abs(asked - told).max() > 1e-3
    router = plain[0].sub_modules
    assert furthest(weights(router["query"]), weights(router["document"])) > 1e-3
