"""What a researcher expects of a sweep, written down before any scoring, and the verdict after it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.values.measures import Measure

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}

LINES = ("alone", "blended")
"""By the step's scores, or by score + b * score before."""

SHAPES = ("rises and stays", "rises then falls", "falls", "flat")

ARGUMENTS = {
    "peak": ("measure",),
    "best": ("measure",),
    "first": ("measure",),
    "last": ("measure",),
    "at": ("measure", "depth"),
    "gain": ("measure",),
    "drop": ("measure",),
    "shape": ("measure",),
    "broken": ("depth",),
    "recovered": ("depth",),
    "as_good": ("measure",),
}
"""{function: what it takes, before the name of a line}; `Expectation` says what each is."""

FORM = re.compile(r"\s*(\w+)\s*\(([^()]*)\)\s*(<=|>=|==|!=|<|>)\s*(.*\S)\s*", re.DOTALL)

DIGITS = 6
"""Figures are compared as results hold them."""


@dataclass(frozen=True)
class Verdict:
    """Whether an expectation held.

    Args:
        text: The expectation, as it was given.
        holds: None where it cannot be told.
        found: What the sweep found; a reason where it cannot be told.
    """

    text: str
    holds: bool | None
    found: float | str

    def __str__(self) -> str:
        if self.holds is None:
            return f"cannot be told, {self.found}"
        return f"{'held' if self.holds else 'did not hold'}, found {self.found}"

    def as_json(self) -> dict[str, Any]:
        """As a sweep's result holds it."""
        return {"text": self.text, "holds": self.holds, "found": self.found}


@dataclass(frozen=True)
class Expectation:
    """`FUNCTION(arguments) OP VALUE`, such as `peak(success@1) < 50` or `shape(ndcg@10, blended) == "falls"`.

    `peak` is the depth of the highest value and `best` that value; `first` is the value of the ranking as it was
    received (depth 1), `last` that at the deepest, `at(measure, depth)` that in between. `gain` is best - first, `drop`
    best - last. `shape` is one of `SHAPES`. `broken(depth)` and `recovered(depth)` count queries. `as_good` is the
    shallowest depth shown to be as good as the best.

    Args:
        text: As it was given.
        function: One of `ARGUMENTS`.
        measure: Such as success@1; None of a function that counts queries.
        depth: Of a function that takes one, else None.
        line: One of `LINES`.
        comparison: One of `OPERATORS`.
        value: A number; of `shape` one of `SHAPES`.
    """

    text: str
    function: str
    measure: str | None
    depth: int | None
    line: str
    comparison: str
    value: float | str

    @classmethod
    def parse(cls, text: str) -> Expectation:
        """Read an expectation.

        Raises:
            InputError: It is none; says what was expected.

        >>> one = Expectation.parse("peak(success@1) < 50")
        >>> one.function, one.measure, one.line, one.comparison, one.value
        ('peak', 'success@1', 'alone', '<', 50.0)
        """
        try:
            return cls(text, *_parsed(text))
        except InputError as error:
            raise InputError(f"expectation {text!r}: {error}") from None

    def verdict(self, result: Mapping[str, Any]) -> Verdict:
        """Hold the expectation against a sweep's result, as its JSON has it."""
        try:
            found = self._found(result)
        except _UndecidedError as reason:
            return Verdict(self.text, None, str(reason))
        if isinstance(found, float):
            found = round(found, DIGITS) + 0.0  # never -0.0
        return Verdict(self.text, OPERATORS[self.comparison](found, self.value), found)

    def _found(self, result: Mapping[str, Any]) -> float | str:
        if self.line not in result["outcomes"]:
            raise _UndecidedError(f"there is no {self.line} line")
        if self.measure is None:
            counts: list[int] = result["outcomes"][self.line][self.function]
            return counts[self._column(result)]
        if self.measure not in result["curves"]:
            raise _UndecidedError(f"{self.measure} was not measured")
        if self.function == "as_good":
            return self._as_good(result)
        if self.function == "at":
            return float(result["curves"][self.measure][self.line][self._column(result)])
        shape: Mapping[str, Any] = result["shape"][self.measure][self.line]
        received = float(result["curves"][self.measure]["first stage"])
        if self.function == "first":
            return received
        if self.function == "gain":
            return float(shape["best"] - received)
        if self.function == "drop":
            return float(shape["best"] - shape["last"])
        told: float | str = shape[self.function]
        return told

    def _as_good(self, result: Mapping[str, Any]) -> int:
        if result["as_good_as_best"] is None:
            why = result.get("as_good_why_not") or "there are no development queries"
            raise _UndecidedError(f"no depth was compared with the best: {why}")
        told = result["as_good_as_best"][self.measure][self.line]
        if told["depth"] is None:
            raise _UndecidedError(str(told["says"]))
        return int(told["depth"])

    def _column(self, result: Mapping[str, Any]) -> int:
        if self.depth not in result["depths"]:
            raise _UndecidedError(f"depth {self.depth} was not looked at")
        return int(result["depths"].index(self.depth))


class _UndecidedError(Exception):
    """Why a result has no answer."""


def _parsed(text: str) -> tuple[str, str | None, int | None, str, str, float | str]:
    match = FORM.fullmatch(text)
    if not match:
        raise InputError(
            f"expected FUNCTION(...) OP VALUE with OP one of {' '.join(OPERATORS)}, such as peak(success@1) < 50"
        )
    function, inner, comparison, value = match.groups()
    if function not in ARGUMENTS:
        raise InputError(f"unknown function '{function}'. {suggestion(function, ARGUMENTS)}")
    measure, depth, line = _arguments(function, [part.strip() for part in inner.split(",")])
    if function != "shape":
        return function, measure, depth, line, comparison, _number(value)
    if comparison not in ("==", "!="):
        raise InputError(f"a shape is compared with == or !=, got {comparison}")
    return function, measure, depth, line, comparison, _shape(value)


def _arguments(function: str, given: list[str]) -> tuple[str | None, int | None, str]:
    wanted = ARGUMENTS[function]
    if not len(wanted) <= len(given) <= len(wanted) + 1 or "" in given:
        form = f"{function}({', '.join(wanted)})"
        raise InputError(f"expected {form} or {form[:-1]}, blended), got {function}({', '.join(given)})")
    measure = depth = None
    for name, argument in zip(wanted, given, strict=False):
        if name == "measure":
            measure = str(Measure.parse(argument))
        elif not re.fullmatch("[0-9]+", argument) or not int(argument):
            raise InputError(f"expected a depth of at least 1 in {function}(...), got '{argument}'")
        else:
            depth = int(argument)
    line = given[-1] if len(given) > len(wanted) else LINES[0]
    if line not in LINES:
        raise InputError(f"unknown line '{line}'. {suggestion(line, LINES)}")
    return measure, depth, line


def _number(value: str) -> float:
    if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value):
        raise InputError(f"expected a number such as 50 or .31 at the end, got '{value}'")
    return float(value)


def _shape(value: str) -> str:
    word = " ".join(value.strip("\"'").split())
    if word not in SHAPES:
        raise InputError(f"unknown shape '{word}'. {suggestion(word, SHAPES)}")
    return word
