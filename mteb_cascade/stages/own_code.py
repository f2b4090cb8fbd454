"""What stands for a kind of the user's own, whose code no version tells apart."""

from __future__ import annotations

import inspect
import json
from types import CodeType
from typing import Any


def is_own(kind: type) -> bool:
    """Whether a class belongs to this package, whose version results state."""
    return kind.__module__.startswith("mteb_cascade.")


def closes_over_variables(kind: type) -> bool:
    """Whether a class of the user's own has methods that read variables of a function around it."""
    if is_own(kind) or kind.__module__ in ("abc", "builtins"):
        return False
    methods = [
        inspect.unwrap(getattr(value, "__func__", getattr(value, "fget", value))) for value in vars(kind).values()
    ]
    codes = [method.__code__ for method in methods if inspect.isfunction(method)]
    # What dataclasses generate has no file.
    return any(set(code.co_freevars) - {"__class__"} for code in codes if code.co_filename != "<string>")


def code_of(kind: type) -> str:
    """The source of a class; its methods' byte code where there is no source (an interactive session)."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        methods = {name: value.__code__ for name, value in vars(kind).items() if inspect.isfunction(value)}
        return json.dumps({name: instructions_of(code) for name, code in methods.items()}, sort_keys=True)


def instructions_of(code: CodeType) -> list[Any]:
    """Byte code, names and constants, without the addresses that a repr of nested code would show."""
    constants = [instructions_of(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return [code.co_code.hex(), code.co_names, constants]
