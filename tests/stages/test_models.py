"""Stages around networks: the same numbers as plain sentence-transformers gives."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from table_stage import TEXTS

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.spec import Spec
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.cross_encoder import CrossEncoder, head_layers
from mteb_cascade.stages.late_interaction import LateInteraction
from mteb_cascade.values.run import Run

CORPUS = Corpus.of([f"d{row}" for row in range(7)], TEXTS)
QUERIES = Queries(("q", "p"), ("red fox stone", "the whale"))
DOCS = np.tile(np.arange(7, dtype=np.int32), (2, 1))
ALL = Run(QUERIES.ids, CORPUS, DOCS, np.zeros(DOCS.shape, np.float32))


@pytest.mark.parametrize("measure", ["cosine", "dot", "euclidean", "manhattan"])
def test_bi_encoder_compares_as_the_model_was_trained(measure: str, tiny_bi_encoder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    network = SentenceTransformer(str(tiny_bi_encoder), similarity_fn_name=measure, device="cpu")
    network.save(str(tmp_path / "model"))
    expected = network.similarity(network.encode_query(list(QUERIES.texts)), network.encode_document(list(TEXTS)))
    stage = BiEncoder(model=str(tmp_path / "model"))
    np.testing.assert_allclose(stage.score(QUERIES, ALL), expected.numpy(), rtol=1e-5, atol=1e-5)
    stage.index(CORPUS)
    best_first = np.argsort(-expected.numpy(), axis=1)
    np.testing.assert_array_equal(stage.retrieve(QUERIES, 3).docs, best_first[:, :3])


def test_prompts_come_from_the_spec_or_the_model(tiny_bi_encoder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SentenceTransformer

    prompts = {"query": "old ", "document": "stone "}
    network = SentenceTransformer(str(tiny_bi_encoder), prompts=prompts, device="cpu")
    network.save(str(tmp_path / "model"))
    plain = BiEncoder(model=str(tiny_bi_encoder))
    own = BiEncoder(model=str(tmp_path / "model"))
    said = BiEncoder(model=str(tiny_bi_encoder), query_prompt="old ", document_prompt="stone ")
    silenced = BiEncoder(model=str(tmp_path / "model"), query_prompt="", document_prompt="")
    np.testing.assert_allclose(own.score(QUERIES, ALL), said.score(QUERIES, ALL), rtol=1e-6)
    np.testing.assert_allclose(silenced.score(QUERIES, ALL), plain.score(QUERIES, ALL), rtol=1e-6)
    assert not np.allclose(own.score(QUERIES, ALL), plain.score(QUERIES, ALL), atol=1e-3)


def test_mteb_encodes_queries_and_documents_each_on_their_side(tiny_bi_encoder: Path) -> None:
    stage = BiEncoder(model=str(tiny_bi_encoder), query_prompt="old ", document_prompt="stone ")
    batches = [{"text": ["red fox"]}, {"text": ["blue whale", "fox"]}]
    texts = ["red fox", "blue whale", "fox"]
    np.testing.assert_array_equal(stage.encode(batches, prompt_type="document"), stage.encode_documents(texts))
    np.testing.assert_array_equal(stage.encode(batches, prompt_type="query"), stage.encode_queries(texts))
    np.testing.assert_array_equal(stage.encode(batches), stage.encode_queries(texts))
    assert not np.allclose(stage.encode_documents(texts), stage.encode_queries(texts), atol=1e-3)
    vectors = torch.eye(3)
    assert torch.allclose(stage.similarity(vectors, vectors), vectors)
    assert torch.allclose(stage.similarity_pairwise(vectors, vectors), torch.ones(3))
    assert not hasattr(stage, "predict")


def test_each_document_is_encoded_once(tiny_static: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    stage = BiEncoder(model=str(tiny_static))
    encode = stage.encode_documents
    monkeypatch.setattr(stage, "encode_documents", lambda texts: encoded.extend(texts) or encode(texts))
    some = Run(QUERIES.ids, CORPUS, np.array([[0, 3, -1], [3, 5, -1]], np.int32), np.zeros((2, 3), np.float32))
    stage.score(QUERIES, some)
    assert sorted(encoded) == sorted([TEXTS[0], TEXTS[3], TEXTS[5]])
    stage.index(CORPUS)
    stage.retrieve(QUERIES, 2)
    stage.retrieve(QUERIES, 3)
    assert sorted(encoded) == sorted(TEXTS)


def test_max_length_cuts_texts(tiny_bi_encoder: Path) -> None:
    long, short = "red fox blue whale stone tree", "red fox"
    stage = BiEncoder(model=str(tiny_bi_encoder), max_length=4)
    np.testing.assert_allclose(stage.encode_documents([long]), stage.encode_documents([short]), rtol=1e-5)
    assert not np.allclose(*BiEncoder(model=str(tiny_bi_encoder)).encode_documents([long, short]), atol=1e-3)


def test_a_limit_that_a_model_cannot_keep_is_refused(tiny_static: Path) -> None:
    with pytest.raises(InputError, match=r"max_length = 8: this model is a table of token vectors, which reads texts"):
        BiEncoder(model=str(tiny_static), max_length=8).prepare()


def test_a_class_that_extends_ours_reads_the_same_weights(tiny_cross_encoder: Path, tiny_bi_encoder: Path) -> None:
    class Negated(CrossEncoder):
        kind = "negated"

        def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
            return -super().score(queries, candidates)

    some = Run(QUERIES.ids, CORPUS, np.array([[0, 3], [3, 5]], np.int32), np.zeros((2, 2), np.float32))
    plain = CrossEncoder(model=str(tiny_cross_encoder)).score(QUERIES, some)
    np.testing.assert_array_equal(Negated(model=str(tiny_cross_encoder)).score(QUERIES, some), -plain)
    with pytest.raises(InputError, match="holds a bi-encoder, not a cross-encoder"):
        Negated(model=str(tiny_bi_encoder)).prepare()


def test_an_untrained_base_is_known_as_one(
    tiny_bert: Path, tiny_bi_encoder: Path, tiny_static: Path, tiny_cross_encoder: Path, tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    assert BiEncoder(model=str(tiny_bert)).untrained
    assert not BiEncoder(model=str(tiny_bi_encoder)).untrained
    assert not BiEncoder(model=str(tiny_static)).untrained
    assert not CrossEncoder(model=str(tiny_cross_encoder)).untrained
    assert not BiEncoder(model="/nowhere/at/all").untrained
    for epochs, untrained in ((0, True), (3, False)):
        spec = Spec(tmp_path / "mine.toml", "local/mine", "bi-encoder", training={"recipe": "static", "epochs": epochs})
        assert BiEncoder(model=str(tiny_static), spec=spec).untrained is untrained
    # It scores as sentence-transformers has it: the mean of the tokens.
    network = SentenceTransformer(str(tiny_bert), device="cpu")
    expected = network.similarity(network.encode(list(QUERIES.texts)), network.encode(list(TEXTS)))
    np.testing.assert_allclose(BiEncoder(model=str(tiny_bert)).score(QUERIES, ALL), expected, rtol=1e-5, atol=1e-5)


def test_cross_encoder_gives_raw_logits(tiny_cross_encoder: Path) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_cross_encoder)
    network = AutoModelForSequenceClassification.from_pretrained(tiny_cross_encoder).eval()
    scores = CrossEncoder(model=str(tiny_cross_encoder), batch_size=3).score(QUERIES, ALL)
    for row, query in enumerate(QUERIES.texts):
        for column, document in enumerate(TEXTS):
            with torch.no_grad():
                logit = network(**tokenizer(query, document, return_tensors="pt")).logits.item()
            assert scores[row, column] == pytest.approx(logit, abs=1e-4)
    assert scores.max() > 1.0 or scores.min() < 0.0


def test_the_head_of_a_bfloat16_cross_encoder_stays_in_float32(tiny_cross_encoder: Path) -> None:
    """In bfloat16 a logit has 8 bits of precision: pairs would tie that are not equal."""
    words = [word for text in TEXTS for word in text.split()]
    texts = [" ".join(words[(3 * n + m) % len(words)] for m in range(4 + n % 9)) + " x" * (n % 17) for n in range(200)]
    many = Corpus.of([f"d{n:03}" for n in range(200)], texts)
    docs = np.arange(200, dtype=np.int32)[None, :]
    candidates = Run(("q",), many, docs, np.zeros(docs.shape, np.float32))
    stage = CrossEncoder(model=str(tiny_cross_encoder), dtype="bfloat16")
    scores = stage.score(Queries(("q",), ("a question",)), candidates)[0]
    assert next(stage.network.parameters()).dtype == torch.bfloat16
    rounded = torch.from_numpy(scores).bfloat16().float().numpy()
    assert (scores != rounded).mean() > 0.9
    assert len(np.unique(scores)) > len(np.unique(rounded))


def test_heads_are_found_where_the_body_has_no_name_of_its_own(tiny_bert: Path) -> None:
    """The encoder-only ranker (body, pooling, linear head), and a body that is called "model" as ModernBERT's is."""
    from sentence_transformers import CrossEncoder as Network
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.sentence_transformer.modules import Dense, Pooling
    from transformers import ModernBertConfig, ModernBertForSequenceClassification

    body = Transformer(str(tiny_bert), transformer_task="feature-extraction")
    width = body.get_embedding_dimension()
    ranker = Network(modules=[body, Pooling(width), Dense(width, 1, module_output_name="scores")], device="cpu")
    assert [name for name in head_layers(ranker) if "pooler" not in name] == ["2.linear"]

    config = ModernBertConfig(
        vocab_size=50, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2, num_labels=1,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2,
    )  # fmt: skip
    modern = torch.nn.Sequential(torch.nn.Module())
    modern[0].model = ModernBertForSequenceClassification(config)
    modern[0].auto_model = modern[0].model
    assert head_layers(modern) == ["0.model.head.dense", "0.model.classifier"]  # type: ignore[arg-type]


def test_preparing_and_scoring_at_once_do_not_wait_for_each_other(tiny_late_interaction: Path) -> None:
    stage = LateInteraction(model=str(tiny_late_interaction))
    threads = [
        threading.Thread(target=stage.prepare, daemon=True),
        threading.Thread(target=lambda: stage.score(QUERIES, ALL), daemon=True),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)


def test_late_interaction_is_maxsim(tiny_late_interaction: Path) -> None:
    from sentence_transformers import MultiVectorEncoder

    network = MultiVectorEncoder(str(tiny_late_interaction), device="cpu")
    queries = network.encode_query(list(QUERIES.texts))
    documents = network.encode_document(list(TEXTS))
    scores = LateInteraction(model=str(tiny_late_interaction)).score(QUERIES, ALL)
    for row, query in enumerate(queries):
        for column, document in enumerate(documents):
            maxsim = sum(max(float(np.dot(q, d)) for d in np.asarray(document.cpu())) for q in np.asarray(query.cpu()))
            assert scores[row, column] == pytest.approx(maxsim, abs=1e-4)


@pytest.mark.parametrize("kind", [BiEncoder, CrossEncoder, LateInteraction])
def test_nothing_to_score_needs_no_model(kind: type) -> None:
    stage = kind(model="/nowhere/at/all")
    empty = Run(QUERIES.ids, CORPUS, np.full((2, 3), -1, np.int32), np.full((2, 3), -np.inf, np.float32))
    assert (stage.score(QUERIES, empty) == -np.inf).all()
    with pytest.raises(InputError, match=r"no model in .*nowhere"):
        stage.prepare()
