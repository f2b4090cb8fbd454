from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from table_stage import TEXTS

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages import exact, sparse
from mteb_cascade.stages.load import load
from mteb_cascade.stages.sparse import Sparse, SparseVectors
from mteb_cascade.values.run import Run

CORPUS = Corpus.of([f"d{row}" for row in range(7)], TEXTS)
QUERIES = Queries(("q", "p"), ("red fox stone", "the whale"))
DOCS = np.tile(np.arange(7, dtype=np.int32), (2, 1))
ALL = Run(QUERIES.ids, CORPUS, DOCS, np.zeros(DOCS.shape, np.float32))

FEW = {"tiny-sparse": 2, "tiny-inference-free": 20}
"""Entries kept of a vector so that some documents share none with a query."""


@pytest.fixture(params=["tiny_sparse", "tiny_inference_free"])
def folder(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(request.param)
    return found


def dense(folder: Path, max_active_dims: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """What plain sentence-transformers gives for a query or document alone."""
    from sentence_transformers import SparseEncoder

    network = SparseEncoder(str(folder), device="cpu")
    how = {"convert_to_sparse_tensor": False, "max_active_dims": max_active_dims}
    queries = [network.encode_query(text, **how).numpy() for text in QUERIES.texts]
    return np.stack(queries), np.stack([network.encode_document(text, **how).numpy() for text in TEXTS])


@pytest.mark.parametrize("limited", [False, True])
def test_scores_are_inner_products(folder: Path, limited: bool) -> None:
    limit = FEW[folder.name] if limited else None
    queries, documents = dense(folder, limit)
    scores = Sparse(model=str(folder), max_active_dims=limit).score(QUERIES, ALL)
    np.testing.assert_allclose(scores, queries @ documents.T, rtol=1e-5, atol=1e-6)
    assert len(np.unique(scores.round(3))) > 5


def test_it_is_the_models_own_similarity_cosine_too(folder: Path, tmp_path: Path) -> None:
    from sentence_transformers import SparseEncoder

    for measure in ("dot", "cosine"):
        network = SparseEncoder(str(folder), similarity_fn_name=measure, device="cpu")
        network.save(str(tmp_path / measure))
        expected = network.similarity(network.encode_query(list(QUERIES.texts)), network.encode_document(list(TEXTS)))
        scores = Sparse(model=str(tmp_path / measure)).score(QUERIES, ALL)
        np.testing.assert_allclose(scores, expected.to_dense().numpy(), rtol=1e-5, atol=1e-6)


def test_retrieval_is_brute_force_without_documents_that_share_nothing(folder: Path) -> None:
    queries, documents = dense(folder, FEW[folder.name])
    scores = (queries @ documents.T).round(5)
    assert (scores == 0).any()
    stage = Sparse(model=str(folder), max_active_dims=FEW[folder.name])
    stage.index(CORPUS)
    run = stage.retrieve(QUERIES, 7)
    for row in range(2):
        best_first = sorted(range(7), key=lambda doc: (scores[row, doc], f"d{doc}"), reverse=True)
        assert run.ids(row) == [f"d{doc}" for doc in best_first if scores[row, doc] > 0]


def test_blocks_and_pieces_change_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Equal texts tie exactly though they fall into other blocks, and the higher id goes first."""
    texts = [TEXTS[row % 7] + " tree" * (row % 3) for row in range(50)]
    corpus = Corpus.of([f"d{row:02}" for row in range(50)], texts)
    whole = Sparse(model=str(folder), max_active_dims=FEW[folder.name])
    whole.index(corpus)
    expected = whole.retrieve(QUERIES, 50)
    for module, name, size in (
        (exact, "QUERY_BLOCK", 1),
        (exact, "DOCUMENT_BLOCK", 3),
        (sparse, "ENCODED_AT_ONCE", 2),
        (sparse, "FULL_PIECE", 4),
    ):
        monkeypatch.setattr(module, name, size)
    cut = Sparse(model=str(folder), max_active_dims=FEW[folder.name])
    cut.index(corpus)
    some = np.array([[40, 3, 12], [-1, 3, 49]], np.int32)
    cut.score(QUERIES, Run(QUERIES.ids, corpus, some, np.zeros(some.shape, np.float32)))
    run = cut.retrieve(QUERIES, 50)
    np.testing.assert_allclose(run.scores, expected.scores, rtol=1e-5)
    np.testing.assert_array_equal(run.docs, expected.docs)
    for row in range(2):
        by_text: dict[str, set[np.float32]] = {}
        for doc, score in zip(run.docs[row][run.docs[row] >= 0], run.scores[row], strict=False):
            by_text.setdefault(texts[doc], set()).add(score)
        assert by_text
        assert {len(scores) for scores in by_text.values()} == {1}


def test_each_text_is_encoded_once_and_kept_by_its_entries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sparse, "ENCODED_AT_ONCE", 5)
    encoded: list[str] = []
    rows = np.random.default_rng(0).integers(0, 4, (40, 9)).astype(np.float32)

    def encode(texts: list[str]) -> csr_matrix:
        encoded.extend(texts)
        return csr_matrix(rows[[int(text) for text in texts]])

    number = [row % 37 for row in range(40)]
    vectors = SparseVectors(Corpus.of([f"d{row}" for row in range(40)], map(str, number)))
    for asked in ([7], [39, 7, 2], [2, 2, 30, 11, 12, 13, 14, 5], list(range(40)), [38, 0]):
        np.testing.assert_array_equal(vectors.at(np.array(asked), encode).toarray(), rows[[number[n] for n in asked]])
    assert sorted(encoded, key=int) == [str(n) for n in range(37)]
    assert sum(piece.nnz for piece in vectors.pieces) == np.count_nonzero(rows[:37])
    assert len(vectors.pieces) < 8


def test_candidates_are_all_that_is_encoded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[str] = []
    stage = Sparse(model=str(folder))
    encode = stage.encode_documents
    monkeypatch.setattr(stage, "encode_documents", lambda texts: encoded.extend(texts) or encode(texts))
    some = Run(QUERIES.ids, CORPUS, np.array([[0, 3, -1], [3, 5, -1]], np.int32), np.zeros((2, 3), np.float32))
    scores = stage.score(QUERIES, some)
    assert sorted(encoded) == sorted([TEXTS[0], TEXTS[3], TEXTS[5]])
    full = stage.score(QUERIES, ALL)
    np.testing.assert_allclose(scores[:, :2], full[[[0], [1]], [[0, 3], [3, 5]]], rtol=1e-6)
    assert (scores[:, 2] == -np.inf).all()


def test_nothing_asked_nothing_loaded() -> None:
    stage = Sparse(model="/nowhere/at/all")
    empty = Run(QUERIES.ids, CORPUS, np.full((2, 3), -1, np.int32), np.full((2, 3), -np.inf, np.float32))
    assert (stage.score(QUERIES, empty) == -np.inf).all()
    stage.index(CORPUS)
    assert stage.retrieve(Queries((), ()), 3).depth == 0
    with pytest.raises(InputError, match=r"no model in .*nowhere"):
        stage.prepare()


def test_prompts_and_lengths(tiny_sparse: Path) -> None:
    def vectors(text: str, **options: object) -> np.ndarray:
        return Sparse(model=str(tiny_sparse), **options).encode_documents([text]).toarray()

    plain = vectors("old red fox")
    np.testing.assert_allclose(vectors("red fox", document_prompt="old "), plain, rtol=1e-5)
    np.testing.assert_allclose(vectors("old red fox blue whale", max_length=5), plain, rtol=1e-5)
    assert not np.allclose(vectors("red fox"), plain, atol=1e-3)


def test_another_kind_of_model_is_refused_by_name(
    write_spec: Callable[[str, str], Path], tiny_sparse: Path, tiny_bi_encoder: Path, tmp_path: Path
) -> None:
    write_spec("dense", f'kind = "bi-encoder"\nmodel = "{tiny_sparse}"\n')
    with pytest.raises(InputError, match=r'^models/dense.toml: .*holds a sparse model, .*Write kind = "sparse"'):
        load("dense").prepare()
    write_spec("sparse", f'kind = "sparse"\nmodel = "{tiny_bi_encoder}"\n')
    with pytest.raises(InputError, match=r'^models/sparse.toml: .*Write kind = "bi-encoder"'):
        load("sparse").prepare()
    with pytest.raises(InputError, match="max_active_dims: expected at least 1, got 0"):
        Sparse(model=str(tiny_sparse), max_active_dims=0)

    from sentence_transformers import SparseEncoder

    SparseEncoder(str(tiny_sparse), similarity_fn_name="euclidean", device="cpu").save(str(tmp_path / "far"))
    with pytest.raises(InputError, match=r"far compares by euclidean distance; .*dot or cosine"):
        Sparse(model=str(tmp_path / "far")).prepare()


def test_a_folder_is_a_stage_and_a_spec_sets_its_options(write_spec: Callable[[str, str], Path], folder: Path) -> None:
    stage = load(folder)
    assert type(stage) is Sparse
    write_spec("few", f'kind = "sparse"\nmodel = "{folder}"\nmax_active_dims = 3\n')
    few = load("few")
    assert (few.max_active_dims, few.mteb_model_meta.model_type) == (3, ["sparse"])
    assert few.fingerprint != stage.fingerprint
