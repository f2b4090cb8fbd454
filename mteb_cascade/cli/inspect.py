"""`mteb-cascade inspect`: one query through the cascade."""

from __future__ import annotations

from typing import Annotated

import typer

from mteb_cascade.cli.options import AllowEmpty, RelevanceLevel, Split, Subset, Task


def inspect(
    name: Annotated[str, typer.Argument(help="A cascade, or any other model: name of a spec, folder or hub id.")],
    task: Task,
    query: Annotated[
        str | None, typer.Option("--query", help="Id of the query, or '#17' for the seventeenth; else the first.")
    ] = None,
    outcome: Annotated[
        str | None,
        typer.Option("--class", help="Only queries that the last step kept, recovered, broke: broken, missed, ..."),
    ] = None,
    phantoms: Annotated[
        bool, typer.Option("--phantoms", help="Only queries where a document was lifted above every answer.")
    ] = False,
    text: Annotated[str, typer.Option(help="Only queries that have all of these words.")] = "",
    top: Annotated[int, typer.Option(help="Candidates shown of the last ranking, beside all answers.", min=1)] = 10,
    document: Annotated[str | None, typer.Option(help="Show this document, too, wherever it stands.")] = None,
    limit: Annotated[
        int | None, typer.Option(help="Print so many queries and end; 1 where there is no terminal.", min=1)
    ] = None,
    first: Annotated[
        str | None, typer.Option(help="Who finds the candidates of a model that is no cascade; BM25 of a reranker's.")
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Candidates that it reranks then; 100 by default.", min=1)] = None,
    k: Annotated[int, typer.Option("-k", help="Documents of each list that are looked at.", min=1)] = 1000,
    split: Split = None,
    subset: Subset = None,
    relevance_level: RelevanceLevel = None,
    allow_empty: AllowEmpty = False,
) -> None:
    """Look at queries one by one: ranks and scores at each stage, answers, shared words, what became of rank 1.

    On a terminal, n and p turn to the next and the previous query; elsewhere one is printed, or --limit many.

    mteb-cascade inspect our-cascade -t PythonDocs --class broken
    """
    from mteb_cascade.experiments.inspecting.inspection import inspect as inspection_of
    from mteb_cascade.experiments.inspecting.inspection import refuse_unknown
    from mteb_cascade.progress import bar
    from mteb_cascade.studies.inspecting import look

    refuse_unknown(outcome)
    inspection = inspection_of(
        name,
        task,
        first=first,
        depth=depth,
        k=k,
        split=split,
        subset=subset,
        relevance_level=relevance_level,
        allow_empty=allow_empty,
    )
    with bar("reranking") as progress:
        rows = inspection.selected(outcome, phantoms=phantoms, text=text, progress=progress)
    look(inspection, rows, query=query, top=top, document=document, limit=limit)
