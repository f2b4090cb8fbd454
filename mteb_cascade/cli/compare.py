"""`mteb-cascade compare`: models beside each other, local and published, with paired tests."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from mteb_cascade.cli.options import AllowEmpty, RelevanceLevel, Subsets


class Format(StrEnum):
    """How a comparison is written."""

    table = "table"
    markdown = "markdown"
    latex = "latex"
    csv = "csv"
    json = "json"


def compare(
    models: Annotated[
        list[str],
        typer.Argument(
            help="Models, JSON files of `evaluate -o`, or published ORG/NAME or ORG/NAME@REVISION; before all options."
        ),
    ],
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task", "-t", help="PythonDocs, BEIR folders or tasks of mteb; by default those of the JSON files."
        ),
    ] = None,
    measure: Annotated[
        list[str] | None, typer.Option("--measure", "-m", help="Such as ndcg@10; the first is tested.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="The model that the others are compared with; by default the first.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split of every task; by default each task's own.")] = None,
    subset: Subsets = None,
    relevance_level: RelevanceLevel = None,
    depth: Annotated[int, typer.Option("-k", help="Documents retrieved for each query.", min=1)] = 1000,
    latency: Annotated[int, typer.Option(help="Calls timed of each local model; 200 or more.", min=0)] = 0,
    leaderboard: Annotated[
        Path | None,
        typer.Option(help="Folder of published results; by default mteb's own, ~/.cache/mteb/remote/results."),
    ] = None,
    results: Annotated[
        list[Path] | None, typer.Option(help="Folders of earlier evaluations to read what is there already.")
    ] = None,
    allow_empty: AllowEmpty = False,
    written: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.table,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write; by default stdout.")] = None,
) -> None:
    """Scores per task and their mean, paired tests with correction, size and latency; local models among published.

    mteb-cascade compare our-bm25 our-cascade -t PythonDocs -m ndcg@10 success@1
    mteb-cascade compare our-bm25 mteb/baseline-bm25s -t data/scifact --leaderboard results
    """
    import io
    import json

    from rich.console import Console

    from mteb_cascade.atomic import check_writable, replaced
    from mteb_cascade.progress import bar
    from mteb_cascade.report.comparison import markdown, terminal
    from mteb_cascade.report.comparison_csv import as_csv
    from mteb_cascade.report.latex import latex
    from mteb_cascade.studies.comparing.compare import DEFAULT_MEASURES
    from mteb_cascade.studies.comparing.compare import compare as compared

    if output is not None:
        check_writable(output)
    with bar("comparing") as progress:
        found = compared(
            models,
            task or (),
            measures=measure or DEFAULT_MEASURES,
            against=against,
            split=split,
            subsets=subset or (),
            relevance_level=relevance_level,
            k=depth,
            latency=latency,
            leaderboard=leaderboard,
            results=results or (),
            allow_empty=allow_empty,
            progress=progress,
        )
    if written is Format.table and output is None:
        return terminal(found)
    if written is Format.table:
        console = Console(file=io.StringIO(), record=True, width=80)
        terminal(found, console)
        text = console.export_text()
    elif written is Format.json:
        text = json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n"
    else:
        text = {Format.markdown: markdown, Format.latex: latex, Format.csv: as_csv}[written](found)
    if output is None:
        typer.echo(text, nl=False)
        return None
    with replaced(output) as beside:
        beside.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {output}", err=True)
    return None
