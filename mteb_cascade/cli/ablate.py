"""`mteb-cascade ablate`: one model trained in several ways, and which differences are more than chance."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def ablate(
    file: Annotated[Path, typer.Argument(help="TOML with spec, task, and a table grid, or tables variant.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder of results; one folder a file, with its table beside.")
    ] = Path("results/ablations"),
    keep_models: Annotated[bool, typer.Option("--keep-models", help="Keep the models once evaluated.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the trainings, and do none.")] = False,
) -> None:
    """Train a spec's model with other losses, negatives, bases or optimisers, and compare them with paired tests.

    A killed ablation goes on where it was; what is done is not done again.
    """
    from mteb_cascade.progress import bar
    from mteb_cascade.studies.ablate import ablate as run
    from mteb_cascade.studies.ablation_table import tables

    with bar("training") as progress:
        found = run(
            file,
            output=output,
            keep_models=keep_models,
            dry_run=dry_run,
            say=lambda text: typer.echo(text, err=True),
            progress=progress,
        )
    if found is not None:
        tables(found)
        typer.echo(f"wrote {output / file.stem}.md")
