"""`mteb-cascade bench`: how fast an index answers, and how well."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mteb_cascade.cli.options import RelevanceLevel, Split


def bench(
    index: Annotated[Path, typer.Argument(help="Folder of an index.", metavar="DIR")],
    queries: Annotated[
        Path | None, typer.Option(help="File of queries: JSONL with _id and text, TSV of id and text, or one a line.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", "-t", help="PythonDocs, a BEIR folder or a task of mteb, whose documents are indexed."),
    ] = None,
    split: Split = None,
    limit: Annotated[int, typer.Option(help="Queries asked at most, the first ones.", min=1)] = 1000,
    k: Annotated[int, typer.Option("-k", help="Documents asked for.", min=1)] = 10,
    clients: Annotated[int, typer.Option(help="Threads that ask at once, after one alone did.", min=1)] = 4,
    model: Annotated[
        str | None, typer.Option(help="What searches, if not the model that the index was made from.")
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="First find anew what the model's budget_ms allows on this machine.")
    ] = False,
    relevance_level: RelevanceLevel = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File for the result JSON.")] = None,
) -> None:
    """Latency cold, warm and under several clients, stage by stage, and recall@1 in the same run; one line sums it up.

    mteb-cascade bench indexes/our-cascade -t PythonDocs
    """
    from mteb_cascade.atomic import check_writable, replaced
    from mteb_cascade.errors import InputError
    from mteb_cascade.progress import bar

    def say(text: str) -> None:
        typer.echo(text, err=True)

    if output is not None:
        check_writable(output)
    if not calibrate and queries is None and task is None:
        raise InputError("nothing to ask: give --task, a file of --queries, or --calibrate")
    if calibrate:
        from mteb_cascade.retriever.calibrating import calibrate as calibrate_here
        from mteb_cascade.retriever.calibrating import told

        with bar("calibrating") as progress:
            found = calibrate_here(index, queries=queries, model=model, progress=progress)
        say(told(found))
        if queries is None and task is None:
            return

    from mteb_cascade.report.benched import tables
    from mteb_cascade.retriever.bench import bench as measure

    with bar("asking") as progress:
        result = measure(
            index,
            queries=queries,
            task=task,
            split=split,
            limit=limit,
            k=k,
            clients=clients,
            model=model,
            relevance_level=relevance_level,
            say=say,
            progress=progress,
        )
    if output is not None:
        with replaced(output) as beside:
            beside.write_text(json.dumps(result, indent=1, default=str) + "\n", encoding="utf-8")
    tables(result)
