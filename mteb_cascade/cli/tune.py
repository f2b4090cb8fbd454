"""`mteb-cascade tune`: depths and blends for a latency budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mteb_cascade.cli.options import AllowEmpty, ConfirmingSplit, DevFraction, RelevanceLevel, SplitSeed, Subset, Task


def tune(
    name: Annotated[str, typer.Argument(help="A cascade.")],
    task: Task,
    budget_ms: Annotated[float, typer.Option(help="Milliseconds that a query may take, end to end.")],
    metric: Annotated[
        str | None, typer.Option("--metric", "-m", help="What shall be best; success@1 by default.")
    ] = None,
    percentile: Annotated[int, typer.Option(help="Percent of queries that keep the budget: 50, 95 or 99.")] = 95,
    keep: Annotated[
        int | None, typer.Option(help="Documents handed on to a language model: recall at that many, and tokens.")
    ] = None,
    depth: Annotated[
        int | None, typer.Option(help="The deepest looked at; 100, or the spec's own where that is more.")
    ] = None,
    split: ConfirmingSplit = None,
    subset: Subset = None,
    dev_fraction: DevFraction = None,
    seed: SplitSeed = 0,
    calls: Annotated[int, typer.Option(help="Calls timed at each of a few depths; 200 or more tell p99.")] = 200,
    relevance_level: RelevanceLevel = None,
    allow_empty: AllowEmpty = False,
    write: Annotated[
        str | None, typer.Option(help="Write a spec of this name beside the old one, with what was chosen.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the result JSON.")] = Path("results/tune"),
) -> None:
    """Choose depths and blends on development queries within a latency budget; confirm them on test, once.

    mteb-cascade tune our-cascade -t PythonDocs --metric success@1 --budget-ms 200 --write our-fast
    """
    from mteb_cascade.experiments.tune import tune as choose
    from mteb_cascade.progress import bar
    from mteb_cascade.report.tuned import tables

    with bar("scoring") as progress:
        result = choose(
            name,
            task,
            budget_ms=budget_ms,
            metric=metric,
            percentile=percentile,
            keep=keep,
            depth=depth,
            split=split,
            subset=subset,
            dev_fraction=dev_fraction,
            seed=seed,
            calls=calls,
            relevance_level=relevance_level,
            allow_empty=allow_empty,
            write=write,
            output=output,
            say=lambda text: typer.echo(text, err=True),
            progress=progress,
        )
    tables(result)
    for file in (result.get("written"), result["path"]):
        if file:
            typer.echo(f"wrote {file}")
