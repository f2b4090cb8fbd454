from __future__ import annotations

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from mteb_cascade.cli.multiple import SeveralValues
from mteb_cascade.errors import InputError

Names = Annotated[list[str] | None, typer.Option()]


def parsed(arguments: str) -> dict[str, object]:
    """What a command with two list options, a single-valued one, a flag and names is given."""
    app = typer.Typer(pretty_exceptions_enable=False)
    seen: dict[str, object] = {}

    @app.command(cls=SeveralValues)
    def sweep(
        names: Annotated[list[str] | None, typer.Argument()] = None,
        first: Names = None,
        task: Annotated[list[str] | None, typer.Option("--task", "-t")] = None,
        depth: Annotated[int, typer.Option("-k")] = 0,
        dry: Annotated[bool, typer.Option("--dry")] = False,
    ) -> None:
        seen.update(names=names, first=first, task=task, depth=depth, dry=dry)

    done = CliRunner().invoke(app, arguments.split(), catch_exceptions=True)
    if isinstance(done.exception, InputError):
        raise done.exception
    return seen if done.exit_code == 0 else {"code": done.exit_code, "said": done.output}


NOTHING = {"names": None, "first": None, "task": None, "depth": 0, "dry": False}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--first A B -t X Y", {"first": ["A", "B"], "task": ["X", "Y"]}),
        ("one two --first A B", {"names": ["one", "two"], "first": ["A", "B"]}),
        ("--first A B -k 9 --dry -t X", {"first": ["A", "B"], "depth": 9, "dry": True, "task": ["X"]}),
        ("--first A --first B C", {"first": ["A", "B", "C"]}),
        ("--first=A --first=B", {"first": ["A", "B"]}),
        ("-tX --task Y Z", {"task": ["X", "Y", "Z"]}),
        ("--first A B -- one two", {"first": ["A", "B"], "names": ["one", "two"]}),
        ("--first A B -- --first -k", {"first": ["A", "B"], "names": ["--first", "-k"]}),
        ("--first A -k -5 -t X", {"first": ["A"], "depth": -5, "task": ["X"]}),
        ("-k -5 one", {"depth": -5, "names": ["one"]}),
        ("--first - A", {"first": ["-", "A"]}),
        ("", {}),
    ],
)
def test_every_value_up_to_the_next_option(arguments: str, expected: dict[str, object]) -> None:
    found = parsed(arguments)
    assert {key: value or NOTHING[key] for key, value in found.items()} == {**NOTHING, **expected}


@pytest.mark.parametrize("arguments", ["--first -5", "--first", "--first -t X", "one --first --dry", "--first -- one"])
def test_a_list_without_a_value_swallows_nothing(arguments: str) -> None:
    with pytest.raises(InputError, match=r"^--first: expected one or more values after it$"):
        parsed(arguments)


def test_what_looks_like_an_option_is_one() -> None:
    found = parsed("--first A -5")
    assert found["code"] == 2
    assert "No such option: -5" in str(found["said"])
