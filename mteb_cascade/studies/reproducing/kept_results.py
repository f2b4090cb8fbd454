"""Results that can be run again, read back from their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mteb_cascade.corpora.query_figures import BESIDE
from mteb_cascade.errors import InputError
from mteb_cascade.json_file import parsed
from mteb_cascade.spec import shown
from mteb_cascade.stages.provenance import is_record

Kind = Literal["mteb", "evaluation", "sweep", "demo"]

EXPECTED = "a result of mteb, or the JSON that `mteb-cascade evaluate -o`, `sweep` or `demo` wrote"

NEEDED: dict[Kind, tuple[str, ...]] = {
    "mteb": ("task_name", "scores", "dataset_revision"),
    "evaluation": ("model", "pipeline", "fingerprint", "collection", "subset", "split", "scores"),
    "sweep": ("label", "source", "subset", "split", "first", "steps", "depth", "measures", "curves", "seed"),
    "demo": ("chosen_on_dev", "scores", "sweep", "revision"),
}
"""What each kind of result holds, as far as it takes to run it again."""

SHAPES: dict[str, Any] = {
    **dict.fromkeys(("split", "subset", "source", "collection", "task", "task_name"), str),
    **dict.fromkeys(("scores", "first", "curves"), dict),
    **dict.fromkeys(("steps", "measures"), list),
    **dict.fromkeys(("relevance_level", "k"), int | None),
    "depth": int,
}
"""What those values are that are looked into."""


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
    content = parsed(path, EXPECTED)
    kind = kind_of(content)
    if kind is None:
        raise InputError(f"{shown(path)}: is no result; expected {EXPECTED}{beside(path)}")
    missing = [key for key in NEEDED[kind] if key not in content]
    if missing:
        raise InputError(f"{shown(path)}: a result of {kind} without {', '.join(missing)}; expected {EXPECTED}")
    wrong = [key for key, shape in SHAPES.items() if key in content and not isinstance(content[key], shape)]
    if wrong := wrong + ["scores"] * (kind == "evaluation" and content["scores"] == {}):
        raise InputError(f"{shown(path)}: its {', '.join(wrong)} cannot be what was written; expected {EXPECTED}")
    records = records_of(path, kind, content)
    for record in records:
        if not is_record(record):
            raise InputError(
                f"{shown(path)}: its provenance names no model and fingerprint, or is damaged; evaluate again"
            )
    return Kept(path, kind, content, tuple(records))


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
    return f". Name {shown(result)}" if path.parent.name == BESIDE and result.is_file() else ""


def records_of(path: Path, kind: Kind, content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The provenance that a result has, inside or beside it, or what stands for it.

    Raises:
        InputError: A sweep's result has none, or the file beside it cannot be read.
    """
    if kind == "mteb":
        file = path.parent / BESIDE / path.name
        return [parsed(file, EXPECTED)] if file.is_file() else [record_of_folder(path)]
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
    content = parsed(file, EXPECTED) if file.is_file() else {}
    meta = content if isinstance(content, dict) else {}
    name = meta.get("name") or revision.parent.name.replace("__", "/", 1)
    overrides = meta.get("experiment_kwargs") or None
    return {"model": name, "name": name, "fingerprint": revision.name, "overrides": overrides, "from_folder": True}
