"""What answers each training query, and which other documents say the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.store.pair_scores import hashes_of
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.mining.near_copies import NearCopies

TEXTS = 65_536
"""Documents that are Python strings at once."""

PAIRS = 4_000_000
"""Pairs of a candidate and an answer that are compared at once: 100 bytes each."""

RULES = ("answer", "group", "copy", "no text", "near-duplicate")
"""Why a document is no negative, in the order in which that is asked: it is relevant itself, of the group of a document
that is, has the same text as one, has none at all, or nearly the same words as one."""


class Answers:
    """The relevant documents of each question; queries of one text are one question.

    Args:
        lists: Q queries, N documents. 12 bytes a document, and 40 a relevant one, are kept.
    """

    def __init__(self, lists: Lists) -> None:
        self.queries = len(lists)
        _, self.question = np.unique(hashes_of(lists.queries.texts), return_inverse=True)
        """intp [Q]."""
        self.size = max(len(lists.corpus), 1)
        self.same_text = classes(text_hashes(lists.corpus))
        """int32 [N], equal where texts are."""
        self.empty = pc.equal(pc.binary_length(lists.corpus.texts), 0).to_numpy(zero_copy_only=False)
        """bool [N]."""
        self.groups = lists.groups
        rows, columns = np.nonzero(lists.relevant & lists.real)
        pairs = np.unique(self.question[rows] * np.int64(self.size) + lists.docs[rows, columns])
        self.docs = (pairs % self.size).astype(np.int32)
        """int32 [A], relevant documents, question by question."""
        of = pairs // self.size
        self.first = np.searchsorted(of, np.arange(len(lists) + 1))
        """intp [Q + 1], where each question's begin."""
        self._keys = [
            None if numbers is None else np.unique(of * np.int64(self._size(numbers)) + numbers[self.docs])
            for numbers in self._numberings()
        ]
        self._near = NearCopies(lists.corpus)

    def _numberings(self) -> tuple[NDArray[np.int32] | None, ...]:
        """What makes two documents one by each of the first rules: int32 [N] each."""
        return np.arange(self.size, dtype=np.int32), self.groups, self.same_text

    def _size(self, numbers: NDArray[np.int32]) -> int:
        return int(numbers.max(initial=0)) + 1

    def rule(self, rows: NDArray[np.integer], docs: NDArray[np.integer], *, near: bool = True) -> NDArray[np.int8]:
        """Why documents are no negatives of queries.

        Args:
            rows: int [n], queries.
            docs: int [n], documents.
            near: Whether near-duplicates are looked for; of documents drawn blindly there are next to none.

        Returns:
            int8 [n], the first of `RULES` that speaks against it, by number; -1 where none does.
        """
        found = np.full(len(rows), -1, np.int8)
        for number, (numbers, keys) in enumerate(zip(self._numberings(), self._keys, strict=True)):
            if numbers is not None and keys is not None and len(keys):
                asked = self.question[rows] * np.int64(self._size(numbers)) + numbers[docs]
                place = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
                found[(found < 0) & (keys[place] == asked)] = number
        found[(found < 0) & self.empty[docs]] = RULES.index("no text")
        if near:
            left = np.flatnonzero(found < 0)
            found[left[self._is_near(rows[left], docs[left])]] = RULES.index("near-duplicate")
        return found

    def _is_near(self, rows: NDArray[np.integer], docs: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Bool [n], near-duplicates of one of the query's answers."""
        near = np.zeros(len(rows), bool)
        first = self.first[self.question[rows]]
        counts = self.first[self.question[rows] + 1] - first
        for part in parts(counts, PAIRS):
            repeats = counts[part]
            cells = np.repeat(np.arange(part.start, part.stop), repeats)
            within = np.arange(len(cells)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
            near[cells[self._near(docs[cells], self.docs[first[cells] + within])]] = True
        return near


def parts(counts: NDArray[np.integer], most: int) -> Iterator[slice]:
    """Runs of items whose counts add up to about `most`, or of one item that has more."""
    if len(counts):
        cuts = np.flatnonzero(np.diff(np.cumsum(counts) // most)) + 1
        for start, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), len(counts)], strict=True):
            yield slice(start, stop)


def text_hashes(corpus: Corpus) -> NDArray[np.uint64]:
    """uint64 [N], of each text; the texts are never Python objects all at once."""
    blocks = [hashes_of(corpus.texts.slice(start, TEXTS).to_pylist()) for start in range(0, len(corpus), TEXTS)]
    return np.concatenate([np.empty(0, np.uint64), *blocks])


def classes(values: NDArray[np.uint64]) -> NDArray[np.int32]:
    """int32 [n], equal numbers for equal values."""
    return np.unique(values, return_inverse=True)[1].astype(np.int32)
