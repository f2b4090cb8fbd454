"""Scores of (query, document) pairs, found again by their texts."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xxhash
from numpy.typing import NDArray

from mteb_cascade.store import shards

ROWS = 250_000
"""Stored pairs that are looked through together, where shards are small."""

Columns = tuple[NDArray[np.uint64], NDArray[np.uint64], NDArray[np.float32]]
"""Hashes of queries and documents, and scores."""

HASHES = np.dtype(np.uint64)


def hashes_of(texts: Iterable[str]) -> NDArray[np.uint64]:
    """uint64 [n], xxh3-64 of each text: what a pair is stored under."""
    return np.fromiter((xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) for text in texts), HASHES)


class WantedPairs:
    """Pairs whose scores are looked for, and those found so far.

    Memory grows with the pairs wanted, not with what is stored: shards are read one by one.

    Args:
        queries: uint64 [Q], hash of each query.
        documents: uint64 [D], hash of each document.
        asked: int [n], which query each pair is of.
        candidates: int [n], which document each pair is of.
    """

    def __init__(
        self,
        queries: NDArray[np.uint64],
        documents: NDArray[np.uint64],
        asked: NDArray[np.integer],
        candidates: NDArray[np.integer],
    ) -> None:
        self.queries, of_query = np.unique(queries, return_inverse=True)
        self.documents, of_document = np.unique(documents, return_inverse=True)
        pairs = of_query[asked] * np.int64(max(len(self.documents), 1)) + of_document[candidates]
        self.pairs, place = np.unique(pairs, return_inverse=True)
        self.place: NDArray[np.intp] = place
        """intp [n], which of the distinct pairs each is."""
        self.scores = np.full(len(self.pairs), np.inf, np.float32)
        self.known = np.zeros(len(self.pairs), bool)
        self.found = 0
        """How many of the n pairs are known, equal ones as often as they stand there."""
        self._count = np.bincount(place, minlength=len(self.pairs))

    def take(self, places: NDArray[np.integer], scores: NDArray[np.float32]) -> None:
        """Remember the scores of distinct pairs; of several scores of one pair the smallest counts."""
        np.minimum.at(self.scores, places, scores)
        new = np.sort(places[~self.known[places]])
        new = new[np.diff(new, prepend=-1) > 0]  # As np.unique, whose hash table takes ten times as long.
        self.known[new] = True
        self.found += int(self._count[new].sum())

    def find(self, queries: NDArray[np.uint64], documents: NDArray[np.uint64], scores: NDArray[np.float32]) -> None:
        """Take from stored pairs those that are wanted."""
        place, found = within(self.queries, queries)
        pairs = place[found] * np.int64(max(len(self.documents), 1))
        documents, scores = documents[found], scores[found]
        place, found = within(self.documents, documents)
        pairs, scores = pairs[found] + place[found], scores[found]
        place, found = within(self.pairs, pairs)
        self.take(place[found], scores[found])

    def hashes_at(self, places: NDArray[np.integer]) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Hashes of query and document of these distinct pairs."""
        size = max(len(self.documents), 1)
        return self.queries[self.pairs[places] // size], self.documents[self.pairs[places] % size]


def within(known: NDArray[np.generic], asked: NDArray[np.generic]) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each of `asked` stands in the ascending `known`, and whether it does.

    >>> within(np.array([2, 5, 9]), np.array([9, 3]))
    (array([2, 1]), array([ True, False]))
    """
    if not len(known):
        return np.zeros(len(asked), np.intp), np.zeros(len(asked), bool)
    order = np.argsort(asked)  # Neighbours are looked for near each other: some times as fast.
    place = np.empty(len(asked), np.intp)
    place[order] = np.minimum(np.searchsorted(known, asked[order]), len(known) - 1)
    return place, known[place] == asked


class PairScores:
    """The stored scores of one stage: one shard a block of work, columns q, d (uint64) and s (float32).

    Args:
        folder: Where its shards lie, or will.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._seen: set[str] = set()

    def read(self, wanted: WantedPairs) -> None:
        """Look into every shard that was not looked into before: of several scores of a pair the smallest counts."""
        held: list[Columns] = []
        for name in shards.names(self.folder):
            if name in self._seen:
                continue
            self._seen.add(name)
            columns = self.shard(name)
            if columns is not None:
                held.append(columns)
            if sum(len(scores) for *_, scores in held) >= ROWS:
                wanted.find(*map(np.concatenate, zip(*held, strict=True)))
                held.clear()
        if held:
            wanted.find(*map(np.concatenate, zip(*held, strict=True)))

    def among(
        self, queries: NDArray[np.uint64], documents: NDArray[np.uint64]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
        """Every stored pair of these queries with these documents.

        Args:
            queries: uint64 [Q], ascending, each once.
            documents: uint64 [D], ascending, each once.

        Returns:
            Which query [n], which document [n] and the score [n], by query, then document; each pair once.
        """
        found: list[tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]] = []
        for name in shards.names(self.folder):
            columns = self.shard(name)
            if columns is not None:
                (rows, is_asked), (docs, is_here) = within(queries, columns[0]), within(documents, columns[1])
                taken = is_asked & is_here
                found.append((rows[taken], docs[taken], columns[2][taken]))
        none = np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0, np.float32)
        rows, docs, scores = (np.concatenate(column) for column in zip(none, *found, strict=True))
        order = np.lexsort((scores, docs, rows))
        rows, docs, scores = rows[order], docs[order], scores[order]
        first = np.ones(len(rows), bool)
        first[1:] = (rows[1:] != rows[:-1]) | (docs[1:] != docs[:-1])
        return rows[first], docs[first], scores[first]

    def shard(self, name: str) -> Columns | None:
        """The columns of one shard; None where it is damaged or gone."""
        data = shards.read(self.folder / name, "and its pairs are scored again")
        if data is None:
            return None
        try:
            table = pq.read_table(pa.BufferReader(data), columns=["q", "d", "s"], use_threads=False)
            queries, documents, scores = (table[column].to_numpy() for column in "qds")
        except (pa.ArrowException, OSError, KeyError) as error:
            shards.set_aside(self.folder / name, f"is no shard of pair scores ({error})", "and left unread")
            return None
        return queries, documents, scores

    def write(self, queries: NDArray[np.uint64], documents: NDArray[np.uint64], scores: NDArray[np.float32]) -> None:
        """Store pairs as one shard.

        Raises:
            OSError: The disk is full, or the folder cannot be written; nothing is left of the shard.
        """
        table = pa.table({"q": queries, "d": documents, "s": np.asarray(scores, np.float32)})
        data = io.BytesIO()
        pq.write_table(table, data, compression="zstd", store_schema=False)
        self._seen.add(shards.write(self.folder, data.getvalue(), ".parquet").name)
