"""The provenance record of a result: which model down to its files, on which data, by which command, where and when."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import digest_of
from mteb_cascade.engine import openvino
from mteb_cascade.engine.devices import device_type
from mteb_cascade.engine.latency import machine
from mteb_cascade.installed import version
from mteb_cascade.stages.base import Stage, identity_of
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.files import digests
from mteb_cascade.stages.model_stage import ModelStage

Record = dict[str, Any]
"""As results keep it: a JSON object."""

LIBRARIES = (
    *("mteb-cascade", "mteb", "sentence-transformers", "transformers", "tokenizers", "torch", "numpy"),
    *("bm25s", "PyStemmer", "ir-measures"),
)

PROGRAMS = ("mteb-cascade", "mteb")
"""Commands whose arguments are kept; of a script of somebody's only its name is."""

PART = ("split", "subset", "corpus_digest", "queries_digest", "qrels_digest", "relevance_level")
"""What a record says of one split and subset."""

FOLDER = re.compile(r"(?<![\w.:/~-])(?:/|~)[\w.@+~-]*(?:/[\w.@+~ -]*)*")
"""An absolute path, or one from somebody's home, in a text."""

GIT_SECONDS = 10


def versions(stage: Stage | None = None) -> dict[str, str]:
    """Versions of what decides scores; OpenVINO's where it computes a part of the stage."""
    more = stage is not None and any(isinstance(one, ModelStage) and one.is_in_openvino for one in stage.walk())
    found = {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}
    return found | (openvino.versions() if more else {})


def is_record(value: Any) -> bool:
    """Whether a JSON value has the shape of a record; keys that are not needed to read it may be missing."""
    if not isinstance(value, dict) or not all(isinstance(value.get(key), str) for key in ("model", "fingerprint")):
        return False
    names = all(isinstance(value.get(key), str | None) for key in ("name", "task", "split", "subset"))
    tables = all(
        isinstance(value.get(key), dict | None) for key in ("versions", "hardware", "git", "spec", "overrides")
    )
    lists = [value.get("stages") or [], value.get("parts") or []]
    if (
        not names
        or not tables
        or not all(isinstance(one, list) and all(isinstance(x, dict) for x in one) for one in lists)
    ):
        return False
    return all(map(is_stage, lists[0])) and all(isinstance(x.get(key), str) for x in lists[1] for key in PART[:2])


def is_stage(value: Mapping[str, Any]) -> bool:
    """Whether a JSON value has the shape of an entry of `tree_of`."""
    files = value.get("files")
    names = all(isinstance(value.get(key), str) for key in ("label", "fingerprint"))
    return names and isinstance(files, dict) and all(isinstance(one, str) for one in files.values())


def record_of(stage: Stage, collection: Collection, split: str, *, seed: int | None = None) -> Record:
    """As `record`, of a split of a collection."""
    data = {
        "task": collection.context(split)["task"],
        **part_of(collection, split),
        "dataset_revision": collection.revision,
    }
    return record(stage, data, seed=seed)


def record(stage: Stage, data: Mapping[str, Any], *, seed: int | None = None) -> Record:
    """The provenance of a result that is made now.

    Args:
        stage: What was evaluated.
        data: What on: `task`, `dataset_revision`, and what `part_of` says.
        seed: Of whatever was drawn at random.
    """
    spec = stage.spec
    return {
        "model": stage.label,
        "name": stage.name,
        "kind": stage.kind,
        "fingerprint": stage.fingerprint,
        "stages": tree_of(stage),
        "overrides": overrides_of(stage),
        "spec": {"file": spec.path.name, "sha256": sha256_of(spec.path)} if spec else None,
        **data,
        "command": command(),
        "seed": seed,
        "versions": versions(stage),
        "hardware": hardware(stage.device),
        "git": commit_of(spec.path.parent if spec else Path.cwd()),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def tree_of(stage: Stage) -> list[Record]:
    """A model and all that it is made of, depth first: what identifies each, and the digests of its files."""
    return [
        {
            "label": one.label,
            "name": one.name,
            "kind": one.kind,
            "fingerprint": one.fingerprint,
            "options": options_of(one),
            "files": dict(digests(one.files())),
        }
        for one in stage.walk()
    ]


def options_of(stage: Stage) -> Record:
    """What decides its scores beside its files; a part stands there by its name alone."""

    def told(value: Any) -> Any:
        if isinstance(value, Mapping):
            return (
                value.get("name") or value["kind"] if "fingerprint" in value else {k: told(v) for k, v in value.items()}
            )
        if isinstance(value, list):
            return [told(one) for one in value]
        return without_folders(value) if isinstance(value, str) else value

    options: Record = told(json.loads(json.dumps(stage.options, default=identity_of)))
    return options


def overrides_of(stage: Stage) -> Record | None:
    """Depths and blends of a cascade that is not at its spec's; None of any other stage."""
    if not isinstance(stage, Cascade) or not stage.overridden:
        return None
    return {"depths": stage.depths, "blends": stage.blends}


def part_of(collection: Collection, split: str) -> Record:
    """What was evaluated on: names and digests of one split and subset."""
    part = collection.split(split)
    return {
        "split": split,
        "subset": collection.subset,
        "corpus_digest": collection.corpus.digest,
        "queries_digest": part.queries.digest,
        "qrels_digest": qrels_digest(part),
        "relevance_level": part.qrels.relevance_level,
    }


def parts_of(record: Mapping[str, Any]) -> list[Record]:
    """Every split and subset that a record speaks of."""
    return list(record.get("parts") or [{key: record.get(key) for key in PART}])


def with_parts(record: Mapping[str, Any], parts: Sequence[Mapping[str, Any]]) -> Record:
    """A record of these splits and subsets: one stands in the record itself, several under `parts`."""
    rest = {key: value for key, value in record.items() if key not in (*PART, "parts", "splits", "subsets")}
    if len(parts) == 1:
        return {**rest, **parts[0]}
    names = {f"{key}s": list(dict.fromkeys(part[key] for part in parts)) for key in ("split", "subset")}
    return {**rest, **names, "parts": [dict(part) for part in parts]}


def qrels_digest(split: Split) -> str:
    """xxh3-128 over the judgements of the split's queries, in whatever order they stand."""
    return digest_of(
        (query, f"{document}\t{grade}")
        for query in sorted(split.queries.ids)
        for document, grade in sorted(split.qrels.of(query).items())
    )


def sha256_of(path: Path) -> str | None:
    """SHA-256 of a file's bytes; None where it is gone."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


def command() -> str:
    """The command line of this process, without folders of this machine; of anybody's own script its name alone."""
    program = Path(sys.argv[0]) if sys.argv else Path()
    name = program.parent.name.replace("_", "-") if program.name == "__main__.py" else program.stem
    if name in PROGRAMS:
        return shlex.join([name, *map(without_folders, sys.argv[1:])])
    return f"python {program.name}" if program.suffix == ".py" else "python"


def without_folders(text: str) -> str:
    """A text in which a path below the working folder is relative, and of any other absolute path the last name stands.

    >>> without_folders("--output=/home/somebody/results"), without_folders("our-org/our-model")
    ('--output=results', 'our-org/our-model')
    """

    def shortened(found: re.Match[str]) -> str:
        path = Path(found[0]).expanduser()
        try:
            return path.relative_to(Path.cwd()).as_posix()
        except ValueError:
            return path.name

    return FOLDER.sub(shortened, text)


def hardware(device: str | None = None) -> Record:
    """Processor, cores, threads, device and GPU that compute for this process, and its operating system."""
    # Where torch was never loaded, nothing ran on anything else.
    used = device_type(device) if "torch" in sys.modules else "cpu"
    found = machine()
    return {
        "processor": found["processor"],
        "cores": found["cores"],
        "threads": found.get("threads"),
        "device": used,
        "gpu": found.get("gpu") if used == "cuda" else None,
        "platform": platform.platform(),
    }


def commit_of(folder: Path) -> Record | None:
    """The commit that a folder's repository is at, and whether tracked files differ from it; None without either."""
    status = ["git", "-c", "core.fsmonitor=false", "--no-optional-locks", "-C", str(folder), "status"]
    options = ["--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run([*status, *options], capture_output=True, text=True, timeout=GIT_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    lines = done.stdout.splitlines()
    commit = next((line.split()[2] for line in lines if line.startswith("# branch.oid ")), "")
    if not re.fullmatch("[0-9a-f]{40,64}", commit):  # "(initial)", where nothing was committed yet
        return None
    return {"commit": commit, "dirty": any(not line.startswith("#") for line in lines)}
