"""`mteb-cascade search`: an index asked by hand, or by a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def search(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="An index, made by `mteb-cascade index`.")],
    query: Annotated[
        str | None, typer.Argument(help="What is looked for; else a prompt asks, or each line of a pipe is a query.")
    ] = None,
    k: Annotated[int, typer.Option("-k", help="Documents wanted.", min=1)] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object a query, on a line of its own.")] = False,
    model: Annotated[
        str | None, typer.Option(help="Search with this model; by default the one that the index was made from.")
    ] = None,
) -> None:
    """Search an index: documents with their rank at each stage, the words they share with the query, times per stage.

    mteb-cascade search indexes/our-cascade "open a file for reading"
    """
    from mteb_cascade.studies.searching import answer, conversation, lines_of_input

    if query is not None:
        answer(folder, [query], k=k, as_json=as_json, model=model)
        return
    lines = lines_of_input()
    if lines is None:
        conversation(folder, k=k, as_json=as_json, model=model)
    else:
        answer(folder, lines, k=k, as_json=as_json, model=model)
