"""Arrays that grow row by row on the disk, as `.npy` files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.store.index.segment import KEY, LENGTHS, lengths_name

HEADER = 128
"""Bytes before the values: the number of rows is written there at the end, and takes no more room than at first."""

NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")

Kept = Mapping[str, Mapping[str, NDArray[Any]]]
"""{fingerprint of a stage: {name: array}} of consecutive documents."""


class ArrayFiles:
    """The arrays of a segment while they are written.

    Args:
        folder: Where `<key of the stage>.<name>.npy` are written.
        documents: How many the segment has.
    """

    def __init__(self, folder: Path, documents: int) -> None:
        self.folder = folder
        self.documents = documents
        self._open = ExitStack()
        self._files: dict[tuple[str, str], BinaryIO] = {}
        self._like: dict[tuple[str, str], tuple[np.dtype[Any], tuple[int, ...]]] = {}
        self._rows: dict[tuple[str, str], int] = {}
        self._entries: dict[tuple[str, str], int] = {}

    def __enter__(self) -> ArrayFiles:
        return self

    def append(self, kept: Kept) -> None:
        """Add what is kept of the next documents.

        Raises:
            ValueError: An array is not like the one before it, of which it is the continuation.
            OSError: It cannot be written.
        """
        for fingerprint, arrays in kept.items():
            for name, array in arrays.items():
                self._append((fingerprint[:KEY], name), np.ascontiguousarray(array))

    def _append(self, key: tuple[str, str], array: NDArray[Any]) -> None:
        like = array.dtype.newbyteorder("="), array.shape[1:]
        if key not in self._files:
            if not NAME.fullmatch(key[1]) or array.dtype.hasobject or not array.ndim:
                raise ValueError(f"'{key[1]}', {array.dtype} {list(array.shape)}, cannot be kept in an index")
            self._files[key] = self._open.enter_context((self.folder / f"{key[0]}.{key[1]}.npy").open("wb"))
            self._files[key].write(bytes(HEADER))
            self._like[key], self._rows[key], self._entries[key] = like, 0, 0
        if like != self._like[key]:
            before = self._like[key]
            raise ValueError(
                f"'{key[1]}' began as {before[0]} {list(before[1])} and goes on as {like[0]} {list(like[1])}"
            )
        self._files[key].write(array.data.cast("B") if array.size else b"")
        self._rows[key] += len(array)
        if key[1].endswith(LENGTHS):
            self._entries[key] += int(array.sum())

    def finish(self) -> None:
        """Write the number of rows into each file, and all that waits to be written.

        Raises:
            ValueError: An array has not a row a document, or not as many entries as its lengths say.
        """
        for (stage, name), file in self._files.items():
            rows = self._rows[stage, name]
            lengths = lengths_name(name, [other for key, other in self._files if key == stage])
            expected = self.documents if lengths is None else self._entries[stage, lengths]
            if rows != expected:
                raise ValueError(f"'{name}' has {rows:,} rows of {self.documents:,} documents; expected {expected:,}")
            dtype, inner = self._like[stage, name]
            file.seek(0)
            file.write(header(dtype, (rows, *inner)))
            file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # Of a full disk, said already: what was to be written is given up.
            self._open.close()


def write_array(path: Path, values: NDArray[Any]) -> None:
    """Write a whole array; `np.save` does not say why it could not."""
    with path.open("wb") as file:
        file.write(header(values.dtype, values.shape))
        file.write(values.data.cast("B") if values.size else b"")


def header(dtype: np.dtype[Any], shape: tuple[int, ...]) -> bytes:
    """The head of an `.npy` file, version 1.0, `HEADER` bytes long."""
    content = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
    text = repr(content).encode("ascii").ljust(HEADER - 11) + b"\n"
    if len(text) != HEADER - 10:
        raise ValueError(f"an array of shape {shape} cannot be kept in an index")
    return np.lib.format.magic(1, 0) + len(text).to_bytes(2, "little") + text
