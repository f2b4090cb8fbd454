from __future__ import annotations

import numpy as np
import pytest
from slow_bm25 import slow_bm25

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.values.run import PAD, Run

CORPUS = Corpus.of(["a", "b", "c"], ["red foxes", "blue whale whale", "red whale swims slowly"])


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4), (0.0, 0.0), (1.2, 1.0)])
def test_scores_are_lucenes_over_stemmed_words(k1: float, b: float) -> None:
    stemmed = [["red", "fox"], ["blue", "whale", "whale"], ["red", "whale", "swim", "slowli"]]
    stage = BM25(k1=k1, b=b)
    stage.index(CORPUS)
    found = stage.search(Queries(("q",), ("The Foxes and whales",)), top_k=3)["q"]
    for name, document in zip("abc", stemmed, strict=True):
        assert found[name] == pytest.approx(slow_bm25(["fox", "whale"], document, stemmed, k1, b), rel=1e-6)


def test_documents_that_share_no_word_are_not_returned_but_score_0() -> None:
    stage = BM25()
    stage.index(CORPUS)
    queries = Queries(("q", "p"), ("fox", "zebra of the"))
    assert {query: list(docs) for query, docs in stage.search(queries, top_k=9).items()} == {"q": ["a"], "p": []}
    docs = np.array([[1, 0, PAD], [PAD, 2, 1]], np.int32)
    scores = stage.score(queries, Run(queries.ids, CORPUS, docs, np.zeros(docs.shape, np.float32)))
    assert scores[0, 0] == 0.0
    assert scores[0, 1] > 0.0
    assert scores[1].tolist() == [-np.inf, 0.0, 0.0]
    assert scores[0, 2] == -np.inf


def test_a_corpus_without_words_finds_nothing() -> None:
    stage = BM25()
    stage.index(Corpus.of(["a", "b"], ["the", "?!"]))
    assert stage.search(Queries(("q",), ("red fox",)), top_k=3) == {"q": {}}


def test_stop_words_and_language_are_the_specs() -> None:
    corpus = Corpus.of(["a", "b"], ["die Katzen", "the cats"])
    query = Queries(("q",), ("die Katze the",))

    def found(**options) -> set[str]:
        stage = BM25(**options)
        stage.index(corpus)
        return set(stage.search(query, top_k=2)["q"])

    assert found(language="german") == {"a", "b"}
    assert found(language="german", stop_words=["the"]) == {"a"}
    assert found(language="none", stop_words="none") == {"a", "b"}
    assert found(language="english") == {"a"}


def test_another_corpus_is_indexed_anew() -> None:
    stage = BM25()
    query = Queries(("q",), ("fox",))
    stage.index(CORPUS)
    assert list(stage.search(query, top_k=3)["q"]) == ["a"]
    stage.index(Corpus.of(["x"], ["a fox"]))
    assert list(stage.search(query, top_k=3)["q"]) == ["x"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"language": "englsh"}, "'englsh' has no stemmer.*Did you mean 'english'"),
        ({"stop_words": "all"}, "stop_words: expected 'language', 'none' or a list of words, got 'all'"),
        ({"k1": -1.0}, "k1 = -1"),
        ({"k1": float("nan")}, "k1 = nan"),
        ({"b": 1.5}, "b = 1.5"),
    ],
)
def test_options_out_of_range_are_refused(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        BM25(**options)
