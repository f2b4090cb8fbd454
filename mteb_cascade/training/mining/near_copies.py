"""Near-duplicate documents among many given pairs: nearly all are told apart by sketches, the rest exactly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.judging import NEAR
from mteb_cascade.values.words import words

BITS = 256
"""Of a sketch: each distinct word of a document sets one."""

UNREAD = -1
TEXTS = 8192
"""Documents whose words are read together."""


class NearCopies:
    """Tells which pairs of documents are near-duplicates: Jaccard similarity of their distinct words >= `NEAR`.

    A bit that is set in one sketch alone is a word of that document alone, so sketches bound the words in common from
    above: what fails the bound is no near-duplicate, what passes is compared word by word. Sketches are made when a
    document is first asked for: 36 bytes a document of the corpus, and some 20 microseconds.

    Args:
        corpus: N documents.
    """

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._sketches = np.zeros((len(corpus), BITS // 64), np.uint64)
        self._sizes = np.full(len(corpus), UNREAD, np.int32)

    def __call__(self, left: NDArray[np.integer], right: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which pairs are near-duplicates.

        Args:
            left: int [n], rows of the corpus.
            right: int [n], rows of the corpus.

        Returns:
            bool [n]; a document without words is nobody's.
        """
        self._read(np.unique(np.concatenate([docs[self._sizes[docs] == UNREAD] for docs in (left, right)])))
        sizes = self._sizes[left], self._sizes[right]
        # |A and B| / |A or B| >= NEAR says |A and B| >= NEAR / (1 + NEAR) * (|A| + |B|): sizes alone refuse most.
        least = NEAR / (1 + NEAR) * (sizes[0] + sizes[1]) - 1e-9
        possible = np.flatnonzero(np.minimum(*sizes) >= np.maximum(least, 1))
        ours, theirs = self._sketches[left[possible]], self._sketches[right[possible]]
        most = np.minimum(
            sizes[0][possible] - np.bitwise_count(ours & ~theirs).sum(axis=1, dtype=np.int32),
            sizes[1][possible] - np.bitwise_count(theirs & ~ours).sum(axis=1, dtype=np.int32),
        )
        possible = possible[most >= least[possible]]
        near = np.zeros(len(left), bool)
        near[possible] = self._compared(left[possible], right[possible])
        return near

    def _read(self, docs: NDArray[np.integer]) -> None:
        """Make the sketches of documents."""
        for start in range(0, len(docs), TEXTS):
            part = docs[start : start + TEXTS]
            sets = [frozenset(words(text)) for text in self.corpus.texts_at(part)]
            self._sizes[part] = [len(one) for one in sets]
            self._sketches[part] = np.frombuffer(b"".join(map(sketch, sets)), np.uint64).reshape(len(part), -1)

    def _compared(self, left: NDArray[np.integer], right: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Bool [n], by the words themselves."""
        docs = np.unique(np.concatenate([left, right]))
        known = {
            doc: frozenset(words(text)) for doc, text in zip(docs.tolist(), self.corpus.texts_at(docs), strict=True)
        }
        pairs = ((known[one], known[other]) for one, other in zip(left.tolist(), right.tolist(), strict=True))
        return np.fromiter((len(one & other) >= NEAR * len(one | other) > 0 for one, other in pairs), bool, len(left))


def sketch(distinct: frozenset[str]) -> bytes:
    """One bit for each word; words may share one."""
    bits = 0
    for word in distinct:
        bits |= 1 << (hash(word) % BITS)
    return bits.to_bytes(BITS // 8, "little")
