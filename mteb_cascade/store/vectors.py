"""Vectors of a corpus as blocks of rows, each a file that is mapped into memory."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mteb_cascade.store import shards

NAME = re.compile(r"(\d{6,})\.[0-9a-f]{32}\.npy")
AGAIN = "and its documents are encoded again"
HEADER = 1_024
"""Bytes in which the header of an `.npy` file ends."""


class StoredVectors:
    """The stored blocks of one corpus by one encoder.

    Args:
        folder: Where they lie, or will.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[int, list[str]] = defaultdict(list)
        for name in shards.names(folder):
            if found := NAME.fullmatch(name):
                self._files[int(found[1])].append(name)

    def read(self, block: int, rows: int) -> NDArray[np.float32] | None:
        """float32 [rows, d], mapped into memory; None where the block is not stored whole.

        Args:
            block: Its number.
            rows: How many it has to have.
        """
        for name in self._files.pop(block, ()):
            path = self.folder / name
            if shards.read(path, AGAIN) is None:
                continue
            try:
                values = mapped(path)
                if values.dtype == np.float32 and values.ndim == 2 and len(values) == rows:
                    return values
                fault = f"expected float32 [{rows}, d], got {values.dtype} {list(values.shape)}"
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                fault = str(error)
            shards.set_aside(path, f"is no block of vectors ({fault})", AGAIN)
        return None

    def write(self, block: int, values: NDArray[np.float32]) -> None:
        """Store a whole block.

        Raises:
            OSError: The disk is full, or the folder cannot be written; nothing is left of it.
        """
        data = io.BytesIO()
        np.save(data, np.ascontiguousarray(values, np.float32), allow_pickle=False)
        shards.write(self.folder, data.getvalue(), ".npy", what=f"{block:06d}")


def mapped(path: Path) -> NDArray[np.float32]:
    """The array of an `.npy` file, mapped into memory.

    Its head is read as of any file: touching what is mapped would have the system read far ahead of it. `np.memmap`
    keeps a file open for each; a large corpus has more blocks than a process may have files open.

    Raises:
        ValueError: It is no array of plain numbers.
    """
    with pa.memory_map(str(path)) as file, path.open("rb", buffering=0) as plain:
        buffer = file.read_buffer()
        head = io.BytesIO(plain.read(HEADER))
    if np.lib.format.read_magic(head) != (1, 0):
        raise ValueError("expected version 1.0 of the format")
    shape, _, dtype = np.lib.format.read_array_header_1_0(head)
    values: NDArray[np.float32] = np.frombuffer(buffer, dtype, offset=head.tell()).reshape(shape)
    return values
