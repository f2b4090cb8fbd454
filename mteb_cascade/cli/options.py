"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

Task = Annotated[str, typer.Option("--task", "-t", help="PythonDocs, the path of a BEIR folder, or a task of mteb.")]

Split = Annotated[str | None, typer.Option(help="Split of the queries; test by default, or what the task has instead.")]

ConfirmingSplit = Annotated[
    str | None, typer.Option(help="Split that confirms; test by default, or what the task has instead.")
]

DevFraction = Annotated[float | None, typer.Option(help="Where there is no dev split: this share of the queries.")]

SplitSeed = Annotated[int, typer.Option(help="Of --dev-fraction and of resampling.")]

Subset = Annotated[str | None, typer.Option(help="Subset of a task that has several.")]

Subsets = Annotated[list[str] | None, typer.Option(help="Subsets of a multilingual task; by default all.")]

RelevanceLevel = Annotated[
    int | None, typer.Option(help="A grade of at least this is relevant; known of some tasks, else 1.", min=1)
]

AllowEmpty = Annotated[bool, typer.Option("--allow-empty", help="Accept documents without text.")]
