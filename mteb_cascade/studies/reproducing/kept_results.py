"""Results that can be run again, read back from their files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown

Kind = Literal["mteb", "evaluation", "sweep", "demo"]

EXPECTED = "expected a result of mteb, or the JSON that `mteb-cascade evaluate -o`, `sweep` or `demo` wrote"

NEEDED: dict[Kind, tuple[str, ...]] = {
    "mteb": ("task_name", "scores", "dataset_revision"),
    "evaluation": ("model", "pipeline", "fingerprint", "collection", "subset", "split", "scores"),
    "sweep": ("label", "source", "subset", "split", "first", "steps", "depth", "measures", "curves", "seed"),
    "demo": ("chosen_on_dev", "scores", "sweep", "revision"),
}
"""What each kind of result holds, as far as it takes to run it again."""


@dataclass(frozen=True, eq=False)
class Kept:
    """A result as its file holds it.

    Args:
        path: The JSON.
        kind: Who wrote it.
        content: What it holds.
        records: Provenance of each model; of a result that was written without any, as much as it says itself.
    """

    path: Path
    kind: Kind
    content: dict[str, Any]
    records: tuple[dict[str, Any], ...]

    @property
    def task(self) -> str:
        """What the task is called, or where its folder lay."""
        keys: dict[Kind, tuple[str, ...]] = {
            "mteb": ("task_name",),
            "evaluation": ("source", "collection"),
            "sweep": ("source",),
            "demo": ("task",),
        }
        return str(next(self.content[key] for key in keys[self.kind] if key in self.content))


def read(path: Path) -> Kept:
    """One result.

    Raises:
        InputError: It cannot be read, or is none.
    """
    content = read_json(path)
    kind = kind_of(content)
    if kind is None:
        raise InputError(f"{shown(path)}: is no result; {EXPECTED}{beside(path)}")
    missing = [key for key in NEEDED[kind] if key not in content]
    if missing:
        raise InputError(f"{shown(path)}: a result of {kind} without {', '.join(missing)}; {EXPECTED}")
    records = records_of(path, kind, content)
    for record in records:
        if not isinstance(record, dict) or not all(
            isinstance(record.get(key), str) for key in ("model", "fingerprint")
        ):
            raise InputError(f"{shown(path)}: its provenance names no model and fingerprint; evaluate again")
    return Kept(path, kind, content, tuple(records))


def read_json(path: Path) -> Any:
    """A JSON file.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: there is no such file; {EXPECTED}") from None
    except IsADirectoryError:
        raise InputError(f"{shown(path)}: is a folder; {EXPECTED}") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{shown(path)}: cannot be read as JSON ({error}); {EXPECTED}") from None


def kind_of(content: Any) -> Kind | None:
    """Who wrote a result; None where it is none."""
    if not isinstance(content, dict):
        return None
    if content.get("kind") == "sweep":
        return "sweep"
    if "chosen_on_dev" in content and "sweep" in content:
        return "demo"
    if "task_name" in content and isinstance(content.get("scores"), dict):
        return "mteb"
    return "evaluation" if "pipeline" in content and "collection" in content else None


def beside(path: Path) -> str:
    """What to name instead of a file that lies beside a result."""
    result = path.parents[1] / path.name if len(path.parts) > 1 else path
    return f". Name {shown(result)}" if path.parent.name == "provenance" and result.is_file() else ""


def records_of(path: Path, kind: Kind, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The provenance that a result has, inside or beside it, or what stands for it."""
    if kind == "mteb":
        file = path.parent / "provenance" / path.name
        return [read_json(file)] if file.is_file() else [record_of_folder(path)]
    if kind == "demo":
        known = content.get("fingerprints") or {}
        found = content.get("provenance") or {name: {"model": name, "fingerprint": one} for name, one in known.items()}
        return [found[name] for name in content["scores"] if name in found]
    if "provenance" in content:
        return [content["provenance"]]
    if kind == "sweep":
        raise InputError(f"{shown(path)}: was written without provenance; sweep again to have it")
    return [{"model": content["model"], "fingerprint": content["fingerprint"]}]


def record_of_folder(path: Path) -> dict[str, Any]:
    """What the place of a result of mteb's says: `<org__name>/<revision>/[experiments/<overrides>/]<Task>.json`."""
    of_experiment = path.absolute().parent.parent.name == "experiments"
    revision = path.absolute().parents[2] if of_experiment else path.absolute().parent
    file = path.parent / "model_meta.json"
    meta = read_json(file) if file.is_file() else {}
    name = meta.get("name") or revision.parent.name.replace("__", "/", 1)
    overrides = meta.get("experiment_kwargs") or None
    return {"model": name, "name": name, "fingerprint": revision.name, "overrides": overrides, "from_folder": True}
