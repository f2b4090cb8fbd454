"""`mteb-cascade publish`: from results to what the public leaderboard takes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mteb_cascade.errors import InputError

if TYPE_CHECKING:
    from mteb_cascade.publish.publication import Fault, Publication


def publish(
    name: Annotated[str, typer.Argument(help="A spec of ours.")],
    results: Annotated[
        Path,
        typer.Option("--results", "-r", help="The --output-folder of `mteb run`; its results/ is looked into too."),
    ] = Path("results"),
    commit: Annotated[
        str | None, typer.Option(help="The hub's commit that holds the weights, 40 digits; else the one on the card.")
    ] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="Publish the results on these tasks; by default on all.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the folder NAME is written.")] = Path(
        "published"
    ),
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; list all that a reviewer would send back.")
    ] = False,
    push: Annotated[
        bool, typer.Option("--push", help="Upload the weights to the hub first; asks before it does.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Upload without asking.")] = False,
    submit: Annotated[bool, typer.Option("--submit", help="Hand the results to `mteb submit-results`.")] = False,
) -> None:
    """Check a model's results and description, and lay them out as the public leaderboard takes them.

    Where something is wrong, all of it is listed, nothing is written, and the exit code is 1.
    """
    from mteb_cascade.publish.publish import prepared
    from mteb_cascade.publish.publish import submit as submitted
    from mteb_cascade.publish.written import check_free, write
    from mteb_cascade.spec import required

    if check and (push or submit):
        raise InputError("--check writes and sends nothing: leave out --push and --submit")
    check_free(output / required(name).short_name)
    publication = prepared(name, results, commit=commit, tasks=task or ())
    if push:
        publication = prepared(name, results, commit=uploaded(publication, yes=yes), tasks=task or ())
    tell(publication)
    if check:
        typer.echo(f"{publication.meta.name}: nothing to send back ({counted(publication)})")
        return
    from mteb_cascade.publish.checklist import checklist

    folder = write(publication, output)
    typer.echo((folder / "model_meta.py").read_text(encoding="utf-8"))
    for item in checklist(publication):
        typer.echo(item)
    typer.echo(f"\n{folder}: {counted(publication)}, README.md and model_meta.py")
    if submit:
        # mteb logs what is left to do: push the branch, open the pull request.
        logging.basicConfig(level=logging.WARNING, format="%(message)s")
        logging.getLogger("mteb").setLevel(logging.INFO)
        typer.echo(submitted(publication, folder))
    else:
        typer.echo(f"mteb submit-results -m {publication.meta.name} --output-folder {folder}")


def uploaded(publication: Publication, *, yes: bool) -> str:
    """Ask, upload, and say the commit."""
    from mteb_cascade.publish.push import in_the_way, pushed, uploaded_files

    files = uploaded_files(publication)
    if faults := in_the_way(publication):
        listed(faults)
    if not yes:
        if not sys.stdin.isatty():
            raise InputError("--push asks before it uploads, and nobody can answer here: add --yes")
        megabytes = sum(path.stat().st_size for path in files) / 2**20
        question = f"Upload {len(files)} files ({megabytes:.1f} MB) and the card to https://huggingface.co/"
        if not typer.confirm(f"{question}{publication.spec.name}?", default=False):
            typer.echo("nothing was uploaded", err=True)
            raise SystemExit(1)
    commit = pushed(publication)
    typer.echo(f"{publication.spec.name} is on the hub at {commit}, which is now [card] commit")
    return commit


def tell(publication: Publication) -> None:
    """What was left out; where there are faults, all of them, and the end."""
    for note in publication.notes:
        typer.echo(note, err=True)
    if publication.faults:
        listed(publication.faults)


def listed(faults: Iterable[Fault]) -> None:
    """Every fault as a line, then exit with 1."""
    for fault in faults:
        typer.echo(str(fault), err=True)
    raise SystemExit(1)


def counted(publication: Publication) -> str:
    """How much is published."""
    results, experiments = len(publication.results), len(publication.experiments)
    more = f" and {experiments} of experiments" if experiments else ""
    return f"{results} result{'s' * (results != 1)}{more} at revision {publication.meta.revision}"
