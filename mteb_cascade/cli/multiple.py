"""Options that take several values each: `--first A B --rerank C D`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from typer.core import TyperCommand

from mteb_cascade.errors import InputError


class SeveralValues(TyperCommand):
    """A command whose list options take all values up to the next option; positional arguments come before them.

    Give it as `cls` to `app.command`. `--first A --first B` and `--first=A` work as everywhere.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, each value of a list option behind its own option."""
        lists = {name for option in self.params if getattr(option, "multiple", False) for name in option.opts}
        return super().parse_args(ctx, list(repeated(args, lists)))


def repeated(arguments: list[str], lists: Collection[str]) -> Iterator[str]:
    """Arguments with a list option's name before each of its values.

    Args:
        arguments: As they were typed; nothing after `--` is touched.
        lists: Names of the options that take several values.

    Raises:
        InputError: One of these has no value.

    >>> " ".join(repeated("x --first A B -k 9 --first C -- --first D".split(), {"--first"}))
    'x --first A --first B -k 9 --first C -- --first D'
    """
    end = arguments.index("--") if "--" in arguments else len(arguments)
    groups: list[list[str]] = [[]]
    for argument in arguments[:end]:
        if argument.startswith("-") and argument != "-":
            groups.append([])
        groups[-1].append(argument)
    yield from groups[0]
    for option, *values in groups[1:]:
        if option not in lists:
            yield from (option, *values)
        elif values:
            yield from (part for value in values for part in (option, value))
        else:
            raise InputError(f"{option}: expected one or more values after it")
    yield from arguments[end:]
