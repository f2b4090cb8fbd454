"""`mteb-cascade candidates`: a candidate set as a file that says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mteb_cascade.cli.options import AllowEmpty, RelevanceLevel, Split, Subset, Task


def candidates(
    name: Annotated[str, typer.Argument(help="A model that retrieves: name of a spec, folder or hub id.")],
    task: Task,
    output: Annotated[Path, typer.Option("--output", "-o", help="The .parquet file to write.")],
    depth: Annotated[int, typer.Option("-k", help="Candidates of each query.", min=1)] = 1000,
    split: Split = None,
    subset: Subset = None,
    relevance_level: RelevanceLevel = None,
    allow_empty: AllowEmpty = False,
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
