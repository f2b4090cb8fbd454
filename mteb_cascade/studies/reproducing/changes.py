"""What differs between a result and the same thing now: stages, data, figures, versions and machine."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mteb_cascade.engine import openvino
from mteb_cascade.stages.provenance import hardware, versions

TOLERANCE = 1e-6
"""Figures that are closer than this are the same."""

TAKEN_ANEW = {"latency", "latency_ms", "timings", "provenance", "evaluation_time"}
"""Keys of what is never the same twice."""


@dataclass(frozen=True)
class ChangedStage:
    """A stage that is not what it was.

    Args:
        label: Its name.
        then: Its fingerprint in the result; None where it was no part.
        now: Its fingerprint here; None where it is no part any more.
        why: Files and keys that differ; none where only its parts do.
    """

    label: str
    then: str | None
    now: str | None
    why: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """Something that was compared and is not the same.

    Args:
        what: Its name.
        then: In the result; None where it was not there.
        now: Here; None where it is not.
    """

    what: str
    then: Any
    now: Any

    @property
    def size(self) -> float:
        """How far two numbers are apart; infinite where one is missing."""
        both = isinstance(self.then, int | float) and isinstance(self.now, int | float)
        return abs(self.then - self.now) if both else math.inf


def changed_stages(then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]) -> list[ChangedStage]:
    """Which stages of two trees differ, those with a reason of their own first.

    Args:
        then: As `provenance.tree_of` says; a result without provenance has the model itself alone, without files.
        now: The same of what is here.
    """
    if "files" not in then[0]:
        return [ChangedStage(then[0]["label"], then[0]["fingerprint"], now[0]["fingerprint"])]
    found = []
    left = list(now)
    for one in then:
        other = next((stage for stage in left if stage["label"] == one["label"]), None)
        if other is None:
            found.append(ChangedStage(one["label"], one["fingerprint"], None))
            continue
        left.remove(other)
        if one["fingerprint"] != other["fingerprint"]:
            why = (*changed_files(one["files"], other["files"]), *changed_keys(one["options"], other["options"]))
            found.append(ChangedStage(one["label"], one["fingerprint"], other["fingerprint"], why))
    found += [ChangedStage(one["label"], None, one["fingerprint"]) for one in left]
    return sorted(found, key=lambda one: not one.why)


def changed_files(then: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """A line for each file that differs."""
    for name in sorted({*then, *now}):
        if name not in now:
            yield f"{name} is gone"
        elif name not in then:
            yield f"{name} is new"
        elif then[name] != now[name]:
            yield f"{name} changed: SHA-256 {then[name][:12]} then, {now[name][:12]} now"


def changed_keys(then: Any, now: Any) -> Iterator[str]:
    """A line for each option that differs."""
    old, new = dict(leaves(then)), dict(leaves(now))
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield f"{key}: {old.get(key)} then, {new.get(key)} now"


def leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """(name, value) of everything below a JSON value that holds nothing more, but for what is never the same twice.

    >>> dict(leaves({"a": [1, {"b": 2}], "timings": 3}))
    {'a.1': 1, 'a.2.b': 2}
    """
    if isinstance(value, Mapping):
        entries = [(key, one) for key, one in value.items() if key not in TAKEN_ANEW]
    elif isinstance(value, list | tuple):
        entries = list(enumerate(value, 1))
    else:
        yield name, value
        return
    for key, one in entries:
        yield from leaves(one, f"{name}.{key}" if name else str(key))


def changed_figures(then: Any, now: Any) -> tuple[int, float, list[Difference]]:
    """Every number of two JSON values, compared.

    Returns:
        How many were compared, how far two are apart at most, and those that differ by more than the tolerance or are
        in one of the two only, the farthest first. NaN equals NaN.
    """
    old, new = (dict(numbers(value)) for value in (then, now))
    largest, found = 0.0, []
    for name in {**old, **new}:
        one = Difference(name, old.get(name), new.get(name))
        if one.then is not None and one.now is not None and math.isnan(one.then) and math.isnan(one.now):
            continue
        if not one.size <= TOLERANCE:  # NaN against a number, too
            found.append(one)
        if math.isfinite(one.size):
            largest = max(largest, one.size)
    return len(old), largest, sorted(found, key=lambda one: -one.size if one.size == one.size else -math.inf)


def numbers(value: Any) -> Iterator[tuple[str, float]]:
    """(name, number) of every number below a JSON value."""
    for name, one in leaves(value):
        if isinstance(one, int | float) and not isinstance(one, bool):
            yield name, one


def changed_surroundings(record: Mapping[str, Any], device: str | None) -> list[str]:
    """A line for each version and each part of the machine that differs: information, no fault.

    What a result does not say, such as the threads of a library that it did not need, is not compared.
    """
    now = {"versions": versions() | openvino.versions(), "hardware": hardware(device)}
    return [
        f"{name}: {then} then, {now[key].get(name)} now"
        for key in now
        for name, then in (record.get(key) or {}).items()
        if then is not None and then != now[key].get(name)
    ]
