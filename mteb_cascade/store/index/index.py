"""An index that is open: documents, and what is kept of them for the stages of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.progress import Progress, silent
from mteb_cascade.store.index import manifest as manifests
from mteb_cascade.store.index.arrays import SegmentArrays
from mteb_cascade.store.index.checking import damaged, faults
from mteb_cascade.store.index.corpus import IndexCorpus
from mteb_cascade.store.index.manifest import WHOLE, Manifest, Version
from mteb_cascade.store.index.segment import KEY, OpenSegment, opened
from mteb_cascade.store.index.whole import ranks

T = TypeVar("T")

ATTEMPTS = 20
"""How often a reader begins anew because a writer deleted what the manifest of a moment ago named."""


@dataclass(frozen=True, eq=False)
class Index:
    """What a folder held when it was opened: a writer that changes the folder does not disturb it.

    Args:
        folder: Where it lies.
        manifest: What it holds.
        corpus: The live documents.
        version: Of the manifest's file.
    """

    folder: Path
    manifest: Manifest
    corpus: IndexCorpus = field(repr=False)
    version: Version = field(repr=False)

    @classmethod
    def open(cls, folder: Path | str, *, check_all: bool = False, progress: Progress = silent) -> Index:
        """Open the index in a folder.

        Sizes and times of its files are compared; a file with another time, as in a copied index, is read and compared
        with its checksum.

        Args:
            folder: That `Writer` wrote.
            check_all: Read every file.
            progress: Told of bytes read.

        Raises:
            InputError: There is none, or it is damaged: every fault is named.
        """
        return used(Path(folder), lambda index: index, check_all=check_all, progress=progress)

    def arrays(self, fingerprint: str) -> SegmentArrays | None:
        """What is kept of each document for the stage with this fingerprint; None where nothing is."""
        segments = self.corpus.places.segments
        key = fingerprint[:KEY]
        return SegmentArrays(self.corpus.places, key) if segments and key in segments[0].arrays else None

    def whole(self, fingerprint: str) -> Path | None:
        """The folder of what is kept of all documents together for that stage; None where nothing is."""
        path = f"{WHOLE}/{self.manifest.name}/{fingerprint[:KEY]}"
        there = any(file.path.startswith(f"{path}/") for file in self.manifest.whole)
        return self.folder / path if there else None

    def is_current(self) -> bool:
        """Whether the folder still holds what it held when it was opened."""
        return version_now(self.folder) == self.version

    def removed_with(self, rows: NDArray[np.integer]) -> dict[int, NDArray[np.int32]]:
        """{number of a segment: ascending positions of its documents that are gone, once these rows are too}.

        Segments of which nothing is removed now are left out.
        """
        gone = {}
        for number, _, positions in self.corpus.places.grouped(np.unique(rows)):
            before = self.corpus.places.segments[number].removed
            gone[number] = np.union1d(before, positions).astype(np.int32)
        return gone

    def taken(self, first: int, last: int, rows: int = 4_096) -> Iterator[Mapping[str, Mapping[str, NDArray[Any]]]]:
        """What is kept of the documents from row `first` up to `last`, as `Writer.segment` takes it."""
        kept = {one: arrays for one in self.manifest.keepers if (arrays := self.arrays(one)) is not None}
        for start in range(first, last, rows):
            end = min(start + rows, last)
            taken: dict[str, dict[str, NDArray[Any]]] = {}
            for fingerprint, arrays in kept.items():
                blocks = list(arrays.blocks(*arrays.names, first=start, last=end))
                taken[fingerprint] = {
                    name: np.concatenate([block.arrays[name] for block in blocks]) for name in arrays.names
                }
            yield taken


def used(folder: Path, use: Callable[[Index], T], *, check_all: bool = False, progress: Progress = silent) -> T:
    """Open an index and give it to a function, and again where a writer deleted a file that was still to be opened.

    Args:
        folder: Of the index.
        use: Opens what the index only knows the place of: what is kept of all documents together.
        check_all: Read every file.
        progress: Told of bytes read.

    Returns:
        What the function returned.

    Raises:
        InputError: There is no index, or it is damaged: every fault is named.
    """
    attempts = 0
    while True:
        attempts += 1
        manifest, version = manifests.read_version(folder)
        index = None
        try:
            index = opened_index(folder, manifest, version, check_all, progress)
            return use(index)
        except FileNotFoundError as error:
            if version_now(folder) != version and attempts < ATTEMPTS:
                continue
            if index is not None:  # It was there a moment ago: what is missing is something else.
                raise
            raise damaged(folder, [missing_file(folder, error)]) from None


def missing_file(folder: Path, error: FileNotFoundError) -> str:
    """What is missing, from an error of ours or of a library."""
    if error.errno is None:
        return str(error)
    named = next((word for word in (error.filename, str(error)) if word), "a file")
    return f"{str(named).replace(f'{folder}/', '')}: is missing"


def opened_index(folder: Path, manifest: Manifest, version: Version, check_all: bool, progress: Progress) -> Index:
    """Check and map every file.

    Raises:
        FileNotFoundError: One is not there.
        InputError: Others are damaged.
    """
    found = faults(folder, manifest.files, check_all=check_all, progress=progress)
    if found:
        raise damaged(folder, found)
    segments: list[OpenSegment] = []
    for segment in manifest.segments:
        try:
            segments.append(opened(folder, segment))
        except ValueError as error:
            found.append(str(error))
    if not found:
        try:
            ranked = ranks(folder / WHOLE / manifest.name, manifest.documents, folder)
            return Index(folder, manifest, IndexCorpus(segments, manifest.name, *ranked), version)
        except ValueError as error:
            found.append(str(error))
    raise damaged(folder, found)


def version_now(folder: Path) -> Version | None:
    """Of the manifest that lies in the folder now; None where none can be seen."""
    try:
        return Version.of((folder / manifests.FILE).stat())
    except OSError:
        return None
