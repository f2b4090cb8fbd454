"""TF-IDF by scikit-learn: the weak baseline that a first stage should beat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError
from mteb_cascade.stages.inner_products import inner_products
from mteb_cascade.stages.lexical import LexicalStage

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import TfidfVectorizer


@dataclass(kw_only=True, eq=False, repr=False)
class TFIDF(LexicalStage):
    """Cosine of tf-idf vectors: lower-cased words of two and more letters, neither stemmed nor stopped.

    The inverse document frequencies are those of the corpus. A document that shares no word with the query scores 0
    and is not returned.

    Args:
        sublinear_tf: 1 + log(tf) in place of tf.
        longest_ngram: Neighbouring words that count as a word of their own, up to this many.
    """

    kind: ClassVar[str] = "tfidf"

    sublinear_tf: bool = False
    longest_ngram: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.longest_ngram < 1:
            raise InputError(f"longest_ngram: expected at least 1, got {self.longest_ngram}")

    def build(self, corpus: Corpus) -> tuple[TfidfVectorizer, csr_matrix] | None:
        """The fitted vectoriser and the documents' vectors [N, V]; None where the corpus holds no word."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(sublinear_tf=self.sublinear_tf, ngram_range=(1, self.longest_ngram))
        try:
            return vectorizer, vectorizer.fit_transform(corpus.texts.to_pylist())
        except ValueError as error:
            if "empty vocabulary" in str(error):
                return None
            raise

    def matched(self, texts: list[str], index: tuple[TfidfVectorizer, csr_matrix]) -> NDArray[np.float32]:
        """float32 [len(texts), N], cosines."""
        vectorizer, documents = index
        return inner_products(vectorizer.transform(texts), documents)
