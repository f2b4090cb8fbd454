"""`mteb-cascade serve`: an index over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    folder: Annotated[Path, typer.Argument(help="An index that `mteb-cascade index` made.", metavar="DIR")],
    host: Annotated[str, typer.Option(help="Name or address to listen at; there is no authentication.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65_535)] = 8000,
    model: Annotated[str | None, typer.Option(help="Model of the index, where it is not found by its name.")] = None,
    log: Annotated[bool, typer.Option("--log", help="Write a line to stderr for each request.")] = False,
) -> None:
    """Serve an index: a search page at /, JSON at /search and /health, their description at /docs.

    mteb-cascade serve indexes/our-cascade
    """
    from mteb_cascade.retriever.service.serving import serve as run

    run(folder, model=model, host=host, port=port, log=log, say=typer.echo, warn=warn)


def warn(line: str) -> None:
    """A danger, in one line on stderr."""
    typer.echo(f"warning: {line}", err=True)
