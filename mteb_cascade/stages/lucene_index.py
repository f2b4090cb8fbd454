"""A Lucene index as Anserini and pyserini make it: words in the field `contents`, each document's name in `id`."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.stages.lucene_jvm import dropped, java_class, java_text, reason, start, visiting

LANGUAGES = {
    "arabic": "ar",
    "bengali": "bn",
    "chinese": "zh",
    "danish": "da",
    "dutch": "nl",
    "english": "en",
    "finnish": "fi",
    "french": "fr",
    "german": "de",
    "hindi": "hi",
    "hungarian": "hu",
    "indonesian": "id",
    "italian": "it",
    "japanese": "ja",
    "korean": "ko",
    "norwegian": "no",
    "persian": "fa",
    "polish": "pl",
    "portuguese": "pt",
    "russian": "ru",
    "spanish": "es",
    "swedish": "sv",
    "telugu": "te",
    "thai": "th",
    "turkish": "tr",
    "ukrainian": "uk",
}
"""Anserini's code of each language that it has an analyzer for."""

NAMES = 100_000
"""Ids of documents kept as Java has them: making one takes longer than looking it up."""

Hits = tuple[list[str], list[float]]
"""Ids and scores of documents, as long as each other."""


class LuceneIndex:
    """An open index, searched by BM25; any number of threads may do so, one of which is served at a time.

    Args:
        folder: Where it lies.
        language: A key of `LANGUAGES`: how queries are split into words; has to be how the documents were.
        k1: Saturation of term frequency.
        b: Length normalisation.

    Raises:
        InputError: The folder holds no index, or none of Anserini's making.
    """

    def __init__(self, folder: Path, language: str, k1: float, b: float) -> None:
        if not any(folder.glob("segments_*")):
            raise InputError(f"{shown(folder)} is no Lucene index: it has no file 'segments_...'")
        start()
        with visiting():
            reader = reader_of(folder)
            # Closed after the last search that uses it: an open index holds mapped files.
            weakref.finalize(self, dropped.append, reader).atexit = False
            self.size = int(reader.numDocs())
            """Documents in the index."""
            if self.size:
                expect_fields(folder, reader)
            searcher = java_class("org.apache.lucene.search.IndexSearcher")
            # A long query has more words than the 1,024 that Lucene takes by default.
            searcher.setMaxClauseCount(2**31 - 1)
            self._searcher = searcher(reader)
            self._searcher.setSimilarity(java_class("org.apache.lucene.search.similarities.BM25Similarity")(k1, b))
            self._analyzer = analyzer(language)
            self._order = score_then_id_descending()
            self._words = java_class("io.anserini.search.query.BagOfWordsQueryGenerator")()
            self._documents = java_class("io.anserini.search.ScoredDocs")
            self._bytes = lru_cache(NAMES)(java_class("org.apache.lucene.util.BytesRef"))
            self._list = java_class("java.util.ArrayList")
            self._id_in = java_class("org.apache.lucene.search.TermInSetQuery")
            self._both = java_class("org.apache.lucene.search.BooleanQuery$Builder")
            self._occur = java_class("org.apache.lucene.search.BooleanClause$Occur")

    def search(self, text: str, count: int) -> Hits:
        """The `count` best of the documents that share a word with the query: score descending, then id descending.

        Lucene itself would break ties by the order of indexing; sorted so, a cut never splits a tie by chance.
        """
        if count < 1:
            return [], []
        with visiting():
            return self._hits(self._query(text), min(count, max(self.size, 1)))

    def scores(self, text: str, ids: Sequence[str]) -> dict[str, float]:
        """{id: BM25} of those of the documents that the index has; 0 where no word is shared."""
        if not ids:
            return {}
        with visiting():
            query = self._both().add(self._query(text), self._occur.SHOULD).add(self._among(ids), self._occur.FILTER)
            return dict(zip(*self._hits(query.build(), len(ids)), strict=True))

    def holds(self, ids: Sequence[str]) -> int:
        """How many of these documents the index has."""
        with visiting():
            return int(self._searcher.count(self._among(ids)))

    def _query(self, text: str) -> Any:
        """Every word of a text, as often as it stands there."""
        return self._words.buildQuery("contents", self._analyzer, java_text(text))

    def _among(self, ids: Sequence[str]) -> Any:
        """Matches the documents of these names."""
        names = self._list()
        for one in ids:
            names.add(self._bytes(one.encode("utf-8", "replace")))
        return self._id_in("id", names)

    def _hits(self, query: Any, count: int) -> Hits:
        found = self._documents.fromTopDocs(self._searcher.search(query, count, self._order, True), self._searcher)
        return list(found.docids), list(found.scores)


def reader_of(folder: Path) -> Any:
    """Lucene's reader of an index.

    Raises:
        InputError: It cannot be read.
    """
    import jnius

    try:
        return java_class("io.anserini.index.IndexReaderUtils").getReader(java_text(str(folder.absolute())))
    except jnius.JavaException as error:
        raise InputError(f"{shown(folder)} cannot be read as a Lucene index: {reason(error)}") from None


def expect_fields(folder: Path, reader: Any) -> None:
    """Refuse an index that has not the two fields that a search needs.

    Raises:
        InputError: It has not.
    """
    fields = java_class("io.anserini.index.IndexReaderUtils").getFieldInfo(reader)
    name = fields.get("id")
    if fields.get("contents") is None or name is None or name.getDocValuesType().toString() == "NONE":
        raise InputError(
            f"{shown(folder)} is no index that Anserini or pyserini made: expected the words of its documents in the "
            "field 'contents' and their names in 'id', with doc values"
        )


def analyzer(language: str) -> Any:
    """What splits texts of a language into words, drops stop words and stems."""
    if language == "english":
        return java_class("io.anserini.analysis.DefaultEnglishAnalyzer").newDefaultInstance()
    return java_class("io.anserini.analysis.AnalyzerMap").getLanguageSpecificAnalyzer(LANGUAGES[language])


def score_then_id_descending() -> Any:
    """Our rule for ties, as Lucene's order: ids compare by their UTF-8 bytes, which is code-point order."""
    field = java_class("org.apache.lucene.search.SortField")
    kinds = java_class("org.apache.lucene.search.SortField$Type")
    return java_class("org.apache.lucene.search.Sort")(field.FIELD_SCORE, field("id", kinds.STRING_VAL, True))
