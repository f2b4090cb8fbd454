"""BM25 by bm25s, stemmed by PyStemmer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import TEXTS, Corpus
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.stages.indexed import nothing_kept
from mteb_cascade.stages.lexical import LexicalStage

if TYPE_CHECKING:
    import bm25s

    from mteb_cascade.store.index.index import Index

WORDLESS = "wordless"
"""The file that stands in an index for the BM25 of a corpus that holds no word."""

STOP_WORD_LISTS = {
    "english": "STOPWORDS_EN",
    "german": "STOPWORDS_GERMAN",
    "dutch": "STOPWORDS_DUTCH",
    "french": "STOPWORDS_FRENCH",
    "spanish": "STOPWORDS_SPANISH",
    "portuguese": "STOPWORDS_PORTUGUESE",
    "italian": "STOPWORDS_ITALIAN",
    "russian": "STOPWORDS_RUSSIAN",
    "swedish": "STOPWORDS_SWEDISH",
    "norwegian": "STOPWORDS_NORWEGIAN",
}

words_of = re.compile(r"\b\w\w+\b").findall
"""Words of two and more letters, as bm25s splits texts by default."""


class Stems(dict[str, int]):
    """The number of each word's stem, given when the word is first met.

    bm25s' own tokenizer numbers words, turns numbers into stems, and numbers these again.

    Args:
        stop_words: Have no stem.
        stem: From a word to its stem.
    """

    def __init__(self, stop_words: Iterable[str], stem: Callable[[str], str]) -> None:
        super().__init__(dict.fromkeys(stop_words, -1))
        self.numbers: dict[str, int] = {}
        """{stem: number}, numbers ascending from 0."""
        self._stem = stem

    def __missing__(self, word: str) -> int:
        number = self[word] = self.numbers.setdefault(self._stem(word), len(self.numbers))
        return number

    def of(self, text: str) -> list[int]:
        """Numbers of a text's words that are no stop words, in their order."""
        return [number for number in map(self.__getitem__, words_of(text.lower())) if number >= 0]


@dataclass(kw_only=True, eq=False, repr=False)
class BM25(LexicalStage):
    """BM25 as Lucene computes it (Kamphuis et al. 2020, "Which BM25 Do You Mean?").

    A document that shares no word with the query scores 0 and is not returned: there is no evidence for it.

    Args:
        k1: Saturation of term frequency.
        b: Length normalisation, 0 to 1.
        language: A PyStemmer language, or "none" for no stemming.
        stop_words: "language" (bm25s's list for the language; none where it has none), "none", or a list of words.
    """

    kind: ClassVar[str] = "bm25"

    k1: float = 1.5
    b: float = 0.75
    language: str = "english"
    stop_words: str | list[str] = "language"

    def __post_init__(self) -> None:
        super().__post_init__()
        import Stemmer

        languages = ["none", *Stemmer.algorithms()]
        if self.language not in languages:
            raise InputError(f"language: '{self.language}' has no stemmer. {suggestion(self.language, languages)}")
        if isinstance(self.stop_words, str) and self.stop_words not in ("language", "none"):
            raise InputError(f"stop_words: expected 'language', 'none' or a list of words, got '{self.stop_words}'")
        if not (0 <= self.k1 < np.inf and 0 <= self.b <= 1):
            raise InputError(f"expected a finite k1 >= 0 and 0 <= b <= 1, got k1 = {self.k1} and b = {self.b}")

    def tokens(self, texts: list[str]) -> list[list[str]]:
        """Lower-cased words of two and more letters, without stop words, stemmed."""
        stems = self._stems()
        numbers = [stems.of(text) for text in texts]
        names = list(stems.numbers)
        return [[names[number] for number in one] for one in numbers]

    def _stems(self) -> Stems:
        import Stemmer

        stem = str if self.language == "none" else Stemmer.Stemmer(self.language).stemWord
        return Stems(self._stop_list(), stem)

    def _stop_list(self) -> list[str]:
        from bm25s import tokenization

        if not isinstance(self.stop_words, str):
            return list(self.stop_words)
        if self.stop_words == "none" or self.language not in STOP_WORD_LISTS:
            return []
        return list(getattr(tokenization, STOP_WORD_LISTS[self.language]))

    def build(self, corpus: Corpus) -> bm25s.BM25 | None:
        """The inverted index; None where the corpus holds no word."""
        import bm25s

        stems = self._stems()
        blocks = (np.arange(start, min(start + TEXTS, len(corpus))) for start in range(0, len(corpus), TEXTS))
        numbers = [stems.of(text) for rows in blocks for text in corpus.texts_at(rows)]
        if not stems.numbers:
            return None
        index = bm25s.BM25(k1=self.k1, b=self.b, method="lucene", backend="numpy")
        index.index((numbers, stems.numbers), show_progress=False)
        return index

    @property
    def builds(self) -> bool:
        """Statistics of words are of a corpus as a whole."""
        return True

    def build_whole(self, corpus: Corpus, folder: Path) -> None:
        """Save the inverted index."""
        built = self.build(corpus)
        if built is None:
            (folder / WORDLESS).touch()
        else:
            built.save(folder, show_progress=False)

    def hold(self, index: Index) -> None:
        """Open the inverted index, its arrays mapped into memory."""
        import bm25s

        folder = index.whole(self.kept_as)
        if folder is None:
            raise nothing_kept(self, index)
        built = None
        if not (folder / WORDLESS).exists():
            built = bm25s.BM25.load(folder, mmap=True, override_params={"backend": "numpy"}, show_progress=False)
            built.scores |= {name: np.asarray(built.scores[name]) for name in ("data", "indices", "indptr")}
        self._corpus, self._built = index.corpus, (index.corpus.digest, built)

    def matched(self, texts: list[str], index: bm25s.BM25) -> NDArray[np.float32]:
        """float32 [len(texts), N], BM25 of every document."""
        scores = np.zeros((len(texts), int(index.scores["num_docs"])), np.float32)
        for row, words in enumerate(self.tokens(texts)):
            known = [word for word in words if word in index.vocab_dict]
            if known:
                scores[row] = index.get_scores(known)
        return scores

    def described(self) -> dict[str, Any]:
        """The options, with the stop words themselves."""
        return {**super().described(), "stop_words": self._stop_list()}
