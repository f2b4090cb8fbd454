"""`mteb-cascade candidates`: a candidate set as a file that says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mteb_cascade.cli.options import Task


def candidates(
    name: Annotated[str, typer.Argument(help="A model that retrieves: name of a spec, folder or hub id.")],
    task: Task,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .parquet file to write.")],
    depth: Annotated[int, typer.Option("-k", help="Candidates of each query.", min=1)] = 1000,
    split: Annotated[
        str | None, typer.Option(help="Split of the queries; test by default, or what the task has instead.")
    ] = None,
    subset: Annotated[str | None, typer.Option(help="Subset of a task that has several.")] = None,
    relevance_level: Annotated[
        int | None, typer.Option(help="A grade of at least this is relevant; known of some tasks, else 1.", min=1)
    ] = None,
    allow_empty: Annotated[bool, typer.Option("--allow-empty", help="Accept documents without text.")] = False,
) -> None:
    """Retrieve candidates into a Parquet file, with the digests of stage, corpus and queries in it.

    A spec of kind "run" with `file = "FILE.parquet"` reads it, and refuses another corpus.
    """
    from mteb_cascade.experiments.candidates import write_candidates

    made = write_candidates(
        name,
        task,
        output,
        k=depth,
        split=split,
        subset=subset,
        relevance_level=relevance_level,
        allow_empty=allow_empty,
        say=lambda text: typer.echo(text, err=True),
    )
    typer.echo(made.summary)
