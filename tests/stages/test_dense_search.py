"""The exact search that looks in float32 first, against comparing everything in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages import bi_encoder
from mteb_cascade.stages.dense_search import Lengths, nearest_vectors
from mteb_cascade.stages.exact import best, ranked_lists
from mteb_cascade.values.run import Run


def exact(queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
    """Every inner product, rounded once."""
    return (queries.astype(np.float64) @ documents.astype(np.float64).T).astype(np.float32)


def both(queries: np.ndarray, documents: np.ndarray, k: int, rows: int, seed: int = 0) -> tuple[Run | None, Run]:
    """What `nearest_vectors` finds, in blocks of so many rows, and the slow way; ids in no order."""
    order = np.random.default_rng(seed).permutation(len(documents))
    corpus = Corpus.of([f"d{one:05}" for one in order], ["text"] * len(documents))
    ids = [f"q{row}" for row in range(len(queries))]
    blocks = [(first, documents[first : first + rows]) for first in range(0, len(documents), rows)]
    lists = nearest_vectors(
        queries, blocks, Lengths(), lambda one, docs: exact(queries[one : one + 1], documents[docs])[0], k, corpus.tie
    )
    wanted = best(ids, corpus, [(0, exact(queries, documents))], k)
    return None if lists is None else ranked_lists(ids, corpus, lists), wanted


@given(data=st.data())
def test_it_finds_what_comparing_everything_exactly_does(data: st.DataObject) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    size, width, k = (data.draw(st.integers(1, most)) for most in (60, 9, 12))
    documents, queries = rng.normal(size=(size, width)), rng.normal(size=(3, width))
    kind = data.draw(st.sampled_from(["plain", "ties", "signs", "neighbours", "sizes"]))
    if kind == "ties":
        documents = documents[rng.integers(0, 3, size) % size]
    elif kind == "signs":
        documents, queries = rng.choice([-1.0, -0.0, 0.0, 1.0], documents.shape), np.sign(queries)
    elif kind == "neighbours":
        documents = documents[:1] * (1 + rng.integers(-2, 3, (size, 1)) * 2.0**-23)
    elif kind == "sizes":
        documents = documents * 10.0 ** rng.integers(-42, 18, (size, 1))
    found, wanted = both(np.float32(queries), np.float32(documents), k, data.draw(st.integers(1, size)))
    assert found is not None
    assert found.docs.tolist() == wanted.docs.tolist()
    assert found.scores.tobytes() == wanted.scores.tobytes()


def test_what_float32_takes_for_the_worse_is_found() -> None:
    # 2^24 + 1 is lost in float32, in which both documents score the same or the first one more.
    query = np.float32([[4096, 1, 1, -1]])
    documents = np.float32([[4096, 0, 0, 0], [4096, 1, 1, 1]])
    for rows in (1, 2):
        found, wanted = both(query, documents, 1, rows)
        assert found is not None
        assert found.docs.tolist() == wanted.docs.tolist()


def test_a_longer_vector_that_comes_late_widens_the_margin() -> None:
    rng = np.random.default_rng(3)
    near = np.repeat(rng.normal(size=(1, 64)), 500, axis=0) * (1 + rng.integers(-1, 2, (500, 64)) * 2.0**-22)
    found, wanted = both(np.float32(rng.normal(size=(2, 64))), np.float32(np.vstack([near, 3e4 * near[:3]])), 5, 50)
    assert found is not None
    assert found.docs.tolist() == wanted.docs.tolist()


@pytest.mark.parametrize("size", [1e-25, 1e-38])
def test_vectors_whose_squares_float32_does_not_hold(size: float) -> None:
    rng = np.random.default_rng(1)
    documents = rng.normal(size=(1, 64)) * (1 + rng.integers(-2, 3, (300, 64)) * 2.0**-22) * size
    found, wanted = both(np.float32(1e10 * rng.normal(size=(20, 64))), np.float32(documents), 5, 37)
    assert found is not None
    assert found.docs.tolist() == wanted.docs.tolist()


@pytest.mark.parametrize("value", [np.nan, np.inf, 3e38])
def test_it_says_nothing_where_float32_says_nothing(value: float) -> None:
    documents = np.zeros((5, 2), np.float32)
    documents[3, 1] = value
    blocks = [(0, documents[:2]), (2, documents[2:])]
    never = nearest_vectors(np.float32([[1, 1]]), blocks, Lengths(), exact, 2, np.arange(5, dtype=np.int32))
    assert never is None


def test_lengths_are_worked_out_once() -> None:
    lengths = Lengths()
    assert lengths.longest(0, np.float32([[3, 4], [1, 0]])) == 5
    assert lengths.longest(2, np.float32([[0, 2]])) == 2
    assert lengths.longest(0, np.float32([[0, 0]])) == 5


def test_documents_that_all_tie_are_not_all_copied_at_once(tiny_static: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[int] = []
    compare = bi_encoder.BiEncoder.compare

    def watched(self: bi_encoder.BiEncoder, queries: np.ndarray, documents: np.ndarray) -> np.ndarray:
        compared.append(len(documents))
        return compare(self, queries, documents)

    monkeypatch.setattr(bi_encoder.BiEncoder, "compare", watched)
    monkeypatch.setattr(bi_encoder, "is_worthwhile", lambda *_: True)
    monkeypatch.setattr(bi_encoder, "DOCUMENT_BLOCK", 4)
    stage = bi_encoder.BiEncoder(model=str(tiny_static))
    stage.index(Corpus.of([f"d{row:02}" for row in range(10)], [f"{'red ' * row}fox" for row in range(10)]))
    assert stage.retrieve(Queries(("q",), ("",)), 2).ids(0) == ["d09", "d08"]
    assert compared == [4, 4, 2]
