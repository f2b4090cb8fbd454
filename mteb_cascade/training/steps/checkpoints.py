"""Checkpoints that are whole or do not count, in a folder that belongs to one version of one spec.

`models/.NAME.training/` holds `state.json` (what is being trained, from what) and `checkpoint-STEP/` as transformers'
trainer names them. A checkpoint counts when its `whole.json` names every other file with size and digest: it is written
last. Until then the one before stays.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

from mteb_cascade.atomic import make_writable, replaced
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.spec import shown
from mteb_cascade.training.steps import ranks

if TYPE_CHECKING:
    from mteb_cascade.training.prepared import Prepared

MARK = "whole.json"
STATE = "state.json"
PREFIX = "checkpoint-"
SAVING = "saving"
WEIGHTS = "model.safetensors"

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What an OSError says where a disk, a quota or a file's size is at its end."""

MAY_CHANGE = ("micro_batch", "gradient_checkpointing", "report_to")
"""Options that decide how a model is trained, and not what it becomes."""


def identity(prepared: Prepared) -> dict[str, Any]:
    """What decides the weights that a training ends with: options, lists and the network that it begins with."""
    import torch

    lists = prepared.lists
    data, base = xxhash.xxh3_128(), xxhash.xxh3_128()
    data.update(prepared.data.digest.encode())
    data.update(lists.queries.digest.encode())
    for array in (lists.docs, lists.labels, lists.relevant):
        data.update(np.ascontiguousarray(array).data)
    for name, tensor in prepared.network.state_dict().items():
        base.update(name.encode())
        base.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    found = {"options": asdict(prepared.options), "training data": data.hexdigest(), "base": base.hexdigest()}
    as_read: dict[str, Any] = json.loads(json.dumps(found))
    return as_read


def resume_from(folder: Path, identity: Mapping[str, Any], *, restart: bool = False, what: str) -> Path | None:
    """Take up the training that was begun in a folder, or begin one there.

    Args:
        folder: The training folder.
        identity: Of what is to be trained.
        restart: Whether to throw away what was trained there.
        what: The spec, for messages.

    Returns:
        The last whole checkpoint; None where there is none.

    Raises:
        InputError: The folder's checkpoints are of another version of the spec, or of other data; it cannot be written.
    """
    moved = [path for path in checkpoints(folder / SAVING) if not (folder / path.name).exists()]
    found = [] if restart else [*checkpoints(folder), *moved]
    last = next((path for path in sorted(found, key=step_of, reverse=True) if is_whole(path)), None)
    if last is not None and (changes := differences(state_of(folder), identity)):
        raise InputError(
            f"{what}: {shown(last)} is the checkpoint of another version of this spec: {'; '.join(changes)}. "
            "Put it back to go on from there, or start anew with --restart"
        )
    # All ranks look at the folder before the first one changes it.
    ranks.wait_for_everyone()
    if ranks.is_main():
        try:
            make_writable(folder)
            if last in moved:
                # The run before was killed between two renames.
                last.rename(folder / last.name)
            for path in checkpoints(folder):
                if last is None or step_of(path) > step_of(last):
                    shutil.rmtree(path)
            shutil.rmtree(folder / SAVING, ignore_errors=True)
            with replaced(folder / STATE) as beside:
                beside.write_text(json.dumps(identity, indent=1, sort_keys=True))
        except OSError as error:
            raise InputError(f"{what}: {shown(folder)} cannot be written to: {error}") from None
    ranks.wait_for_everyone()
    return None if last is None else folder / last.name


def state_of(folder: Path) -> dict[str, Any]:
    """The identity of what was trained in a folder; {} where it cannot be read."""
    try:
        found: dict[str, Any] = json.loads((folder / STATE).read_text())
        return found
    except (OSError, ValueError):
        return {}


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What was changed, in words."""
    if not before:
        return [f"its {STATE} is not there or damaged"]
    old, new = flat(before["options"]), flat(now["options"])
    changes = [
        f"{key} was {old.get(key)!r}, is {new.get(key)!r}"
        for key in sorted({*old, *new})
        if key not in MAY_CHANGE and old.get(key) != new.get(key)
    ]
    return changes + [f"the {key} is not the same" for key in now if key != "options" and before.get(key) != now[key]]


def flat(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A table and its sub-tables as one.

    >>> flat({"seed": 1, "mining": {"depth": 100}})
    {'seed': 1, 'mining.depth': 100}
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        found |= flat(value, f"{above}{key}.") if isinstance(value, Mapping) else {f"{above}{key}": value}
    return found


def checkpoints(folder: Path) -> list[Path]:
    """Those that lie in a training folder, the oldest first."""
    return sorted(folder.glob(f"{PREFIX}*"), key=step_of)


def step_of(checkpoint: Path) -> int:
    """The step that a checkpoint was saved after."""
    return int(checkpoint.name.removeprefix(PREFIX))


def seal(checkpoint: Path) -> None:
    """Declare a checkpoint whole: every file of it is on the disk first."""
    files = {
        path.relative_to(checkpoint).as_posix(): [path.stat().st_size, synced_digest(path)]
        for path in sorted(checkpoint.rglob("*"))
        if path.is_file() and path.name != MARK
    }
    with replaced(checkpoint / MARK) as beside:
        beside.write_text(json.dumps(files, indent=1))
        synced_digest(beside)


def synced_digest(path: Path) -> str:
    """XXH3-128 of a file that is on the disk, not only on its way there."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        os.fsync(file.fileno())
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def is_whole(checkpoint: Path) -> bool:
    """Whether every file is there as it was when the checkpoint was sealed."""
    try:
        files = json.loads((checkpoint / MARK).read_text())
        return all(
            (checkpoint / name).stat().st_size == size and synced_digest(checkpoint / name) == digest
            for name, (size, digest) in files.items()
        )
    except (OSError, ValueError):
        return False


def prune(folder: Path, keep: Collection[str]) -> None:
    """Remove all checkpoints but the last and those of these names."""
    for path in checkpoints(folder)[:-1] if ranks.is_main() else ():
        if path.name not in keep:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def being_written(checkpoint: Path, what: str) -> Iterator[Path]:
    """Write a checkpoint beside its place; it comes there when it is whole, and one that was there stays until then.

    Yields:
        The folder to write a folder of its name to.

    Raises:
        InputError: There is no room for it.
    """
    from safetensors import SafetensorError

    folder = checkpoint.parent / SAVING
    if ranks.is_main():
        shutil.rmtree(folder, ignore_errors=True)
    ranks.wait_for_everyone()
    try:
        yield folder
        ranks.wait_for_everyone()
        if ranks.is_main():
            seal(folder / checkpoint.name)
            if checkpoint.exists():
                checkpoint.rename(folder / "before")
            (folder / checkpoint.name).rename(checkpoint)
            shutil.rmtree(folder, ignore_errors=True)
        ranks.wait_for_everyone()
    # Neither torch nor safetensors says by an OSError that a disk is full.
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        whole = checkpoints(checkpoint.parent)
        raise InputError(
            f"{what}: the checkpoint of step {step_of(checkpoint)} could not be written: {in_one_line(error)}. "
            + (f"That of step {step_of(whole[-1])} is whole. " if whole else "")
            + "Make room and run again: it goes on from there"
        ) from None


def set_down(folder: Path, network: Any, facts: Mapping[str, Any]) -> None:
    """Write weights and what is to be known about them, to be looked at by people; as far as there is room."""
    from safetensors import SafetensorError
    from safetensors.torch import save_model

    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "facts.json").write_text(json.dumps(facts, indent=1))
        save_model(network, str(folder / WEIGHTS))
    except (OSError, SafetensorError):
        return
