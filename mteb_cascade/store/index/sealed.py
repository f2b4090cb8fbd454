"""Folders that are there whole or not at all, and say themselves what they hold."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.store.index.disk import checksum, delete, sync, writing
from mteb_cascade.store.index.manifest import StoredFile, files_of

LIST = "files.json"
"""The file of a sealed folder that lists the others."""


@contextmanager
def sealed(index: Path, path: str) -> Iterator[Path]:
    """A folder beside `path` to write to, renamed to it when its files are on the disk; on an error nothing is left.

    Args:
        index: Folder of the index.
        path: The folder to be, below it; what is there is damaged, and deleted.

    Raises:
        InputError: It cannot be written.
    """
    folder = index / path
    beside = folder.with_name(f".{folder.name}")
    try:
        with writing(index):
            delete(folder)
            delete(beside)
            beside.mkdir(parents=True)
        yield beside
        with writing(index):
            files = [described(file, f"{path}/{file.relative_to(beside).as_posix()}") for file in files_in(beside)]
            (beside / LIST).write_text(json.dumps([vars(file) for file in files], indent=1) + "\n", encoding="utf-8")
            for inside in (*beside.rglob("*"), beside):
                sync(inside)
            beside.rename(folder)
            sync(folder.parent)
            sync(index)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def files_in(folder: Path) -> list[Path]:
    """Files in a folder and those in it."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def described(file: Path, path: str) -> StoredFile:
    """A file as a manifest names it."""
    stat = file.stat()
    return StoredFile(path, stat.st_size, checksum(file), stat.st_mtime_ns)


def content(index: Path, path: str) -> tuple[StoredFile, ...] | None:
    """The files of a sealed folder, each read and found as it was written; None where it is not there, or damaged."""
    folder = index / path
    if not is_own(index, f"{path}/{LIST}"):
        return None
    try:
        listed = files_of(json.loads((folder / LIST).read_text(encoding="utf-8")))
        found = [described(index / file.path, file.path) for file in listed]
        own = described(folder / LIST, f"{path}/{LIST}")
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    for file, there in zip(listed, found, strict=True):
        if (file.size, file.checksum) != (there.size, there.checksum) or not file.path.startswith(f"{path}/"):
            return None
    return (*found, own) if all(is_own(index, file.path) for file in found) else None


def written(index: Path, path: str) -> tuple[StoredFile, ...]:
    """The files of a folder that was sealed a moment ago, read again.

    Raises:
        InputError: They are not what was written.
    """
    files = content(index, path)
    if files is None:
        raise InputError(f"{shown(index / path)}: was written, and reads otherwise now; is the disk sound?")
    return files


def is_own(index: Path, path: str) -> bool:
    """Whether a file lies in the index itself: a link leads to something that can change."""
    return (index / path).is_file() and (index / path).resolve() == index.resolve() / path
