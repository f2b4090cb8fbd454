"""`mteb-cascade funnel`: kept recall against time and bytes, and a proposed setting."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mteb_cascade.cli.options import AllowEmpty, ConfirmingSplit, DevFraction, SplitSeed, Subset, Task


def funnel(
    name: Annotated[str, typer.Argument(help="A bi-encoder, or a funnel, whose own setting is then looked at too.")],
    task: Task,
    depth: Annotated[int, typer.Option(help="Documents of the exact ranking that shall be found.")] = 100,
    goal: Annotated[float, typer.Option(help="Share of them that the proposed setting has to keep.")] = 0.99,
    share: Annotated[
        list[float] | None,
        typer.Option(help="Share of the corpus that is rescored in full; may be given several times."),
    ] = None,
    faiss: Annotated[
        list[str] | None,
        typer.Option(help='An index of faiss as first step, such as "HNSW32" or "IVF64,Flat;nprobe=8"; several times.'),
    ] = None,
    split: ConfirmingSplit = None,
    subset: Subset = None,
    dev_fraction: DevFraction = None,
    seed: SplitSeed = 0,
    calls: Annotated[int, typer.Option(help="Single queries timed at each setting.")] = 200,
    precision: Annotated[
        str, typer.Option(help="What an index keeps full vectors in, for its bytes: float32, float16 or int8.")
    ] = "float32",
    allow_empty: AllowEmpty = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result JSON and the figure.")] = Path(
        "results/funnel"
    ),
) -> None:
    """Draw what a funnel keeps of exact search against time and bytes, and propose a setting.

    mteb-cascade funnel our-biencoder -t PythonDocs
    """
    from mteb_cascade.experiments.funnel import study
    from mteb_cascade.experiments.funnel_settings import SHARES
    from mteb_cascade.progress import bar
    from mteb_cascade.report.funnel_figure import draw
    from mteb_cascade.report.funnel_table import tables

    with bar("measuring") as progress:
        result = study(
            name,
            task,
            depth=depth,
            goal=goal,
            shares=share or SHARES,
            faiss=faiss or (),
            split=split,
            subset=subset,
            dev_fraction=dev_fraction,
            seed=seed,
            calls=calls,
            precision=precision,
            allow_empty=allow_empty,
            output=output,
            say=lambda text: typer.echo(text, err=True),
            progress=progress,
        )
    tables(result)
    path = Path(result["path"])
    figure = path.with_name(f"{path.stem}.png")
    draw(result, figure)
    for file in (path, figure):
        typer.echo(f"wrote {file}")
