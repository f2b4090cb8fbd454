"""A commit on the hub: which files it has, and whether they are those that a result was computed with."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path, PurePosixPath
from typing import Any

from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.stages.files import IGNORED, digests, model_files
from mteb_cascade.stages.weights import offline

COMMIT = re.compile(r"[0-9a-f]{40}")

NEVER_FETCHED = ("*.bin", "*.pt", "*.pkl", "onnx/*")
"""What a snapshot is fetched without, as it is never loaded."""

NO_PART = re.compile(r"(.*/)?(licen[cs]e|notice|copying)(\.\w+)?|.*\.(png|jpe?g|gif|svg|webp|pdf|csv)", re.IGNORECASE)
"""Names of files that decide no score: a commit that has more of them is no other model."""


@dataclass(frozen=True)
class Commit:
    """One commit of a model's repository.

    Args:
        repository: org/name.
        sha: 40 hexadecimal digits.
        files: {name: SHA-256} of those files that loading would read.
        date: Day of the commit as YYYY-MM-DD; None where it cannot be told.
    """

    repository: str
    sha: str
    files: Mapping[str, str]
    date: str | None = None


def is_commit(text: object) -> bool:
    """Whether a text is a commit's full hash, and no branch, tag or short hash."""
    return isinstance(text, str) and COMMIT.fullmatch(text) is not None


def how_to_get(repository: str) -> str:
    """How one finds the full hash."""
    return f"get it with `git ls-remote https://huggingface.co/{repository} HEAD`, or upload with --push"


def snapshot_commit(folder: Path) -> tuple[str, str] | None:
    """(org/name, commit) of a folder in the hub's cache: .../models--org--name/snapshots/<commit>; else None."""
    repository = folder.parent.parent.name
    if folder.parent.name != "snapshots" or not repository.startswith("models--") or not is_commit(folder.name):
        return None
    return repository.removeprefix("models--").replace("--", "/", 1), folder.name


def is_read(name: str) -> bool:
    """Whether loading would read a file of a repository: what `model_files` takes of a folder."""
    parts = PurePosixPath(name).parts
    ignored = PurePosixPath(name).suffix in IGNORED or any(part.startswith(".") for part in parts)
    return not ignored and not any(fnmatch.fnmatch(name, pattern) for pattern in NEVER_FETCHED)


def commit_of(repository: str, sha: str) -> Commit:
    """What the hub has at a commit; where HF_HUB_OFFLINE is set, what its cache has.

    Large files are told by the hash that the hub keeps of them; small ones are fetched.

    Raises:
        InputError: There is no such repository or commit, or it cannot be reached.
    """
    return cached(repository, sha) if offline() else asked(repository, sha)


def cached(repository: str, sha: str) -> Commit:
    """As `commit_of`, from the snapshot in the hub's cache.

    Raises:
        InputError: It is not there.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, revision=sha, local_files_only=True))
    except LocalEntryNotFoundError:
        raise InputError(
            f"{repository} at {sha} is not in the hub's cache and HF_HUB_OFFLINE is set: unset it, or fetch that commit"
        ) from None
    names = {path: path.relative_to(folder).as_posix() for path in model_files(folder)}
    read = [path for path, name in names.items() if is_read(name)]
    return Commit(repository, sha, {names[path]: digest for path, (_, digest) in zip(read, digests(read), strict=True)})


def asked(repository: str, sha: str) -> Commit:
    """As `commit_of`, from the hub itself.

    Raises:
        InputError: The hub has no such model or commit, or does not answer.
    """
    from huggingface_hub import HfApi, hf_hub_download
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    try:
        info = HfApi().model_info(repository, revision=sha, files_metadata=True)
        files = {}
        for file in info.siblings or ():
            if is_read(file.rfilename):
                files[file.rfilename] = (
                    file.lfs.sha256
                    if file.lfs
                    else sha256(Path(hf_hub_download(repository, file.rfilename, revision=sha)))
                )
    except GatedRepoError:
        reason = "its owner has to grant access: ask for it on its page, then log in with `hf auth login`"
    except RevisionNotFoundError:
        reason = f"the hub has no such commit of it; {how_to_get(repository)}"
    except RepositoryNotFoundError:
        reason = "the hub has no such model, or it is private: upload it with --push, or log in with `hf auth login`"
    except Exception as error:  # The errors of a connection have no class in common.
        reason = f"the hub did not answer ({in_one_line(error)}); try again"
    else:
        return Commit(repository, sha, files, day_of(repository, sha))
    raise InputError(f"{repository} at {sha}: {reason}")


def day_of(repository: str, sha: str) -> str | None:
    """The day of a commit; None where the hub does not say."""
    from huggingface_hub import HfApi

    try:
        commits: list[Any] = HfApi().list_repo_commits(repository, revision=sha)
    except Exception:  # Whatever it is: the card can say it.
        return None
    return next((one.created_at.astimezone(UTC).date().isoformat() for one in commits if one.commit_id == sha), None)


def sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def differences(expected: Mapping[str, str], commit: Commit) -> list[str]:
    """What a commit has otherwise than the files of a result: a sentence a file, [] where they are the same."""
    said = [
        f"{name} is not there" if name not in commit.files else f"{name} is another file there"
        for name, digest in expected.items()
        if commit.files.get(name) != digest
    ]
    more = [name for name in commit.files if name not in expected and not NO_PART.fullmatch(name)]
    return said + [f"{name} is there too, and loading would read it" for name in more]
