"""Spec files changed in place, or written anew beside the old one, their comments kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mteb_cascade import spec as specs
from mteb_cascade.atomic import replaced
from mteb_cascade.errors import InputError
from mteb_cascade.spec import NAME, Spec, shown


def write_values(spec: Spec, part: str, number: int, values: Mapping[str, float]) -> bool:
    """Set keys of one [[part]] table of a spec, its comments kept; says whether anything changed."""
    import tomlkit

    document = tomlkit.parse(spec.path.read_text(encoding="utf-8"))
    entry: Any = document[part]
    entry = entry[number]
    if all(entry.get(key) == value for key, value in values.items()):
        return False
    entry.update(values)
    with replaced(spec.path) as beside:
        beside.write_text(tomlkit.dumps(document), encoding="utf-8")
    return True


def write_card(spec: Spec, key: str, value: str) -> None:
    """Set a key of a spec's [card] table, which is made where there is none; comments are kept."""
    import tomlkit

    document = tomlkit.parse(spec.path.read_text(encoding="utf-8"))
    document.setdefault("card", tomlkit.table())[key] = value
    with replaced(spec.path) as beside:
        beside.write_text(tomlkit.dumps(document), encoding="utf-8")


def new_path(spec: Spec, name: str) -> Path:
    """Where a spec of this short name would lie: beside another.

    Raises:
        InputError: It is no short name, or taken.
    """
    if not NAME.fullmatch(name) or "/" in name:
        raise InputError(f"'{name}' is no file name of a spec: expected letters, digits and . _ + -, such as our-fast")
    path = spec.path.with_name(f"{name}.toml")
    taken = next((file for file in [path, *specs.files()] if file.stem == name and file.exists()), None)
    if taken is not None:
        raise InputError(f"{shown(taken)} exists already; choose another name, or remove it")
    return path


def write_as(spec: Spec, name: str, part: str, values: Sequence[Mapping[str, float]], note: str = "") -> Path:
    """Write a spec beside another, the same but for keys of its [[part]] tables.

    Args:
        spec: The old one, which stays as it is.
        name: Short name of the new one; the organisation is the old one's.
        part: The name of the tables.
        values: {key: value} for each of the tables, in their order.
        note: Becomes a comment on the first line.

    Returns:
        The new file.

    Raises:
        InputError: The name is none, or taken.
    """
    import tomlkit

    path = new_path(spec, name)
    document = tomlkit.parse(spec.path.read_text(encoding="utf-8"))
    if "name" in document:
        document["name"] = f"{spec.name.rpartition('/')[0]}/{name}"
    tables: Any = document[part]
    for table, changed in zip(tables, values, strict=True):
        table.update(changed)
    with replaced(path) as beside:
        beside.write_text((f"# {note}\n" if note else "") + tomlkit.dumps(document), encoding="utf-8")
    return path
