"""A model as one TOML file: what it is, how it is trained, how it is described."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mteb_cascade.errors import InputError, suggestion

NAME = re.compile(r"[A-Za-z0-9][\w.+-]*(/[A-Za-z0-9][\w.+-]*)?")
TABLES = ("card", "training")


class SpecError(InputError):
    """One or more mistakes in a spec file, one line each, every line naming the file."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        self.path = path
        self.mistakes = mistakes
        super().__init__("\n".join(f"{shown(path)}: {mistake}" for mistake in mistakes))


@dataclass(frozen=True)
class Spec:
    """What a TOML file says, not yet checked against its kind.

    Args:
        path: The file.
        name: `org/name`; `local/<file name>` where the file gives none.
        kind: One of the kinds that `stages/load.py` knows.
        options: The keys of that kind, `stage` and `member` tables among them.
        training: The `[training]` table.
        card: The `[card]` table: licence, languages, training datasets and what else mteb's model meta wants.
    """

    path: Path
    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    card: Mapping[str, Any] = field(default_factory=dict)

    @property
    def short_name(self) -> str:
        """The file's name without `.toml`: what people type."""
        return self.path.stem

    @property
    def weights(self) -> Path:
        """The folder beside the file where training puts the model."""
        return self.path.with_suffix("")


def shown(path: Path) -> str:
    """A path as a person would write it: relative where it lies below the working folder."""
    try:
        return str(path.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def read(path: Path) -> Spec | None:
    """Read one TOML file.

    Returns:
        The spec, or None for a TOML without `kind`, which is not ours.

    Raises:
        SpecError: It does not parse, or its name, kind or tables are malformed.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(path, [f"is not valid TOML: {error}. Mend the file, or give it another ending"]) from None
    except OSError as error:
        raise SpecError(path, [f"cannot be read: {error.strerror}. Mend it, or give it another ending"]) from None
    if "kind" not in content:
        return None
    kind, name = content.pop("kind"), content.pop("name", f"local/{path.stem}")
    tables = {key: content.pop(key, {}) for key in TABLES}
    mistakes = []
    if not isinstance(kind, str):
        mistakes.append(f"kind: expected a string, got {kind!r}")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        mistakes.append(f"name: expected 'organisation/name' of letters, digits and . _ + -, got {name!r}")
    elif "/" not in name:
        name = f"local/{name}"
    mistakes += [
        f"[{key}]: expected a table, got {table!r}" for key, table in tables.items() if type(table) is not dict
    ]
    if mistakes:
        raise SpecError(path, mistakes)
    return Spec(path, name, kind, content, tables["training"], tables["card"])


def folders() -> list[Path]:
    """Where specs are looked for: `./models`, then each folder of `MTEB_CASCADE_MODELS`."""
    named = os.environ.get("MTEB_CASCADE_MODELS", "").split(os.pathsep)
    return [Path("models").absolute(), *(Path(folder).expanduser().absolute() for folder in named if folder)]


def files() -> Iterator[Path]:
    """Every TOML in those folders; of two with one file name, the first."""
    seen = set()
    for folder in folders():
        for path in sorted(folder.glob("*.toml")) if folder.is_dir() else ():
            if path.stem not in seen:
                seen.add(path.stem)
                yield path


def catalogue() -> tuple[dict[str, Spec], list[SpecError]]:
    """All readable specs under their short names, and what is wrong with the others."""
    specs, errors = {}, []
    for path in files():
        try:
            spec = read(path)
        except SpecError as error:
            errors.append(error)
        else:
            if spec is not None:
                specs[spec.short_name] = spec
    return specs, errors


def find(name: str) -> Spec | None:
    """The spec of this short name or `org/name`; None where there is none.

    Raises:
        InputError: The name is not one (such as `../x`).
        SpecError: The file of that name is broken.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"'{name}' is no model name: expected NAME or ORGANISATION/NAME of letters, digits and . _ + -. "
            "Give a folder as an absolute path"
        )
    specs, errors = catalogue()
    for error in errors:
        if error.path.stem == name:
            raise error
    if name in specs:
        return specs[name]
    return next((spec for spec in specs.values() if spec.name == name), None)


def required(name: str) -> Spec:
    """As `find`, but a missing spec is an error that lists what is known here."""
    spec = find(name)
    if spec is None:
        known = catalogue()[0]
        raise InputError(f"unknown model '{name}'. {suggestion(name, known, 'Known here')}")
    return spec
