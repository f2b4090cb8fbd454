"""`mteb-cascade scores`: what the store holds, how it is cleared, and its scores as a distillation set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mteb_cascade.cli.options import AllowEmpty, Subset, Task
from mteb_cascade.errors import InputError

scores = typer.Typer(
    help="The store of pair scores, retrieved runs and vectors: list it, prune it, export scores.", no_args_is_help=True
)


@scores.command(name="list")
def listed() -> None:
    """What is stored of each model, what was last used first."""
    from rich.console import Console

    from mteb_cascade.report.store_table import stored
    from mteb_cascade.store.contents import entries
    from mteb_cascade.store.folder import cache_folder

    Console().print(stored(cache_folder(), entries(cache_folder())))


@scores.command()
def prune(
    names: Annotated[
        list[str] | None, typer.Argument(help="Models, or beginnings of fingerprints, as `scores list` shows them.")
    ] = None,
    older_than: Annotated[
        float | None, typer.Option(help="Only what was not used for so many days.", min=0, metavar="DAYS")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Everything.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete what is stored of models, with what killed processes left behind; says what goes, and asks."""
    from mteb_cascade.store.contents import chosen, delete, entries, leftovers, sweep_out
    from mteb_cascade.store.folder import cache_folder, in_units

    if not names and older_than is None and not everything:
        raise InputError("say what to delete: models, --older-than DAYS, or --all. `scores list` shows what there is")
    taken = chosen(entries(cache_folder()), names or (), older_than)
    left = leftovers(cache_folder())
    for one in taken:
        typer.echo(f"{one.label} {one.fingerprint[:8]}: {in_units(one.size)}")
    if left:
        typer.echo(f"{len(left):,} leftovers of killed processes and damaged files")
    if not taken and not left:
        typer.echo("nothing to delete")
        return
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("nothing is deleted: nobody is there to ask; say --yes")
        typer.confirm(f"Delete {in_units(sum(one.size for one in taken))}?", abort=True)
    delete(taken)
    sweep_out(left)
    typer.echo(f"{in_units(sum(one.size for one in taken))} deleted")


@scores.command()
def export(
    name: Annotated[str, typer.Argument(help="The model whose scores they are: a reranker.")],
    task: Task,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The .parquet file; MODEL.TASK.scores.parquet by default.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of the queries; all of them by default.")] = None,
    subset: Subset = None,
    allow_empty: AllowEmpty = False,
) -> None:
    """Write stored scores as a distillation set: query_id, query, document_id, document, logit."""
    from mteb_cascade.experiments.score_export import export_scores

    made = export_scores(name, task, output, split=split, subset=subset, allow_empty=allow_empty)
    typer.echo(made.summary)
