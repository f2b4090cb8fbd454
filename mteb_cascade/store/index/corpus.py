"""The live documents of an index as a corpus that stays on the disk."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, joined
from mteb_cascade.store.index.segment import OpenSegment, Rows, Strings

PROBES = 32
"""A search for one id looks at about so many; more ids than a share of this of the corpus are looked up in memory."""


class IndexCorpus(Corpus):
    """N live documents, in the order of their insertion; what is asked for is read where it lies.

    `ids` and `texts` bring all of them into memory, and are for stages that need all of them.

    Args:
        segments: The documents.
        digest: Two with one digest are the same.
        tie: int32 [N], each id's rank in code-point order.
        order: int32 [N], the rows in that order.
    """

    def __init__(
        self,
        segments: Sequence[OpenSegment],
        digest: str,
        tie: NDArray[np.int32] | None = None,
        order: NDArray[np.int32] | None = None,
    ) -> None:
        self.__dict__.update(places=Rows(segments), digest=digest, order=order)
        if tie is not None:
            self.__dict__["tie"] = tie

    places: Rows
    order: NDArray[np.int32] | None

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def ids(self) -> pa.Array:
        """Arrow strings [N], in memory."""
        return joined([one.live_strings(one.ids) for one in self.places.segments])

    @cached_property
    def texts(self) -> pa.Array:
        """Arrow strings [N], in memory."""
        return joined([one.live_strings(one.texts) for one in self.places.segments])

    def id_of(self, row: int) -> str:
        """Id of one row."""
        return self.id_bytes(row).decode()

    def id_bytes(self, row: int) -> bytes:
        """Id of one row as UTF-8."""
        number = bisect_right(self._starts, row) - 1
        segment = self.places.segments[number]
        position = row - self._starts[number]
        return segment.ids.bytes_at(position if segment.standing is None else segment.standing[position])

    @cached_property
    def _starts(self) -> list[int]:
        starts: list[int] = self.places.starts.tolist()
        return starts

    def ids_at(self, rows: NDArray[np.integer]) -> list[str]:
        """Ids of these rows, in their order."""
        return self._strings_at(rows, [one.ids for one in self.places.segments])

    def texts_at(self, rows: NDArray[np.integer] | Sequence[int]) -> list[str]:
        """Texts of these rows, in their order."""
        return self._strings_at(rows, [one.texts for one in self.places.segments])

    def _strings_at(self, rows: NDArray[np.integer] | Sequence[int], values: Sequence[Strings]) -> list[str]:
        rows = np.asarray(rows)
        found = np.empty(len(rows), object)
        for number, which, positions in self.places.grouped(rows):
            found[which] = values[number].at(positions)
        strings: list[str] = found.tolist()
        return strings

    def lengths_at(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """int64 [len(rows)], bytes of the texts of these rows."""
        found = np.empty(len(rows), np.int64)
        for number, which, positions in self.places.grouped(rows):
            found[which] = self.places.segments[number].texts.lengths(positions)
        return found

    def rows(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """Rows of these ids.

        Returns:
            int32 [len(ids)], -1 for an id that the index does not have.
        """
        if self.order is None or len(ids) * PROBES > len(self):
            return super().rows(ids)
        return np.fromiter((self.row_of(one.encode("utf-8", "surrogatepass")) for one in ids), np.int32, len(ids))

    def row_of(self, id_bytes: bytes) -> int:
        """Row of an id, -1 where the index does not have it."""
        if self.order is None:
            raise ValueError("the index is not committed yet")
        order = self.order.data
        at = bisect_left(order, id_bytes, key=self.id_bytes)
        return order[at] if at < len(order) and self.id_bytes(order[at]) == id_bytes else -1

    def documents(self, first: int, last: int) -> pa.Table:
        """Columns `id` and `text` of the rows from `first` up to `last`."""
        ids: list[pa.Array] = []
        texts: list[pa.Array] = []
        for start, segment in zip(self._starts, self.places.segments, strict=False):
            low, high = max(first, start) - start, min(last, start + segment.live) - start
            if low < high:
                for values, found in ((segment.ids, ids), (segment.texts, texts)):
                    found.append(segment.live_strings(values).slice(low, high - low))
        return pa.table({"id": joined(ids), "text": joined(texts)})
