"""Documents and queries: ids and texts in row order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from numpy.typing import NDArray

TEXTS = 65_536
"""Texts that are Python strings at once."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """N documents.

    Args:
        ids: Arrow strings [N], each id once.
        texts: Arrow strings [N], title + " " + text, stripped: what a model reads (mteb's own rule).
        source: The dataset of mteb that it was made from, row for row: some of mteb's models read titles apart.
    """

    ids: pa.Array
    texts: pa.Array
    source: Any = field(default=None, repr=False)

    @classmethod
    def of(cls, ids: Iterable[str], texts: Iterable[str], titles: Iterable[str | None] | None = None) -> Corpus:
        """A corpus from columns.

        Raises:
            ValueError: The columns differ in length, or an id stands twice.
        """
        if titles is not None:
            texts = [
                f"{title} {text}".strip() if title else text.strip() for title, text in zip(titles, texts, strict=True)
            ]
        else:
            texts = [text.strip() for text in texts]
        columns = pa.array(ids, pa.large_string()), pa.array(texts, pa.large_string())
        if len(columns[0]) != len(columns[1]):
            raise ValueError(f"{len(columns[0])} document ids but {len(columns[1])} texts")
        corpus = cls(*columns)
        corpus.refuse_repeated()
        return corpus

    @classmethod
    def of_tables(cls, tables: Iterable[pa.Table]) -> Corpus:
        """As `of`, from Arrow tables of columns `id`, `text` and perhaps `title`: no text becomes a Python object.

        Raises:
            ValueError: A text is null, or an id stands twice.
        """
        ids, texts = [], []
        for table in tables:
            read = as_read(table)
            ids.append(read["id"].chunk(0))
            texts.append(read["text"].chunk(0))
        corpus = cls(joined(ids), joined(texts))
        corpus.refuse_repeated()
        return corpus

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Corpus({len(self):,} documents)"

    @cached_property
    def tie(self) -> NDArray[np.int32]:
        """int32 [N], each id's rank in code-point order (which is UTF-8's byte order)."""
        rank = np.empty(len(self), np.int32)
        rank[pc.sort_indices(self.ids).to_numpy()] = np.arange(len(self), dtype=np.int32)
        return rank

    @cached_property
    def digest(self) -> str:
        """xxh3-128 over ids and texts in row order: two corpora with one digest are the same."""
        blocks = (
            zip(self.ids.slice(start, TEXTS).to_pylist(), self.texts.slice(start, TEXTS).to_pylist(), strict=True)
            for start in range(0, len(self), TEXTS)
        )
        return digest_of(pair for block in blocks for pair in block)

    def id_of(self, row: int) -> str:
        """Id of one row."""
        return str(self.ids[row].as_py())

    def ids_at(self, rows: NDArray[np.integer]) -> list[str]:
        """Ids of these rows, in their order."""
        taken: list[str] = self.ids.take(pa.array(rows)).to_pylist()
        return taken

    def texts_at(self, rows: NDArray[np.integer] | Sequence[int]) -> list[str]:
        """Texts of these rows, in their order."""
        taken: list[str] = self.texts.take(pa.array(rows)).to_pylist()
        return taken

    def lengths_at(self, rows: NDArray[np.integer]) -> NDArray[np.int64]:
        """int64 [len(rows)], bytes of the texts of these rows."""
        lengths = pc.binary_length(self.texts.take(pa.array(rows)))
        return np.asarray(lengths.to_numpy(zero_copy_only=False), np.int64)

    def rows(self, ids: Sequence[str]) -> NDArray[np.int32]:
        """Rows of these ids.

        Returns:
            int32 [len(ids)], -1 for an id that the corpus does not have.
        """
        found = pc.index_in(pa.array(ids, pa.large_string()), value_set=self.ids)
        return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), np.int32)

    def rows_of_lists(self, lists: Sequence[Sequence[str]]) -> NDArray[np.int32]:
        """Rows of several lists of ids, looked up together.

        Returns:
            int32 [len(lists), longest list], -1 for an id that the corpus does not have and at the end of a short list.
        """
        lengths = np.array([len(one) for one in lists], np.int64)
        found = np.full((len(lists), int(lengths.max(initial=0))), -1, np.int32)
        found[np.arange(found.shape[1]) < lengths[:, None]] = self.rows([one for several in lists for one in several])
        return found

    def refuse_repeated(self) -> None:
        """Raise ValueError where an id stands twice."""
        repeated = self.repeated_id()
        if repeated is not None:
            raise ValueError(f"document id '{repeated}' stands twice in the corpus; ids must be unique")

    def repeated_id(self) -> str | None:
        """The first id that stands twice, if any."""
        counts = pc.value_counts(self.ids)
        repeated = counts.filter(pc.greater(counts.field("counts"), 1))
        return str(repeated[0]["values"].as_py()) if len(repeated) else None


@dataclass(frozen=True, repr=False)
class Queries:
    """Q queries.

    Args:
        ids: Q ids.
        texts: Q texts.
        context: What the caller knows beside the text, most of which most stages ignore: `task_metadata` (mteb's) or
            `task` (a name), `hf_split`, `hf_subset`.
        source: The dataset of mteb that they stem from, perhaps of more queries and in another order: some of mteb's
            models read instructions apart.
    """

    ids: tuple[str, ...]
    texts: tuple[str, ...]
    context: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)
    source: Any = field(default=None, compare=False, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        return f"Queries({len(self):,})"

    def rows(self, rows: Iterable[int]) -> Queries:
        """The queries at these rows, in this order."""
        rows = list(rows)
        ids, texts = tuple(self.ids[i] for i in rows), tuple(self.texts[i] for i in rows)
        return replace(self, ids=ids, texts=texts)

    def first(self, count: int) -> Queries:
        """The first so many, or all where there are fewer."""
        return self.rows(range(min(count, len(self))))

    def within(self, **context: Any) -> Queries:
        """The same queries, with more said of where they come from."""
        return replace(self, context={**self.context, **context})

    @property
    def task(self) -> str | None:
        """Name of the task that they belong to, where the caller said."""
        metadata = self.context.get("task_metadata")
        name = metadata.name if metadata is not None else self.context.get("task")
        return None if name is None else str(name)

    @cached_property
    def digest(self) -> str:
        """xxh3-128 over ids and texts."""
        return digest_of(zip(self.ids, self.texts, strict=True))


def as_read(table: pa.Table) -> pa.Table:
    """Columns `id` and `text` of a table of `id`, `text` and perhaps `title`; the text as a model reads it.

    Raises:
        ValueError: A text is null.
    """
    columns = {name: table[name].cast(pa.large_string()).combine_chunks() for name in table.column_names}
    if columns["text"].null_count:
        raise ValueError("the corpus has a null text; expected a string in each row")
    text = columns["text"]
    if "title" in columns:
        space = pa.scalar(" ", pa.large_string())
        text = pc.binary_join_element_wise(columns["title"], text, space, null_handling="replace", null_replacement="")
    # The system's memory goes back to it when a caller gives a block up; Arrow's own pool would keep it.
    text = pc.utf8_trim_whitespace(text, memory_pool=pa.system_memory_pool())
    return pa.table([columns["id"], text], ["id", "text"])


def joined(blocks: list[pa.Array]) -> pa.Array:
    """Blocks of Arrow strings as one; the list is emptied on the way, so that no two copies of all are held."""
    offsets = np.zeros(sum(map(len, blocks)) + 1, np.int64)
    data = np.empty(sum(map(size_of, blocks)), np.uint8)  # Memory is taken as it is written.
    row = size = 0
    blocks.reverse()
    while blocks:
        block = blocks.pop()
        own = np.frombuffer(block.buffers()[1], np.int64)[block.offset : block.offset + len(block) + 1]
        offsets[row : row + len(own)] = own - own[0] + size
        if block.buffers()[2] is not None:
            data[size : size + own[-1] - own[0]] = np.frombuffer(block.buffers()[2], np.uint8)[own[0] : own[-1]]
        row, size = row + len(block), size + int(own[-1] - own[0])
    return pa.Array.from_buffers(pa.large_string(), len(offsets) - 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])


def size_of(block: pa.Array) -> int:
    """Bytes of its texts."""
    return int(pc.sum(pc.cast(pc.binary_length(block), pa.int64())).as_py() or 0)


def digest_of(pairs: Iterable[tuple[str, str]]) -> str:
    """xxh3-128 of (id, text) pairs; lengths are part of it, so no two lists read alike."""
    state = xxhash.xxh3_128()
    for pair in pairs:
        for part in pair:
            data = part.encode("utf-8", "surrogatepass")
            state.update(len(data).to_bytes(8, "little"))
            state.update(data)
    return state.hexdigest()
