"""The manifest of an index: the one file that says what the index holds, replaced whole at every change."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from mteb_cascade.atomic import replaced
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.spec import shown
from mteb_cascade.store.index.disk import sync

FORMAT = 1
"""Version of what lies in the folder of an index."""

FILE = "manifest.json"
SEGMENTS, WHOLE, REMOVED = "segments", "whole", "removed"
"""Folders of an index: documents, what is kept of all of them together, and which of them are gone."""

PATH = re.compile(rf"({SEGMENTS}|{WHOLE}|{REMOVED})(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)+")
NAME = re.compile(r"[0-9a-f]{32}")
AGAIN = "Run the same `mteb-cascade index` command again"
RESTORE = (
    f"{AGAIN} (what is whole is not encoded again; what was added or removed since is to be added or removed again), "
    "or put the files back from a copy"
)


def refuse_others_than_numbers(*values: object) -> None:
    """Raise TypeError where a value is no whole number: a manifest may be anybody's."""
    for value in values:
        if type(value) is not int:
            raise TypeError(f"{value!r} is no whole number")


@dataclass(frozen=True)
class StoredFile:
    """A file of an index.

    Args:
        path: Below the folder of the index, with slashes.
        size: Bytes.
        checksum: xxh3-128.
        mtime_ns: When it was written: one with another time is read and checked before it is used.

    Raises:
        ValueError: The path leads out of the folder.
    """

    path: str
    size: int
    checksum: str
    mtime_ns: int

    def __post_init__(self) -> None:
        if not PATH.fullmatch(self.path):
            raise ValueError(f"'{self.path}' is no path of a file of an index")
        refuse_others_than_numbers(self.size, self.mtime_ns)


@dataclass(frozen=True)
class Segment:
    """Consecutive documents, written once and never changed.

    Args:
        name: xxh3-128 of what it holds; its folder in `segments`.
        rows: Documents, those that are gone included.
        files: What its folder holds.
        removed: int32 positions within it of documents that are gone, ascending; None where none is.
        removed_rows: How many are gone.
    """

    name: str
    rows: int
    files: tuple[StoredFile, ...]
    removed: StoredFile | None = None
    removed_rows: int = 0

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"'{self.name}' is no name of a segment")
        refuse_others_than_numbers(self.rows, self.removed_rows)
        if not 0 <= self.removed_rows <= self.rows or (self.removed_rows > 0) != (self.removed is not None):
            raise ValueError(f"segment {self.name} cannot have lost {self.removed_rows} of {self.rows} documents")

    @property
    def live(self) -> int:
        """Documents that are not gone."""
        return self.rows - self.removed_rows


@dataclass(frozen=True)
class Part:
    """A stage of the model that an index was built with.

    Args:
        label: How messages call it.
        fingerprint: What it is.
        kept_as: What is kept for it lies under this key.
        described: Its kind and options.
    """

    label: str
    fingerprint: str
    kept_as: str
    described: dict[str, Any]


@dataclass(frozen=True)
class Manifest:
    """What an index holds.

    Args:
        name: Digest of its live documents in their order, and of how they are kept; its folder in `whole`.
        model: Short name or path of the model that it was built with.
        fingerprint: Of the whole model.
        parts: The stages of the model, depth first.
        keepers: Fingerprints of the stages for which it keeps something.
        precision: What vectors are kept in.
        segments: The documents, in their order.
        whole: Files of what is kept of all documents together.
        facts: Where it comes from, for people and for reports: JSON values.
    """

    name: str
    model: str
    fingerprint: str
    parts: tuple[Part, ...]
    keepers: tuple[str, ...]
    precision: str
    segments: tuple[Segment, ...]
    whole: tuple[StoredFile, ...]
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ValueError(f"'{self.name}' is no name of what an index holds")

    @property
    def documents(self) -> int:
        """Live documents."""
        return sum(segment.live for segment in self.segments)

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """Every file that it names."""
        removed = [segment.removed for segment in self.segments if segment.removed]
        return (*(file for segment in self.segments for file in segment.files), *removed, *self.whole)

    @property
    def bytes(self) -> int:
        """Bytes on disk, the manifest's own left out."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Version:
    """What tells one manifest file from another without reading it."""

    inode: int
    mtime_ns: int
    size: int

    @classmethod
    def of(cls, stat: os.stat_result) -> Version:
        """From the state of a file."""
        return cls(stat.st_ino, stat.st_mtime_ns, stat.st_size)


def read(folder: Path) -> Manifest:
    """The manifest of an index.

    Raises:
        InputError: There is no index, or none that this version reads: the message says which, and the remedy.
    """
    return read_version(folder)[0]


def read_version(folder: Path) -> tuple[Manifest, Version]:
    """As `read`, with what tells this manifest from a later one."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            version, data = Version.of(os.fstat(file.fileno())), file.read()
    except (FileNotFoundError, NotADirectoryError):
        raise missing(folder) from None
    except OSError as error:
        raise InputError(
            f"{shown(path)}: cannot be read ({error.strerror}); expected a file, and the right to read it"
        ) from None
    return parsed(path, data), version


def parsed(path: Path, data: bytes) -> Manifest:
    """A manifest from the bytes of its file."""
    damaged = InputError(f"{shown(path)}: is damaged, or no manifest of an index. {RESTORE}")
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        raise damaged from None
    if not isinstance(content, dict) or content.pop("checksum", None) != checksum_of(content):
        raise damaged
    if content.get("format") != FORMAT:
        raise InputError(
            f"{shown(path)}: is an index of format {in_one_line(content.get('format'))}; this version reads format "
            f"{FORMAT}. Build it again with this version, in another folder"
        )
    try:
        return manifest_of(content)
    except (TypeError, KeyError, ValueError, AttributeError):
        raise damaged from None


def missing(folder: Path) -> InputError:
    """What to say of a folder without a manifest."""
    if not folder.exists():
        return InputError(
            f"{shown(folder)}: there is no such folder; expected an index, which `mteb-cascade index NAME CORPUS -o "
            f"{shown(folder)}` makes"
        )
    if not folder.is_dir():
        return InputError(f"{shown(folder)}: is a file; expected the folder of an index")
    if (folder / SEGMENTS).is_dir():
        finished = sum(1 for path in (folder / SEGMENTS).iterdir() if NAME.fullmatch(path.name))
        return InputError(
            f"{shown(folder)}: the build of this index was not finished ({finished} of its segments are there). "
            f"{AGAIN}: it goes on from there"
        )
    return InputError(
        f"{shown(folder)}: is no index, it has no {FILE}; expected a folder that `mteb-cascade index` wrote"
    )


def manifest_of(content: Mapping[str, Any]) -> Manifest:
    """A manifest from its JSON values."""
    return Manifest(
        name=content["name"],
        model=content["model"],
        fingerprint=content["fingerprint"],
        parts=tuple(Part(**part) for part in content["parts"]),
        keepers=tuple(content["keepers"]),
        precision=content["precision"],
        segments=tuple(segment_of(segment) for segment in content["segments"]),
        whole=files_of(content["whole"]),
        facts=dict(content["facts"]),
    )


def segment_of(content: Mapping[str, Any]) -> Segment:
    """A segment from its JSON values."""
    removed = StoredFile(**content["removed"]) if content["removed"] else None
    return Segment(content["name"], content["rows"], files_of(content["files"]), removed, content["removed_rows"])


def files_of(content: Sequence[Mapping[str, Any]]) -> tuple[StoredFile, ...]:
    """Files from their JSON values."""
    return tuple(StoredFile(**file) for file in content)


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest: from then on the index holds what this one says.

    Raises:
        OSError: It cannot be written; the old one is untouched.
    """
    content = {"format": FORMAT, **asdict(manifest)}
    content = json.loads(json.dumps(content))  # As it will be read: what JSON does not tell apart has one checksum.
    data = json.dumps({**content, "checksum": checksum_of(content)}, indent=1) + "\n"
    with replaced(folder / FILE) as beside, beside.open("w", encoding="utf-8") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync(folder)


def checksum_of(content: Mapping[str, Any]) -> str:
    """xxh3-128 of JSON values, whatever the order of their keys and the spaces between them."""
    return str(xxhash.xxh3_128_hexdigest(json.dumps(content, sort_keys=True).encode()))
