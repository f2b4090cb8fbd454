"""`mteb-cascade doctor`: is the reranker bad, or the pipeline broken?"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from mteb_cascade.cli.options import AllowEmpty, Split, Subset


def doctor(
    name: Annotated[str, typer.Argument(help="A model: name of a spec, folder or hub id.")],
    task: Annotated[
        str | None,
        typer.Option(
            "--task", "-t", help="PythonDocs, a BEIR folder or a task of mteb; by default what it was trained on."
        ),
    ] = None,
    split: Split = None,
    subset: Subset = None,
    queries: Annotated[int, typer.Option(help="Queries sampled.", min=1)] = 50,
    first: Annotated[
        str | None, typer.Option(help="Who finds the candidates of a model without a first stage; BM25 by default.")
    ] = None,
    allow_empty: AllowEmpty = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="List the checks that found nothing, too.")] = False,
) -> None:
    """Is the reranker bad, or the pipeline broken? Verdict, evidence and remedy of each check.

    Exit code 1 where a check fails.

    mteb-cascade doctor our-cascade -t PythonDocs
    """
    from mteb_cascade.progress import bar
    from mteb_cascade.report.examined import show
    from mteb_cascade.studies.doctor.examine import examine
    from mteb_cascade.training.quiet import quiet

    with quiet(), bar(f"examining {name}") as progress:
        found = examine(
            name,
            task,
            split=split,
            subset=subset,
            first=first,
            queries=queries,
            allow_empty=allow_empty,
            progress=progress,
        )
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=2, ensure_ascii=False, allow_nan=False))
    else:
        show(found, everything=everything)
    if found.failed:
        raise typer.Exit(1)
