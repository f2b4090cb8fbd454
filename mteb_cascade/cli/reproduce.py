"""`mteb-cascade reproduce`: a result, run again and compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def reproduce(
    result: Annotated[
        Path, typer.Argument(help="A result of mteb, or the JSON that evaluate -o, sweep or demo wrote.")
    ],
    anyway: Annotated[bool, typer.Option("--anyway", help="Run it although the model or its data changed.")] = False,
    task: Annotated[
        str | None, typer.Option("--task", "-t", help="Where the collection is now; as the result says by default.")
    ] = None,
) -> None:
    """Run a result again, every score computed anew, and compare: model, data, then every figure.

    Exit code 1 where anything differs. Nothing is run where a model or its data are not what they were.
    """
    from mteb_cascade.report.reproduced import show
    from mteb_cascade.studies.reproducing.reproduce import reproduce as run

    found = run(result, anyway=anyway, task=task, say=lambda text: typer.echo(text, err=True))
    for line in found.surroundings:
        typer.echo(f"other than then: {line}", err=True)
    show(found)
    if not found.same:
        raise typer.Exit(1)
