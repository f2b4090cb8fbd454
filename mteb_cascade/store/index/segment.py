"""A segment that is open: its documents and arrays, mapped into memory."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mteb_cascade.errors import in_one_line
from mteb_cascade.store.index.manifest import SEGMENTS, Segment
from mteb_cascade.store.vectors import mapped

DOCUMENTS = "documents.arrow"
KEY = 16
"""Letters of a stage's fingerprint that begin the names of its files."""

LENGTHS = ".lengths"
"""Ends the name of the array that says how many entries of another one each document has."""


class Strings:
    """Texts that lie one after the other in a file that is mapped.

    Args:
        values: Arrow strings without nulls.

    Raises:
        ValueError: They are something else.
    """

    def __init__(self, values: pa.Array) -> None:
        if values.type != pa.large_string() or values.null_count:
            raise ValueError(f"expected large_string without nulls, got {values.type} with {values.null_count}")
        values.validate()
        _, bounds, data = values.buffers()
        self.bounds: NDArray[np.int64] = np.frombuffer(bounds, np.int64)[
            values.offset : values.offset + len(values) + 1
        ]
        self._plain_bounds = self.bounds.data  # Gives Python's numbers: one at a time they are much faster.
        self.data = memoryview(data if data is not None else b"")

    def bytes_at(self, position: int) -> bytes:
        """One text as UTF-8."""
        return bytes(self.data[self._plain_bounds[position] : self._plain_bounds[position + 1]])

    def at(self, positions: NDArray[np.integer]) -> list[str]:
        """Texts at these positions."""
        first, last = self.bounds[positions].tolist(), self.bounds[positions + 1].tolist()
        return [str(self.data[start:end], "utf-8") for start, end in zip(first, last, strict=True)]

    def lengths(self, positions: NDArray[np.integer]) -> NDArray[np.int64]:
        """int64 [len(positions)], bytes of the texts at these positions."""
        return np.asarray(self.bounds[positions + 1] - self.bounds[positions])

    def array(self, first: int, last: int) -> pa.Array:
        """Texts from `first` up to `last`, as Arrow strings that share the mapped bytes.

        Raises:
            ValueError: The bounds are not ascending, as only those of a damaged file are.
        """
        bounds = self.bounds[first : last + 1]
        if len(bounds) and (bounds[0] < 0 or bounds[-1] > len(self.data) or (np.diff(bounds) < 0).any()):
            raise ValueError("the bounds of its texts are damaged")
        buffers = [None, pa.py_buffer(np.ascontiguousarray(bounds)), pa.py_buffer(self.data)]
        return pa.Array.from_buffers(pa.large_string(), last - first, buffers)


@dataclass(frozen=True, eq=False)
class OpenSegment:
    """A segment whose files are mapped: they may be deleted while it is in use.

    Args:
        segment: What the manifest says of it.
        ids: Of its documents, those that are gone included.
        texts: Of its documents.
        arrays: {key of a stage: {name: array}}.
        removed: int32, ascending positions of documents that are gone.
    """

    segment: Segment
    ids: Strings
    texts: Strings
    arrays: Mapping[str, Mapping[str, NDArray[Any]]]
    removed: NDArray[np.int32]

    @property
    def live(self) -> int:
        """Documents that are not gone."""
        return self.segment.live

    @property
    def kinds(self) -> dict[tuple[str, str], tuple[np.dtype[Any], tuple[int, ...]]]:
        """{(key of a stage, name of an array): what a row of it is}."""
        return {
            (key, name): (array.dtype, array.shape[1:])
            for key, named in self.arrays.items()
            for name, array in named.items()
        }

    @cached_property
    def standing(self) -> NDArray[np.int32] | None:
        """int32 [live], positions of the live documents; None where none is gone."""
        if not self.segment.removed_rows:
            return None
        kept = np.ones(self.segment.rows, bool)
        kept[self.removed] = False
        return np.flatnonzero(kept).astype(np.int32)

    def positions(self, rows: NDArray[np.integer]) -> NDArray[np.integer]:
        """Positions within the segment of its live documents' rows."""
        return rows if self.standing is None else self.standing[rows]

    def live_strings(self, values: Strings) -> pa.Array:
        """Arrow strings [live]."""
        everything = values.array(0, self.segment.rows)
        return everything if self.standing is None else everything.take(pa.array(self.standing))


def opened(index: Path, segment: Segment) -> OpenSegment:
    """Map the files of a segment, which were found as the manifest says.

    Raises:
        FileNotFoundError: A writer deleted them.
        ValueError: A file is not what its name says.
    """
    arrays: dict[str, dict[str, NDArray[Any]]] = {}
    folder = f"{SEGMENTS}/{segment.name}"
    for file in segment.files:
        name = file.path.removeprefix(f"{folder}/")
        if not name.endswith(".npy"):
            continue
        key, _, array = name.removesuffix(".npy").partition(".")
        with naming(file.path):
            arrays.setdefault(key, {})[array] = mapped(index / file.path)
    with naming(f"{folder}/{DOCUMENTS}"):
        ids, texts = documents(index / folder / DOCUMENTS)
        if not len(ids) == len(texts) == segment.rows:
            raise ValueError(f"it has {len(ids)} documents, {segment.rows} were written")
        both = Strings(ids), Strings(texts)
    removed: NDArray[Any] = np.empty(0, np.int32)
    if segment.removed:
        with naming(segment.removed.path):
            removed = mapped(index / segment.removed.path)
            if removed.shape != (segment.removed_rows,) or removed.dtype != np.int32:
                raise ValueError(f"expected int32 [{segment.removed_rows}], got {removed.dtype} {list(removed.shape)}")
    for key, named in arrays.items():
        for name in named:
            if lengths_name(name, named) is None and len(named[name]) != segment.rows:
                raise ValueError(
                    f"{folder}/{key}.{name}.npy: it is of {len(named[name])} documents, {segment.rows} were written"
                )
    return OpenSegment(segment, *both, arrays, removed)


@contextmanager
def naming(path: str) -> Iterator[None]:
    """Put the path of a file before what is wrong with it.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: Anything else is wrong with it.
    """
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError, pa.ArrowException) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ValueError(f"{path}: cannot be read ({os.strerror(error.errno)})") from None
        raise ValueError(f"{path}: is damaged ({in_one_line(error)})") from None


def documents(path: Path) -> tuple[pa.Array, pa.Array]:
    """Ids and texts of an Arrow file, mapped; the file does not stay open."""
    with pa.memory_map(str(path)) as file:
        buffer = file.read_buffer()
    reader = pa.ipc.open_file(pa.BufferReader(buffer))
    if reader.num_record_batches != 1 or reader.schema.names != ["id", "text"]:
        raise ValueError("it is no file of documents; expected one batch of the columns id and text")
    batch = reader.get_batch(0)
    return batch.column(0), batch.column(1)


def lengths_name(name: str, names: Collection[str]) -> str | None:
    """Name of the array that says how many entries of this one each document has; None for an array of documents.

    An array's own lengths, those of what its name begins with, or the only ones that there are: a stage keeps entries
    of a document, or a row a document, not both.
    """
    if name.endswith(LENGTHS):
        return None
    own = [f"{name}{LENGTHS}", f"{name.partition('.')[0]}{LENGTHS}"]
    any_lengths = [one for one in names if one.endswith(LENGTHS)]
    return next((one for one in own if one in names), any_lengths[0] if len(any_lengths) == 1 else None)


class Rows:
    """In which segment each live row lies.

    Args:
        segments: S segments, in their order.

    Raises:
        ValueError: They do not keep the same of their documents.
    """

    def __init__(self, segments: Sequence[OpenSegment]) -> None:
        self.segments = tuple(segments)
        kinds = self.segments[0].kinds if self.segments else {}
        for other in self.segments[1:]:
            if other.kinds != kinds:
                raise ValueError(f"{SEGMENTS}/{other.segment.name}: keeps other arrays than the segments before it")
        self.starts: NDArray[np.int64] = np.concatenate(
            [[0], np.cumsum([one.live for one in segments], dtype=np.int64)]
        )

    def __len__(self) -> int:
        return int(self.starts[-1])

    def grouped(self, rows: NDArray[np.integer]) -> Iterator[tuple[int, NDArray[np.intp] | slice, NDArray[np.integer]]]:
        """For each segment that has some of these rows: its number, which of the rows, their positions within it.

        Raises:
            IndexError: There is no such row.
        """
        if not len(rows):
            return
        if rows.min() < 0 or rows.max() >= len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of an index of {len(self)} documents")
        of = np.searchsorted(self.starts, rows, side="right") - 1
        if of[0] == of[-1] and (of == of[0]).all():
            number = int(of[0])
            yield number, slice(None), self.segments[number].positions(rows - self.starts[number])
            return
        order = np.argsort(of, kind="stable")
        bounds = np.flatnonzero(np.diff(of[order], prepend=-1, append=len(self.segments)))
        for first, last in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
            which = order[first:last]
            number = int(of[which[0]])
            yield number, which, self.segments[number].positions(rows[which] - self.starts[number])
