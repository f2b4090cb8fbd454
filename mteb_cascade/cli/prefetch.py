"""`mteb-cascade prefetch`: what a run needs, fetched while there is a network."""

from __future__ import annotations

from typing import Annotated

import typer

from mteb_cascade.errors import InputError


def prefetch(
    names: Annotated[list[str] | None, typer.Argument(help="Models: names of specs, folders or hub ids.")] = None,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", "-t", help="PythonDocs, the path of a BEIR folder, or a task of mteb; may be repeated."),
    ] = None,
) -> None:
    """Fetch weights, indexes and data, so that a node without network runs with HF_HUB_OFFLINE=1.

    One line for each thing; where HF_HUB_OFFLINE is set, nothing is fetched, and the lines say what is missing.
    """
    from mteb_cascade.experiments import prefetch as fetching
    from mteb_cascade.stages.weights import offline

    if not names and not task:
        raise InputError("nothing to fetch: name models, or tasks with --task")
    if offline():
        typer.echo("HF_HUB_OFFLINE is set: nothing can be fetched, only missed; unset it to fetch", err=True)
    problems = []
    for fetched in fetching.prefetch(names or [], task or []):
        typer.echo(f"{fetched.what}: {fetched.state}")
        problems += [fetched.problem] if fetched.problem else []
    if problems:
        raise InputError("\n".join(dict.fromkeys(problems)))
