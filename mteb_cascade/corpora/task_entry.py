"""What a BEIR folder says of itself in its `task.toml`, where it has one."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.spec import NAME

FILE = "task.toml"

KEYS: dict[str, Any] = {
    "name": str,
    "relevance_level": int,
    "splits": list[str],
    "languages": list[str],
    "ignore_identical_ids": bool,
    "published": str,
}


@dataclass(frozen=True)
class TaskEntry:
    """A BEIR folder as a task.

    Args:
        folder: Where it is.
        name: What results call it; the folder's name by default.
        relevance_level: A grade of at least this is relevant; 1 by default.
        splits: The splits that mteb evaluates; `test` by default, or what there is besides train and dev, or all.
        languages: Languages of the text, as mteb writes them; English by default.
        ignore_identical_ids: Take a document with the query's own id out of every ranking.
        published: Name of the task of the public leaderboard that has the same documents, queries and judgements, such
            as `SciFact`; `mteb-cascade compare` puts its figures beside ours, nothing else reads it.
    """

    folder: Path
    name: str
    relevance_level: int
    splits: tuple[str, ...]
    languages: tuple[str, ...]
    ignore_identical_ids: bool
    published: str = ""

    @classmethod
    def of(cls, folder: Path) -> TaskEntry:
        """Read the entry; only file names and task.toml are looked at.

        Raises:
            InputError: The folder has no qrels, or task.toml has mistakes; all of them are named together.
        """
        folder = folder.absolute()
        held = sorted(path.stem for path in (folder / "qrels").glob("*.tsv"))
        if not held:
            raise InputError(f"{folder}: is no BEIR folder; expected corpus.jsonl, queries.jsonl and qrels/<split>.tsv")
        file = folder / FILE
        try:
            given = tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: is not valid TOML: {error}") from None
        mistakes = [text for key, value in given.items() if (text := problem(key, value))]
        facts: dict[str, Any] = {**defaults(folder, held), **given}
        if not mistakes:
            mistakes = [
                f"splits: there is no qrels/{one}.tsv. {suggestion(one, held)}"
                for one in facts["splits"]
                if one not in held
            ]
            if not NAME.fullmatch(facts["name"]) or "/" in facts["name"]:
                mistakes.append(f"name: expected letters, digits and . _ + -, got '{facts['name']}'; write one there")
            if not NAME.fullmatch(facts.get("published", "x")) or "/" in facts.get("published", ""):
                mistakes.append(f"published: expected the name of a task, such as SciFact, got '{facts['published']}'")
            mistakes += [f"{key}: expected one or more" for key in ("splits", "languages") if not facts[key]]
            if facts["relevance_level"] < 1:
                mistakes.append(f"relevance_level: expected at least 1, got {facts['relevance_level']}")
        if mistakes:
            raise InputError("\n".join(f"{file}: {text}" for text in mistakes))
        facts |= {key: tuple(facts[key]) for key in ("splits", "languages")}
        return cls(folder, **facts)


def is_beir(folder: Path) -> bool:
    """Whether a folder looks like a BEIR folder: a corpus and qrels."""
    return (folder / "qrels").is_dir() and any(
        (folder / name).is_file() for name in ("corpus.jsonl", "corpus.jsonl.gz")
    )


def defaults(folder: Path, held: list[str]) -> dict[str, Any]:
    """What holds where task.toml says nothing, of a folder with judgements for the splits in `held`."""
    beside = [one for one in held if one not in ("train", "dev")]
    return {
        "name": folder.name,
        "relevance_level": 1,
        "splits": ["test"] if "test" in held else beside or held,
        "languages": ["eng-Latn"],
        "ignore_identical_ids": False,
    }


def problem(key: str, value: Any) -> str:
    """What is wrong with an entry of task.toml; '' where nothing is."""
    if key not in KEYS:
        return f"unknown key '{key}'. {suggestion(key, KEYS)}"
    try:
        TypeAdapter(KEYS[key]).validate_python(value, strict=True)
    except ValidationError as error:
        return f"{key}: {error.errors()[0]['msg'].replace('Input should be', 'expected')}, got {value!r}"
    return ""
