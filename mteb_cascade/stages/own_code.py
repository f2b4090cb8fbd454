"""What stands for a kind of the user's own, whose code no version tells apart."""

from __future__ import annotations

import dis
import functools
import inspect
import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import CodeType, FunctionType, GetSetDescriptorType, MemberDescriptorType, MethodType, ModuleType
from typing import Any

import numpy as np

GENERATED = "<string>"
"""Where the methods lie that dataclasses make."""

INSTALLED = {"site-packages", "dist-packages"}
"""Folders of packages that have a version."""


def is_ours(kind: type) -> bool:
    """Whether a class belongs to this package, whose version results state."""
    return kind.__module__.startswith("mteb_cascade.")


def closes_over_variables(kind: type) -> bool:
    """Whether a class of the user's own has methods that read variables of a function around it."""
    if is_ours(kind) or kind.__module__ in ("abc", "builtins"):
        return False
    methods = [
        inspect.unwrap(getattr(value, "__func__", getattr(value, "fget", value))) for value in vars(kind).values()
    ]
    codes = [method.__code__ for method in methods if inspect.isfunction(method)]
    return any(set(code.co_freevars) - {"__class__"} for code in codes if code.co_filename != GENERATED)


def code_of(kind: type) -> str:
    """The source of a class; its methods' byte code where there is no source (an interactive session)."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        methods = {name: value.__code__ for name, value in vars(kind).items() if inspect.isfunction(value)}
        return json.dumps({name: instructions_of(code) for name, code in methods.items()}, sort_keys=True)


def instructions_of(code: CodeType) -> list[Any]:
    """Byte code, names and constants, without the addresses that a repr of nested code would show."""
    constants = [instructions_of(one) if isinstance(one, CodeType) else constant_of(one) for one in code.co_consts]
    return [code.co_code.hex(), code.co_names, constants]


def constant_of(value: Any) -> str:
    """A constant as text; a set's own order differs from process to process."""
    return f"frozenset({sorted(map(repr, value))})" if isinstance(value, frozenset) else repr(value)


def read_by(stage: Any) -> list[Any]:
    """What decides the scores of a kind of the user's own beside its options: code, what that reads, what it was given.

    It is taken from what is loaded, not from files that may have changed since. Functions, classes and constants of the
    user's own are followed wherever they stand; what is installed has a version and counts by name.

    Returns:
        A value for `base.hash_of`; empty for kinds of ours.

    Raises:
        TypeError: Something cannot be told apart from another: what `__init__` was given and does not keep under its
            name, or a value that is not made of numbers, texts and arrays.
    """
    kinds = [kind for kind in type(stage).__mro__ if not is_installed(kind)]
    if not kinds:
        return []
    held = vars(stage)
    given = {name for kind in kinds for name in parameters_of(kind)}
    lost = sorted(name for name in given if name not in held and f"_{name}" not in held)
    if lost:
        raise TypeError(f"{type(stage).__name__} does not keep what its __init__ is given as {', '.join(lost)}")
    # Of others only what stands for an attribute of its class: the rest it noted or made while it worked.
    state = {name for name in held if name.removeprefix("_") in given or is_set(type(stage), name)}
    fields = {name for kind in type(stage).__mro__ for name in getattr(kind, "__dataclass_fields__", ())}
    return Followed().all_of([*kinds, {name: held[name] for name in sorted(state - fields)}])


def is_set(kind: type, name: str) -> bool:
    """Whether an instance's attribute of this name takes the place of the class's own."""
    return hasattr(kind, name) and not isinstance(getattr(kind, name), functools.cached_property)


def parameters_of(kind: type) -> list[str]:
    """What the `__init__` that a class has of its own takes."""
    init = vars(kind).get("__init__")
    if not isinstance(init, FunctionType) or init.__code__.co_filename == GENERATED:
        return []
    _, *own = inspect.signature(init).parameters.values()
    return [parameter.name for parameter in own if parameter.kind is not parameter.VAR_KEYWORD]


def is_installed(thing: Any) -> bool:
    """Whether a class, a function or a module comes with Python, a package or ours."""
    name = str(thing.__name__ if isinstance(thing, ModuleType) else getattr(thing, "__module__", None))
    if name.partition(".")[0] in {"mteb_cascade", *sys.stdlib_module_names}:
        return True
    file = getattr(sys.modules.get(name), "__file__", None)
    return file is not None and not INSTALLED.isdisjoint(Path(file).parts)


class Followed:
    """Values as JSON has them, with the arrays, paths and stages that `base.identity_of` knows; each followed once."""

    def __init__(self) -> None:
        self._seen: dict[int, tuple[int, Any]] = {}

    def all_of(self, values: Any) -> list[Any]:
        """`of` each."""
        return [self.of(value) for value in values]

    def of(self, value: Any, names: frozenset[str] = frozenset()) -> Any:
        """What stands for a value; of a module of the user's own, for its attributes of these names."""
        if value is None or isinstance(value, bool | int | float | str | np.generic | np.ndarray | Path):
            return value
        if isinstance(value, ModuleType):
            found = {} if is_installed(value) else {name: vars(value)[name] for name in names & vars(value).keys()}
            return [value.__name__, self._named(found, names)]
        if id(value) in self._seen:
            return ["as before", self._seen[id(value)][0]]
        self._seen[id(value)] = len(self._seen), value  # Kept, or another value might get its place.
        if isinstance(value, dict):
            return [self.all_of(pair) for pair in value.items()]
        if isinstance(value, list | tuple):
            return self.all_of(value)
        if isinstance(value, set | frozenset):
            return sorted(self.all_of(value), key=repr)
        if isinstance(value, re.Pattern):
            return [value.pattern, value.flags]
        return self._code(value)

    def _code(self, value: Any) -> Any:
        if isinstance(value, property):
            return self.all_of([value.fget])
        if isinstance(value, functools.partial):
            return self.all_of([value.func, value.args, value.keywords])
        if isinstance(value, MethodType):
            return self.all_of([value.__func__, value.__self__])
        if isinstance(value, functools.cached_property):
            return self.of(value.func)
        if isinstance(value, staticmethod | classmethod) or hasattr(value, "__wrapped__"):
            return self.of(value.__wrapped__)
        if callable(value) and hasattr(value, "__qualname__") and is_installed(value):
            return [value.__module__, value.__qualname__]
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, type):
            return self._class(value)
        return self._other(value)

    def _function(self, function: FunctionType) -> list[Any]:
        names, attributes = names_in(function.__code__)
        read = {name: function.__globals__[name] for name in names & function.__globals__.keys()}
        closed = [cell.cell_contents for cell in function.__closure__ or ()]
        given = self.all_of([function.__defaults__, function.__kwdefaults__, *closed])
        return [instructions_of(function.__code__), given, self._named(read, attributes)]

    def _class(self, kind: type) -> list[Any]:
        slots = GetSetDescriptorType, MemberDescriptorType
        own = {
            name: value
            for name, value in vars(kind).items()
            if not isinstance(value, slots)
            and (callable(value) or not name.startswith(("__", "_abc_")))
            and getattr(getattr(value, "__code__", None), "co_filename", "") != GENERATED
        }
        return [kind.__qualname__, self.all_of(kind.__bases__), self._named(own)]

    def _other(self, value: Any) -> Any:
        """An object: of a class of the user's own its attributes; else the stage that `base.identity_of` may know."""
        if is_installed(type(value)) or not hasattr(value, "__dict__"):
            return value
        return [self.of(type(value)), self._named(vars(value))]

    def _named(self, values: Mapping[str, Any], names: frozenset[str] = frozenset()) -> list[Any]:
        return [[name, self.of(values[name], names)] for name in sorted(values)]


def names_in(code: CodeType) -> tuple[frozenset[str], frozenset[str]]:
    """The globals that a function and those inside it read, and every other name in them: attributes among these."""
    nested = [names_in(one) for one in code.co_consts if isinstance(one, CodeType)]
    read = {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    names, attributes = zip((read, code.co_names), *nested, strict=True)
    return frozenset().union(*names), frozenset().union(*attributes)
