"""The kept share against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.kept_share import kept_share
from mteb_cascade.values.run import Run

CORPUS = Corpus.of([f"d{row}" for row in range(6)], ["text"] * 6)


def run_of(docs: list[list[int]]) -> Run:
    found = np.array(docs, np.int32)
    return Run(tuple(f"q{row}" for row in range(len(docs))), CORPUS, found, np.zeros(found.shape, np.float32))


def test_by_hand() -> None:
    exact = run_of([[0, 1, 2, 3], [5, 4, -1, -1], [-1, -1, -1, -1], [0, 1, 2, 3]])
    found = run_of([[1, 0, 5, 4], [5, -1, -1, -1], [0, 1, 2, 3], [-1, -1, -1, -1]])
    np.testing.assert_array_equal(kept_share(found, exact, 4), [0.5, 0.5, np.nan, 0])
    np.testing.assert_array_equal(kept_share(found, exact, 2), [1, 0.5, np.nan, 0])
    np.testing.assert_array_equal(kept_share(found, exact, 1), [0, 1, np.nan, 0])


def test_a_document_of_another_query_does_not_count() -> None:
    assert kept_share(run_of([[0], [1]]), run_of([[1], [0]]), 1).tolist() == [0, 0]


def test_mistakes() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        kept_share(run_of([[0]]), run_of([[0]]), 0)
    with pytest.raises(ValueError, match="the same queries"):
        kept_share(run_of([[0]]), run_of([[0], [1]]), 1)
