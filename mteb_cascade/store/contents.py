"""What the store holds, model by model, and how it is cleared."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from time import time

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.store import provenance, shards

KINDS = ("scores", "runs", "vectors")
"""The folders of the store."""

KEY = re.compile(r"[0-9a-f]{64}")
"""The name of a model's folder in them; others are ours where they say so: a cache may be put anywhere."""

DAY = 86_400
STALE = 600
"""Seconds after which a file that was to be renamed belongs to a process that is no more."""


@dataclass(frozen=True)
class Entry:
    """What is stored of one model.

    Args:
        label: How messages call it.
        name: Its `org/name`.
        fingerprint: Of the model.
        folders: Where it lies.
        pairs: Pair scores.
        runs: Retrieved runs.
        vectors: Vectors of documents.
        size: Bytes.
        used: When it was last used, in seconds since 1970.
    """

    label: str
    name: str
    fingerprint: str
    folders: tuple[Path, ...]
    pairs: int
    runs: int
    vectors: int
    size: int
    used: float

    def is_called(self, name: str) -> bool:
        """Whether this is its name, or the beginning of its fingerprint (of 6 characters or more)."""
        return name in (self.label, self.name) or (len(name) >= 6 and self.fingerprint.startswith(name))


def entries(store: Path) -> list[Entry]:
    """Everything that is stored, what was last used first."""
    by_model: dict[str, list[Path]] = {}
    for kind in KINDS:
        for folder in of_models(store / kind):
            by_model.setdefault(str(provenance.said(folder).get("fingerprint", folder.name)), []).append(folder)
    found = [entry(fingerprint, tuple(of_model)) for fingerprint, of_model in by_model.items()]
    return sorted(found, key=lambda one: (-one.used, one.label))


def of_models(above: Path) -> list[Path]:
    """The folders in a folder that hold what is stored of a model."""
    return [folder for folder in folders(above) if KEY.fullmatch(folder.name) or provenance.said(folder)]


def folders(above: Path) -> list[Path]:
    """The folders in a folder, without what is being deleted."""
    return sorted(path for path in above.glob("*/") if not path.name.startswith(".")) if above.is_dir() else []


def entry(fingerprint: str, of_model: tuple[Path, ...]) -> Entry:
    """What these folders hold of one model."""
    said = next((found for folder in of_model if (found := provenance.said(folder))), {})
    counts = dict.fromkeys(KINDS, 0)
    for folder in of_model:
        counts[folder.parent.name] += sum(map(amount, files(folder)))
    stats = [stat for folder in of_model for _, stat in below(folder) if S_ISREG(stat.st_mode)]
    return Entry(
        str(said.get("label", "?")),
        str(said.get("name", "")),
        fingerprint,
        of_model,
        counts["scores"],
        counts["runs"],
        counts["vectors"],
        sum(stat.st_size for stat in stats),
        max((stat.st_mtime for stat in stats), default=0.0),
    )


def below(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Everything in a folder and those in it; what another process renames or deletes meanwhile is passed over."""
    for where, inside, names in os.walk(folder):
        for path in (Path(where, name) for name in (*inside, *names)):
            try:
                yield path, path.stat()
            except FileNotFoundError:
                continue


def files(folder: Path) -> Iterator[Path]:
    """The whole files of a model's folder; vectors have a folder a corpus."""
    for place in [folder, *folders(folder)]:
        yield from (place / name for name in shards.names(place))


def amount(path: Path) -> int:
    """Pairs of a shard, vectors of a block; a run is one run."""
    try:
        if path.suffix == ".npy":
            return len(np.load(path, mmap_mode="r", allow_pickle=False))
        return 1 if path.parents[1].name == "runs" else int(pq.read_metadata(path).num_rows)
    except (OSError, ValueError, pa.ArrowException):
        return 0  # Damaged: whoever reads it will say so.


def chosen(held: Sequence[Entry], names: Sequence[str], older_than: float | None = None) -> list[Entry]:
    """The entries of these names (of all, where none is given) that were not used for so many days.

    Raises:
        InputError: Nothing is stored under a name.
    """
    for name in names:
        if not any(one.is_called(name) for one in held):
            known = suggestion(name, {one.label for one in held}, "Stored")
            raise InputError(f"nothing is stored of '{name}', which is neither a model nor a fingerprint here. {known}")
    taken = [one for one in held if not names or any(one.is_called(name) for name in names)]
    return taken if older_than is None else [one for one in taken if one.used < time() - older_than * DAY]


def delete(taken: Sequence[Entry]) -> None:
    """Delete what is stored of these models.

    Raises:
        InputError: A folder cannot be deleted.
    """
    for folder in [folder for one in taken for folder in one.folders]:
        gone = folder.with_name(f".{folder.name}.gone")
        try:
            shutil.rmtree(gone, ignore_errors=True)
            # Renamed first: nobody finds half of it.
            folder.rename(gone)
            shutil.rmtree(gone)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise InputError(f"{folder}: cannot be deleted: {error.strerror}") from None


def leftovers(store: Path) -> list[Path]:
    """What killed processes left half-written or half-deleted, and what was set aside as damaged."""
    found = [path for kind in KINDS for path in (store / kind).glob(".*.gone") if KEY.match(path.name, 1)]
    of_ours = [folder for kind in KINDS for folder in of_models(store / kind)]
    for path, stat in (one for folder in (*of_ours, store / "digests", store / "dtypes") for one in below(folder)):
        left = path.name.startswith(".") and stat.st_mtime < time() - STALE
        if left or path.name.endswith(shards.DAMAGED):
            found.append(path)
    return found


def sweep_out(left: Sequence[Path]) -> None:
    """Delete leftovers."""
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
