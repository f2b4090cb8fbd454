"""Files whose name is the checksum of their bytes: any number of processes write and read them without a lock."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import xxhash

from mteb_cascade.atomic import replaced

NAME = re.compile(r"(?:(?P<what>.+)\.)?(?P<checksum>[0-9a-f]{32})(?P<ending>\.parquet|\.npy)")
DAMAGED = ".damaged"


def write(folder: Path, data: bytes, ending: str, what: str = "") -> Path:
    """Write bytes as `[what.]<xxh3-128><ending>`: the file is there whole or not at all.

    Raises:
        OSError: The folder cannot be written, or the disk is full; nothing is left.
    """
    checksum = xxhash.xxh3_128_hexdigest(data)
    path = folder / (f"{what}.{checksum}{ending}" if what else f"{checksum}{ending}")
    if not path.exists():
        try:
            _replace(path, data)
        except (FileNotFoundError, FileExistsError):  # The folder was deleted under it: somebody prunes.
            _replace(path, data)
    return path


def _replace(path: Path, data: bytes) -> None:
    with replaced(path) as beside:
        beside.write_bytes(data)


def names(folder: Path) -> list[str]:
    """Names of the whole files in a folder, in a fixed order; what a killed process left is none of them."""
    try:
        return sorted(path.name for path in folder.iterdir() if NAME.fullmatch(path.name))
    except OSError:
        return []  # Not there, or not to be read: nothing can be looked up in it.


def checksum_of(name: str) -> str:
    """The checksum that a file's name says."""
    found = NAME.fullmatch(name)
    return found["checksum"] if found else ""


def read(path: Path, remedy: str) -> bytes | None:
    """The bytes of a file.

    Args:
        path: A file that `names` listed.
        remedy: What becomes of a damaged one, for the warning.

    Returns:
        None where it is gone, or damaged: then it is set aside, and a warning names it.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        set_aside(path, f"cannot be read ({error.strerror})", remedy)
        return None
    if xxhash.xxh3_128_hexdigest(data) != checksum_of(path.name):
        set_aside(path, "is damaged", remedy)
        return None
    return data


def set_aside(path: Path, fault: str, remedy: str) -> None:
    """Take a file out of the store, keeping it for whoever wants to look, and say so."""
    aside = path.with_name(path.name + DAMAGED)
    try:
        path.replace(aside)
    except OSError:
        aside = path  # Somebody else did, or nobody can: it stays unread.
    warnings.warn(f"{path}: {fault}; set aside as {aside.name}, {remedy}", stacklevel=2)
