"""`mteb-cascade mine`: the negatives of a spec, and what was believed of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def mine(
    name: Annotated[str, typer.Argument(help="A spec with a [training] table.")],
    seed: Annotated[int | None, typer.Option(help="Instead of the spec's seed.")] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of the mining report.")] = Path(
        "results/mining"
    ),
) -> None:
    """Mine the hard negatives of a spec: what each rule dropped, and a report with samples to read.

    `mteb-cascade train NAME` finds them again.
    """
    from mteb_cascade.progress import bar
    from mteb_cascade.training.mining.mine import mine as mined
    from mteb_cascade.training.mining.text import origins, rules

    with bar(f"mining for {name}") as progress:
        made, path = mined(name, seed=seed, output=output, progress=progress)
    for line in (*rules(made.report), *origins(made.report)):
        typer.echo(line)
    typer.echo(f"wrote {path}")
