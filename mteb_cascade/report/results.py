"""Results of sweeps, read back from their files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mteb_cascade.errors import InputError
from mteb_cascade.json_file import parsed
from mteb_cascade.spec import shown

FOLDER = Path("results/sweeps")

NEEDED = (
    *("title", "pipeline", "task", "source", "subset", "split", "queries", "relevance_level", "corpus_digest"),
    *("queries_digest", "first", "steps", "pointwise", "depth", "depths", "blend", "measures", "curves", "bands"),
    *("outcomes", "shape"),
)
"""What a result has to hold to be drawn."""


@dataclass(frozen=True, eq=False)
class Result:
    """One pipeline on one task, as a sweep wrote it.

    Args:
        path: The JSON.
        found: What it holds.
    """

    path: Path
    found: dict[str, Any]

    def __getitem__(self, key: str) -> Any:
        return self.found[key]

    def get(self, key: str, default: Any = None) -> Any:
        """As a dictionary's."""
        return self.found.get(key, default)

    @property
    def candidates(self) -> Path:
        """The Parquet file that a sweep writes beside its JSON."""
        return self.path.with_suffix(".parquet")

    @property
    def task(self) -> tuple[str, ...]:
        """What has to be the same for two results to be comparable."""
        keys = ("task", "subset", "split", "corpus_digest", "queries_digest", "relevance_level")
        return tuple(str(self[key]) for key in keys)

    @property
    def pipeline(self) -> str:
        """Its stages in their order."""
        return str(self["pipeline"])

    @property
    def reranker(self) -> str:
        """The stage whose depth was swept."""
        return str(self["steps"][-1]["label"])

    @property
    def lines(self) -> dict[str, float]:
        """{line: blend}: the reranker alone and, where there is one, blended."""
        return {"alone": 0.0, **({"blended": float(self["blend"])} if self["blend"] else {})}


def read(path: Path) -> Result | None:
    """One result; None where a JSON is something else.

    Raises:
        InputError: The file cannot be read, or a sweep's result lacks something.
    """
    found = parsed(path, "the JSON that a sweep wrote")
    if not isinstance(found, dict) or found.get("kind") != "sweep":
        return None
    missing = [key for key in NEEDED if key not in found]
    if missing:
        raise InputError(f"{shown(path)}: a sweep's result without {', '.join(missing)}; sweep again to write it anew")
    return Result(path, found)


def read_all(paths: Sequence[Path] = ()) -> list[Result]:
    """The named results, and those of named folders; by default those in results/sweeps.

    Raises:
        InputError: There is none, a file cannot be read, or a named file is no sweep's result.
    """
    found: list[Result] = []
    for path in paths or [FOLDER]:
        results = [read(one) for one in (sorted(path.glob("*.json")) if path.is_dir() else _named(path, paths))]
        if not path.is_dir() and None in results:
            raise InputError(f"{shown(path)}: no result of a sweep; expected a JSON with kind 'sweep'")
        if not any(results):
            raise InputError(
                f"no result of a sweep in {shown(path)}; `mteb-cascade sweep` writes them there, or name files"
            )
        found += [one for one in results if one is not None]
    return told_apart(found)


def told_apart(results: Sequence[Result]) -> list[Result]:
    """The results, those of one pipeline on one task with their depth and blend in its name."""
    keys = [(result.task, result.pipeline) for result in results]
    return [
        result
        if keys.count(key) == 1
        else Result(
            result.path, {**result.found, "pipeline": f"{result.pipeline}, depth {result['depth']}{blend_of(result)}"}
        )
        for key, result in zip(keys, results, strict=True)
    ]


def blend_of(result: Result) -> str:
    """Its blend in words, where it has one."""
    return f", b = {result['blend']:g}" if result["blend"] else ""


def _named(path: Path, paths: Sequence[Path]) -> list[Path]:
    """The path itself where somebody named it; nothing where it is the default folder that does not exist."""
    return [path] if paths else []


def by_task(results: Iterable[Result]) -> list[list[Result]]:
    """Results that are comparable, together; tasks in the order in which they first appear."""
    groups: dict[tuple[str, ...], list[Result]] = {}
    for result in results:
        groups.setdefault(result.task, []).append(result)
    return list(groups.values())
