from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.load import load
from mteb_cascade.stages.tfidf import TFIDF
from mteb_cascade.values.run import PAD, Run

DOCUMENTS = ("the red fox", "a blue whale, the Whale", "red whale swims slowly", "x ?", "the red fox")
CORPUS = Corpus.of("abcde", DOCUMENTS)
QUERIES = Queries(("q", "p"), ("red whale or whale", "zebra"))


def everything(corpus: Corpus, queries: Queries) -> Run:
    docs = np.tile(np.arange(len(corpus), dtype=np.int32), (len(queries), 1))
    return Run(queries.ids, corpus, docs, np.zeros(docs.shape, np.float32))


def weights(words: list[str], documents: list[list[str]], sublinear: bool) -> dict[str, float]:
    """scikit-learn's formula by hand: smoothed idf, rows of length 1; words that no document has do not count."""
    found = {}
    for word in set(words):
        df = sum(word in document for document in documents)
        tf = words.count(word)
        if df:
            found[word] = (1 + log(tf) if sublinear else tf) * (1 + log((1 + len(documents)) / (1 + df)))
    length = sqrt(sum(weight**2 for weight in found.values()))
    return {word: weight / length for word, weight in found.items()}


@pytest.mark.parametrize("sublinear", [False, True])
def test_scores_are_cosines_of_tf_idf(sublinear: bool) -> None:
    words = [["the", "red", "fox"], ["blue", "whale", "the", "whale"], ["red", "whale", "swims", "slowly"], []]
    words.append(words[0])
    query = weights(["red", "whale", "or", "whale"], words, sublinear)
    vectors = [weights(document, words, sublinear) for document in words]
    expected = [sum(query.get(word, 0) * weight for word, weight in vector.items()) for vector in vectors]
    scores = TFIDF(sublinear_tf=sublinear).score(QUERIES, everything(CORPUS, QUERIES))
    np.testing.assert_allclose(scores, [expected, [0] * 5], rtol=1e-6)


def test_it_is_what_scikit_learn_computes() -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics.pairwise import cosine_similarity

    vectorizer = TfidfVectorizer(ngram_range=(1, 2))
    documents = vectorizer.fit_transform(DOCUMENTS)
    expected = cosine_similarity(vectorizer.transform(QUERIES.texts), documents)
    scores = TFIDF(longest_ngram=2).score(QUERIES, everything(CORPUS, QUERIES))
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert not np.allclose(scores, TFIDF().score(QUERIES, everything(CORPUS, QUERIES)), atol=1e-3)


def test_documents_that_share_no_word_are_not_returned_but_score_0() -> None:
    stage = TFIDF()
    stage.index(CORPUS)
    run = stage.retrieve(QUERIES, 9)
    assert [run.ids(row) for row in range(2)] == [["b", "c", "e", "a"], []]
    assert run.scores[0, 2] == run.scores[0, 3]
    docs = np.array([[3, PAD, 1], [PAD, PAD, PAD]], np.int32)
    scores = stage.score(QUERIES, Run(QUERIES.ids, CORPUS, docs, np.zeros(docs.shape, np.float32)))
    assert scores.tolist() == [[0.0, -np.inf, run.scores[0, 0]], [-np.inf] * 3]


@pytest.mark.parametrize("texts", [[], ["?!", "x"]])
def test_a_corpus_without_words_finds_nothing(texts: list[str]) -> None:
    stage = TFIDF()
    stage.index(Corpus.of([f"d{row}" for row in range(len(texts))], texts))
    assert stage.search(QUERIES, top_k=3) == {"q": {}, "p": {}}


def test_weights_are_those_of_the_corpus_at_hand() -> None:
    stage = TFIDF()
    stage.index(CORPUS)
    assert list(stage.search(QUERIES, top_k=1)["q"]) == ["b"]
    stage.index(Corpus.of(["x", "y"], ["red zebra", "fox"]))
    assert stage.search(QUERIES, top_k=3) == {
        "q": {"x": pytest.approx(sqrt(0.5))},
        "p": {"x": pytest.approx(sqrt(0.5))},
    }


def test_a_spec_sets_its_options(write_spec) -> None:
    write_spec("weak", 'kind = "tfidf"\nsublinear_tf = true\nlongest_ngram = 2\n')
    stage = load("weak")
    assert (type(stage), stage.sublinear_tf, stage.longest_ngram) == (TFIDF, True, 2)
    prints = {TFIDF().fingerprint, TFIDF(sublinear_tf=True).fingerprint, TFIDF(longest_ngram=2).fingerprint}
    assert len(prints) == 3
    with pytest.raises(InputError, match="longest_ngram: expected at least 1, got 0"):
        TFIDF(longest_ngram=0)
