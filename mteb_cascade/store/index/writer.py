"""What changes an index: segments are written beside those that are there, and count when the manifest names them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from mteb_cascade.atomic import make_writable, replaced
from mteb_cascade.corpora.corpus import joined
from mteb_cascade.errors import InputError, printable
from mteb_cascade.spec import shown
from mteb_cascade.store.index import manifest as manifests
from mteb_cascade.store.index import sealed, whole
from mteb_cascade.store.index.array_files import ArrayFiles, Kept, write_array
from mteb_cascade.store.index.corpus import IndexCorpus
from mteb_cascade.store.index.disk import delete, sync, writing
from mteb_cascade.store.index.lock import FILE as LOCK
from mteb_cascade.store.index.lock import locked
from mteb_cascade.store.index.manifest import REMOVED, SEGMENTS, WHOLE, Manifest, Part, Segment
from mteb_cascade.store.index.segment import DOCUMENTS, opened
from mteb_cascade.store.index.whole import Build

SEGMENT_ROWS = 32_768
"""Documents of a segment, the last one apart."""


class Writer:
    """The one process that changes an index, from `with` to its end.

    Nothing counts before `commit`, and what was written until then is found again by who writes the same: a build that
    was killed goes on from its last whole segment.

    Args:
        folder: Of the index; made where it is not there.
        model: Short name or path of the model.
        fingerprint: Of the whole model.
        parts: Its stages, depth first.
        keepers: Fingerprints of the stages for which the index keeps something.
        precision: What vectors are kept in.
    """

    def __init__(
        self,
        folder: Path | str,
        *,
        model: str,
        fingerprint: str,
        parts: Sequence[Part],
        keepers: Sequence[str],
        precision: str,
    ) -> None:
        self.folder = Path(folder)
        self.model = model
        self.fingerprint = fingerprint
        self.parts = tuple(parts)
        self.keepers = tuple(keepers)
        self.precision = precision
        self._held = ExitStack()

    @classmethod
    def of(cls, folder: Path | str) -> Writer:
        """A writer that goes on with the model of the index in a folder.

        Raises:
            InputError: There is none.
        """
        there = manifests.read(Path(folder))
        return cls(
            folder,
            model=there.model,
            fingerprint=there.fingerprint,
            parts=there.parts,
            keepers=there.keepers,
            precision=there.precision,
        )

    def __enter__(self) -> Writer:
        """Take the lock, and delete what a killed writer left half-written.

        Raises:
            InputError: Another process has it, the folder holds something else, or it cannot be written to.
        """
        self.refuse_other_folder()
        try:
            make_writable(self.folder)
        except OSError as error:
            raise InputError(
                f"{shown(self.folder)}: no index can be written there ({error.strerror}); give the right to write "
                "there, or name another folder"
            ) from None
        with ExitStack() as held, writing(self.folder):
            held.enter_context(locked(self.folder))
            left = [path for folder in (SEGMENTS, WHOLE, REMOVED) for path in (self.folder / folder).glob(".*")]
            for path in (*self.folder.glob(f".{manifests.FILE}.*"), *left):
                delete(path)
            self._held = held.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    def refuse_other_folder(self) -> None:
        """Raise InputError where the folder is none, holds something else than an index, or leads out of itself."""
        if self.folder.exists() and not self.folder.is_dir():
            raise InputError(f"{shown(self.folder)}: is a file; expected a folder for the index")
        for path in (self.folder / name for name in (SEGMENTS, WHOLE, REMOVED, LOCK)):
            if path.is_symlink():
                raise InputError(
                    f"{shown(path)}: is a link, and a change of the index would delete files where it leads; put them "
                    "in its place, or name another folder"
                )
        if not self.folder.is_dir() or (self.folder / manifests.FILE).exists():
            return
        names = {path.name for path in self.folder.iterdir() if not path.name.startswith(".")}
        other = names - {SEGMENTS, WHOLE, REMOVED, LOCK}
        if other:
            raise InputError(
                f"{shown(self.folder)}: holds other files ('{printable(min(other))}') and no index; expected a new or "
                "an empty folder"
            )

    def segment(self, documents: pa.Table, arrays: Callable[[], Iterator[Kept]]) -> tuple[Segment, bool]:
        """Write a segment, unless it is there.

        Args:
            documents: Columns `id` and `text`, at least one row.
            arrays: Called where the segment is not there: what is kept of consecutive documents, block by block.

        Returns:
            The segment, and whether it was there, with every byte as it was written.

        Raises:
            InputError: It cannot be written; nothing is left of it.
        """
        if not len(documents):
            raise ValueError("a segment has at least one document")
        columns = [joined([column(documents, name)]) for name in ("id", "text")]
        name = self.name_of(columns)
        path = f"{SEGMENTS}/{name}"
        files = sealed.content(self.folder, path)
        if files is not None:
            return Segment(name, len(documents), files), True
        with sealed.sealed(self.folder, path) as beside, ArrayFiles(beside, len(documents)) as kept:
            with writing(self.folder):
                batch = pa.RecordBatch.from_arrays(columns, names=["id", "text"])
                with pa.OSFile(str(beside / DOCUMENTS), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
                    writer.write_batch(batch)
            for block in arrays():
                with writing(self.folder):
                    kept.append(block)
            with writing(self.folder):
                kept.finish()
        return Segment(name, len(documents), sealed.written(self.folder, path)), False

    def name_of(self, columns: Sequence[pa.Array]) -> str:
        """xxh3-128 of ids and texts, and of how they are kept."""
        state = xxhash.xxh3_128(json.dumps([sorted(self.keepers), self.precision, len(columns[0])]).encode())
        for values in columns:
            for buffer in values.buffers()[1:]:
                state.update(memoryview(buffer))
        return str(state.hexdigest())

    def removed(self, segment: Segment, offsets: NDArray[np.integer]) -> Segment:
        """A segment without these documents.

        Args:
            segment: Whole, or without some already.
            offsets: Positions within it of all that are gone.

        Raises:
            InputError: It cannot be written.
        """
        gone = np.unique(offsets).astype(np.int32)
        if not len(gone):
            return replace(segment, removed=None, removed_rows=0)
        if gone[0] < 0 or gone[-1] >= segment.rows:
            raise ValueError(f"segment {segment.name} has {segment.rows} documents, none at {gone[0]} or {gone[-1]}")
        checksum = xxhash.xxh3_128_hexdigest(gone.tobytes())
        path = f"{REMOVED}/{segment.name}.{checksum}.npy"
        with writing(self.folder):
            with replaced(self.folder / path) as beside:
                write_array(beside, gone)
                sync(beside)
            sync(self.folder / REMOVED)
            sync(self.folder)
        return replace(segment, removed=sealed.described(self.folder / path, path), removed_rows=len(gone))

    def commit(self, segments: Sequence[Segment], *, facts: Mapping[str, Any], build: Mapping[str, Build]) -> Manifest:
        """Make these segments what the index holds, and delete what it does not hold any more.

        Args:
            segments: In their order; those of which every document is gone are left out.
            facts: Where it comes from, JSON values.
            build: {fingerprint: writes what is kept of all documents together for that stage}.

        Raises:
            InputError: A document id stands twice, or something cannot be written; the index holds what it held.
        """
        segments = tuple(segment for segment in segments if segment.live)
        name = self.digest_of(segments, build)
        files = whole.found(self.folder, name, build)
        if files is None:
            corpus = IndexCorpus([opened(self.folder, segment) for segment in segments], name)
            files = whole.built(self.folder, corpus, build)
        manifest = Manifest(
            name, self.model, self.fingerprint, self.parts, self.keepers, self.precision, segments, files, dict(facts)
        )
        with writing(self.folder):
            manifests.write(self.folder, manifest)
        self._sweep(manifest)
        return manifest

    def note(self, facts: Mapping[str, Any]) -> Manifest:
        """Add facts to those of the index, which holds what it held."""
        there = manifests.read(self.folder)
        noted = replace(there, facts={**there.facts, **facts})
        with writing(self.folder):
            manifests.write(self.folder, noted)
        return noted

    def digest_of(self, segments: Sequence[Segment], builders: Iterable[str]) -> str:
        """xxh3-128 of segments, of what is gone of them, and of the stages that build something of all of them."""
        held = [[one.name, one.removed.checksum if one.removed else None] for one in segments]
        return str(
            xxhash.xxh3_128_hexdigest(
                json.dumps([sorted(self.keepers), self.precision, held, sorted(builders)]).encode()
            )
        )

    def _sweep(self, manifest: Manifest) -> None:
        """Delete what the manifest does not name."""
        held = {
            SEGMENTS: {segment.name for segment in manifest.segments},
            WHOLE: {manifest.name},
            REMOVED: {Path(one.removed.path).name for one in manifest.segments if one.removed},
        }
        for folder, names in held.items():
            for path in (self.folder / folder).glob("*"):
                if path.name not in names:
                    with suppress(OSError):  # The next commit tries again.
                        delete(path)


def column(documents: pa.Table, name: str) -> pa.Array:
    """A column as Arrow strings in one piece."""
    values = documents[name].cast(pa.large_string()).combine_chunks()
    values = values if isinstance(values, pa.Array) else pa.concat_arrays(values.chunks)
    if values.null_count:
        raise ValueError(f"a document has no {name}; expected a string in each row")
    return values
