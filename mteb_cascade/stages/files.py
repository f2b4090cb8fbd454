"""Digests of model files, remembered while size and time of change stay the same."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from mteb_cascade.atomic import replaced
from mteb_cascade.store.folder import cache_folder

IGNORED = {".md", ".lock", ".h5", ".onnx", ".msgpack", ".ot"}
"""Endings of files that loading a model never reads."""


def model_files(folder: Path) -> list[Path]:
    """The files of a model folder that can decide scores, in a fixed order."""
    if not folder.is_dir():
        return []
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in IGNORED
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )


def digests(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """(name below the common folder, SHA-256) of each file."""
    if not paths:
        return []
    root = Path(os.path.commonpath([path.parent for path in paths]))
    return [(path.relative_to(root).as_posix(), digest(path)) for path in paths]


def digest(path: Path) -> str:
    """SHA-256 of one file; taken from the cache when size and modification time are those it was computed for."""
    stat = path.stat()
    whole = str(path.resolve())
    state = [whole, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    name = hashlib.sha256(whole.encode()).hexdigest()[:32]
    entry = cache_folder() / "digests" / f"{name}.json"
    try:
        known = json.loads(entry.read_text())
        if known["of"] == state:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    try:
        with replaced(entry) as beside:
            beside.write_text(json.dumps({"of": state, "sha256": sha256}))
    except OSError:
        pass  # A cache that cannot be written costs time, not correctness.
    return sha256
