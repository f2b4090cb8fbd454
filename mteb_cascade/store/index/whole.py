"""What an index keeps of all its documents together: the order of their ids, and what stages build of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError, printable
from mteb_cascade.spec import shown
from mteb_cascade.store.index import sealed
from mteb_cascade.store.index.array_files import write_array
from mteb_cascade.store.index.corpus import IndexCorpus
from mteb_cascade.store.index.disk import writing
from mteb_cascade.store.index.manifest import WHOLE, StoredFile
from mteb_cascade.store.index.segment import KEY, naming
from mteb_cascade.store.vectors import mapped

Build = Callable[[Corpus, Path], None]
"""Writes what is kept of a corpus as a whole into a folder of its own."""


def found(folder: Path, name: str, build: Mapping[str, Build]) -> tuple[StoredFile, ...] | None:
    """The files of what was built for these documents; None where something is missing or damaged."""
    path = f"{WHOLE}/{name}"
    files = sealed.content(folder, path)
    return files if files is not None and all((folder / path / one[:KEY]).is_dir() for one in build) else None


def built(folder: Path, corpus: IndexCorpus, build: Mapping[str, Build]) -> tuple[StoredFile, ...]:
    """Build it.

    Args:
        folder: Of the index.
        corpus: Its documents to be, which have no order yet.
        build: {fingerprint of a stage: what writes its part}.

    Raises:
        InputError: An id stands twice, or something cannot be written.
    """
    path = f"{WHOLE}/{corpus.digest}"
    order, tie = ordered(folder, corpus.ids)
    with sealed.sealed(folder, path) as beside, writing(folder):
        for name, values in (("order", order), ("tie", tie)):
            write_array(beside / f"{name}.npy", values)
        del order, tie, values
        whole = IndexCorpus(corpus.places.segments, corpus.digest, *ranks(beside, len(corpus), beside))
        for fingerprint, write in build.items():
            (beside / fingerprint[:KEY]).mkdir()
            write(whole, beside / fingerprint[:KEY])
    return sealed.written(folder, path)


def ordered(folder: Path, ids: pa.Array) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Rows in the code-point order of their ids, and each row's rank in it; int32 [N] both.

    Raises:
        InputError: An id stands twice.
    """
    order = pc.sort_indices(ids).to_numpy().astype(np.int32)
    in_order = ids.take(pa.array(order))
    twice = pc.equal(in_order[1:], in_order[:-1]).to_numpy(zero_copy_only=False) if len(order) else np.empty(0, bool)
    if twice.any():
        repeated = printable(in_order[int(np.argmax(twice))])
        raise InputError(
            f"{shown(folder)}: document id '{repeated}' would stand twice in the index; leave one of the two out"
        )
    tie = np.empty(len(order), np.int32)
    tie[order] = np.arange(len(order), dtype=np.int32)
    return order, tie


def ranks(whole: Path, documents: int, folder: Path) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """`tie` and `order` of a corpus, mapped.

    Args:
        whole: Where they lie.
        documents: How many there are.
        folder: Of the index: files are named below it.

    Raises:
        FileNotFoundError: A writer deleted them.
        ValueError: They are not what was written.
    """
    tie, order = (rank(whole / f"{name}.npy", documents, folder) for name in ("tie", "order"))
    return tie, order


def rank(path: Path, documents: int, folder: Path) -> NDArray[np.int32]:
    """int32 [documents], mapped."""
    with naming(path.relative_to(folder).as_posix()):
        values: NDArray[Any] = mapped(path)
        if values.dtype != np.int32 or values.shape != (documents,):
            raise ValueError(f"expected int32 [{documents}], got {values.dtype} {list(values.shape)}")
    return values
