"""BM25 by Lucene itself, through pyserini."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.download import Download
from mteb_cascade.stages.lucene_folder import built, prebuilt
from mteb_cascade.stages.lucene_index import LANGUAGES, LuceneIndex
from mteb_cascade.stages.lucene_jvm import start
from mteb_cascade.stages.weights import is_path
from mteb_cascade.values.run import PAD, Run

CELLS = 500_000
"""Hits held as Python objects at once."""

SAMPLE = 1_000
"""Documents of the corpus that are looked for in an index that was not built from it."""


@dataclass(frozen=True)
class Found:
    """What one query found.

    Args:
        docs: int32 [n], rows of the corpus, n at most the k asked for, best first.
        scores: float32 [n].
        left_out: Documents among them that the corpus does not have.
    """

    docs: NDArray[np.int32]
    scores: NDArray[np.float32]
    left_out: int


@dataclass(kw_only=True, eq=False, repr=False)
class Lucene(Stage):
    """BM25 as Lucene computes it, with Anserini's analyzers: what Anserini's and pyserini's published figures are.

    Differs from kind `bm25` in its words (Lucene's tokenizer, stop words and stemmer) and in the lengths of documents,
    of which Lucene keeps one byte. A document that shares no word with the query scores 0 and is not returned.

    Args:
        k1: Saturation of term frequency.
        b: Length normalisation, 0 to 1.
        language: Whose words they are, a key of `LANGUAGES`; with `from_index`, the one that it was made for.
        from_index: None builds an index from the corpus and keeps it in the cache. Else the name of one of pyserini's
            prebuilt indexes, which is fetched, or the folder of one, as an absolute path or starting with ./ or ~.
            Its documents that the corpus does not have are left out.
    """

    kind: ClassVar[str] = "lucene"
    stored: ClassVar[bool] = False

    k1: float = 0.9
    b: float = 0.4
    language: str = "english"
    from_index: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._opened: tuple[str, LuceneIndex] | None = None
        if self.language not in LANGUAGES:
            raise InputError(f"language: '{self.language}' has no analyzer. {suggestion(self.language, LANGUAGES)}")
        if not (0 <= self.k1 < np.inf and 0 <= self.b <= 1):
            raise InputError(f"expected a finite k1 >= 0 and 0 <= b <= 1, got k1 = {self.k1} and b = {self.b}")

    def prepare(self) -> None:
        """Start Java, and open an index that is not built from the corpus."""
        start()
        if self.from_index is not None:
            with self._lock:
                _ = self._given_index

    def downloads(self) -> Sequence[Download]:
        """A prebuilt index."""
        if self.from_index is None or is_path(self.from_index):
            return ()
        return [Download(f"Lucene index {self.from_index}", partial(prebuilt, self.from_index))]

    def files(self) -> Sequence[Path]:
        """The files of an index that is given as a folder."""
        if self.from_index is None or not is_path(self.from_index):
            return ()
        folder = Path(self.from_index).expanduser()
        return sorted(path for path in folder.glob("*") if path.is_file() and path.name != "write.lock")

    def described(self) -> dict[str, Any]:
        """The options; a folder stands for its content, wherever it lies."""
        whole = super().described()
        return {**whole, "from_index": Path(whole["from_index"]).name} if self.files() else whole

    @cached_property
    def _given_index(self) -> LuceneIndex:
        """The index named by `from_index`."""
        given = str(self.from_index)
        return self._open(Path(given).expanduser() if is_path(given) else prebuilt(given))

    def _open(self, folder: Path) -> LuceneIndex:
        return LuceneIndex(folder, self.language, self.k1, self.b)

    def _index_of(self, corpus: Corpus) -> LuceneIndex:
        """The index to search for documents of a corpus, opened or built on first use.

        Raises:
            InputError: It was made from other documents.
        """
        with self._lock:
            if self._opened is None or self._opened[0] != corpus.digest:
                if self.from_index is None:
                    index = self._open(built(corpus, self.language))
                else:
                    index = self._given_index
                    self._expect_common(index, corpus)
                self._opened = (corpus.digest, index)
            return self._opened[1]

    def _expect_common(self, index: LuceneIndex, corpus: Corpus) -> None:
        some = np.unique(np.linspace(0, len(corpus) - 1, min(SAMPLE, len(corpus))).astype(np.int64))
        if len(some) and not index.holds(corpus.ids_at(some)):
            raise InputError(
                f"{self.label}: the index {self.from_index} was made from another corpus: it has none of "
                f"{len(some):,} document ids looked up, such as '{corpus.id_of(0)}'"
            )

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The k best documents that share a word with the query; equal scores are cut by id, by Lucene itself."""
        corpus = self.corpus
        found = self._found(self._index_of(corpus), corpus, queries.texts, k, k)
        left_out = sum(one.left_out for one in found)
        if left_out:
            warnings.warn(
                f"{self.label}: {left_out:,} documents that the index {self.from_index} returned are not in the corpus "
                "and were left out",
                stacklevel=2,
            )
        columns = max((len(one.docs) for one in found), default=0)
        run = Run.empty(queries.ids, corpus, columns)
        for row, one in enumerate(found):
            run.docs[row, : len(one.docs)] = one.docs
            run.scores[row, : len(one.docs)] = one.scores
        return Run.ranked(queries.ids, corpus, run.docs, run.scores)

    def _found(self, index: LuceneIndex, corpus: Corpus, texts: Sequence[str], k: int, count: int) -> list[Found]:
        """The first k documents of the corpus for each query, looked for among `count`, and deeper where those fail."""
        block = max(1, CELLS // max(count, 1))
        if len(texts) > block:
            parts = [texts[start : start + block] for start in range(0, len(texts), block)]
            return [one for part in parts for one in self._found(index, corpus, part, k, count)]
        hits = [index.search(text, count) for text in texts]
        docs = corpus.rows_of_lists([ids for ids, _ in hits])
        found = []
        deeper = []
        for row, (ids, scores) in enumerate(hits):
            kept = np.flatnonzero(docs[row, : len(ids)] != PAD)[:k]
            if len(kept) < k and len(ids) == count < index.size:
                deeper.append(row)
            reached = int(kept[-1]) + 1 if 0 < k == len(kept) else len(ids)
            found.append(Found(docs[row, kept], np.asarray(scores, np.float32)[kept], reached - len(kept)))
        again = self._found(index, corpus, [texts[row] for row in deeper], k, 4 * count) if deeper else []
        for row, one in zip(deeper, again, strict=True):
            found[row] = one
        return found

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """BM25 of every candidate, 0 where no word is shared; -inf where a given index does not have it."""
        corpus = candidates.corpus
        index = self._index_of(corpus)
        # What is not in an index that was built from the corpus has no words at all.
        absent = 0.0 if self.from_index is None else -np.inf
        scores = np.full(candidates.docs.shape, -np.inf, np.float32)
        for row, text in enumerate(queries.texts):
            there = candidates.docs[row] != PAD
            ids = corpus.ids_at(candidates.docs[row, there])
            known = index.scores(text, ids)
            scores[row, there] = [known.get(one, absent) for one in ids]
        return scores
