"""`mteb-cascade report`: sweeps as one HTML file, and as figures for papers."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    results: Annotated[
        list[Path] | None, typer.Argument(help="JSON files of sweeps, or folders; results/sweeps by default.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The HTML file; report.html by default.")
    ] = None,
    figures: Annotated[
        Path | None, typer.Option(help="Folder for figures as PNG, PDF and SVG; the HTML file only if -o names it.")
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option("--measure", "-m", help="Measures of the figures; all by default.")
    ] = None,
) -> None:
    """Write one self-contained HTML file: figures, tables and every query; it needs no network.

    Above 20 MB it keeps the first 20 candidates of each query and the answers, and says so.
    """
    from mteb_cascade.errors import InputError
    from mteb_cascade.report import figures as drawing
    from mteb_cascade.report import html
    from mteb_cascade.report.results import read_all

    found = read_all(results or [])
    if measure and figures is None:
        raise InputError("-m chooses the measures of the figures: give their folder, too, with --figures DIR")
    if figures is not None:
        for path in drawing.write_figures(found, figures, measure or []):
            typer.echo(str(path))
    if figures is None or output is not None:
        path = output or Path("report.html")
        html.write(found, path, say=lambda text: typer.echo(text, err=True))
        typer.echo(str(path))
