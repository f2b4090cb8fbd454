"""What mteb calls to load a model of ours by name."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.load import load

Result = TypeVar("Result")


def loaded(name: str, revision: str | None = None, device: str | None = None, **overrides: Any) -> Stage:
    """The stage of a spec, its weights loaded.

    Args:
        name: `org/name` from a spec.
        revision: The fingerprint that mteb knows; the stage's own is what counts.
        device: Torch device.
        **overrides: `depths` and `blends` of a cascade; mteb files their results under experiments/.

    Raises:
        InputError: The spec has mistakes or its weights are missing. Under mteb's command: one line and exit code 2.
    """
    overrides.pop("pipeline", None)
    try:
        stage = overridden(load(name, device=device), **overrides)
        stage.prepare()
    except InputError as error:
        end(error)
    for name in ("index", "search"):
        setattr(stage, name, ended(getattr(stage, name)))
    return stage


def ended(method: Callable[..., Result]) -> Callable[..., Result]:
    """The method, with an InputError of it said as `end` says it: mteb itself would show a traceback."""

    @wraps(method)
    def call(*given: Any, **named: Any) -> Result:
        try:
            return method(*given, **named)
        except InputError as error:
            end(error)

    return call


def overridden(stage: Stage, **overrides: Any) -> Stage:
    """The stage at other depths and blends.

    Raises:
        InputError: It is no cascade, or there are other overrides.
    """
    if not overrides:
        return stage
    unknown = sorted(set(overrides) - {"depths", "blends"})
    if unknown or not isinstance(stage, Cascade):
        raise InputError(
            f"{stage.label} (kind {stage.kind}) takes no {', '.join(unknown or overrides)}; "
            "only a cascade takes overrides, depths and blends"
        )
    depths = overrides.get("depths") or stage.depths
    return stage.at(*depths, blends=overrides.get("blends"))


def refused(name: str, *, reason: str, **_: Any) -> NoReturn:
    """Loader of a spec that has mistakes: says them."""
    end(InputError(reason))


def end(error: InputError) -> NoReturn:
    """Raise the error; where mteb's own command is running, print it as one line and exit with 2 instead."""
    program = Path(sys.argv[0])
    if program.stem == "mteb" or program.parts[-2:] == ("mteb", "__main__.py"):
        print(error, file=sys.stderr)  # noqa: T201 - this is the end of mteb's command
        raise SystemExit(2) from None
    raise error
