"""`mteb-cascade sweep`: what each reranker buys, at every depth."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer

from mteb_cascade.cli.options import AllowEmpty, DevFraction, RelevanceLevel, SplitSeed, Subsets


def sweep(
    cascades: Annotated[
        list[str] | None, typer.Argument(help="Cascades, whose last step is swept; before all options.")
    ] = None,
    first: Annotated[
        list[str] | None, typer.Option(help="First stages: models or run files. Several may follow.")
    ] = None,
    rerank: Annotated[list[str] | None, typer.Option(help="Rerankers, each over each first stage.")] = None,
    task: Annotated[
        list[str] | None, typer.Option("--task", "-t", help="PythonDocs, BEIR folders or tasks of mteb.")
    ] = None,
    depth: Annotated[int, typer.Option("--depth", help="The deepest; every depth up to it is told.", min=1)] = 100,
    split: Annotated[str | None, typer.Option(help="Split that is reported; test by default.")] = None,
    subset: Subsets = None,
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", "-m", help="Such as success@1, recall@10; the first chooses blends."),
    ] = None,
    blend: Annotated[
        float | None, typer.Option(help="b in score + b * score before; by default the spec's, or chosen on dev.")
    ] = None,
    dev: Annotated[bool, typer.Option(help="Let development queries choose blends and the best depth.")] = True,
    dev_fraction: DevFraction = None,
    seed: SplitSeed = 0,
    slices: Annotated[
        Path | None, typer.Option(help="TSV with a heading, query id first: slice queries by its other columns, too.")
    ] = None,
    full_corpus: Annotated[
        bool, typer.Option("--full-corpus", help="Let the reranker score the whole corpus.")
    ] = False,
    latency: Annotated[int, typer.Option(help="Calls timed at each of a few depths; 200 or more tell p99.", min=0)] = 0,
    expect: Annotated[
        list[str] | None, typer.Option(help='What you expect, such as "peak(success@1) < 50"; logged and judged.')
    ] = None,
    relevance_level: RelevanceLevel = None,
    allow_empty: AllowEmpty = False,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder of results; LOG.md lies beside it.")] = Path(
        "results/sweeps"
    ),
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say pairs and expected time, and score nothing.")] = False,
) -> None:
    """Score once, see every depth: recall, success, MRR and nDCG, what became of rank 1, and where more stops paying.

    mteb-cascade sweep our-cascade -t PythonDocs
    mteb-cascade sweep --first our-bm25 our-hybrid --rerank our-reranker -t PythonDocs my-collection --depth 200
    """
    from mteb_cascade.experiments.sweep import MEASURES
    from mteb_cascade.experiments.sweep import sweep as sweep_depths
    from mteb_cascade.progress import bar
    from mteb_cascade.report.sweeps import tables

    def say(text: str) -> None:
        typer.echo(text, err=True)

    with bar("scoring") as progress:
        found = sweep_depths(
            cascades or (),
            first=first or (),
            rerank=rerank or (),
            tasks=task or (),
            depth=depth,
            split=split,
            subsets=subset or (),
            measures=measure or MEASURES,
            blend=blend,
            dev=dev,
            dev_fraction=dev_fraction,
            seed=seed,
            own=slices,
            full_corpus=full_corpus,
            latency=latency,
            expect=expect or (),
            relevance_level=relevance_level,
            allow_empty=allow_empty,
            output=output,
            command=shlex.join(["mteb-cascade", *sys.argv[1:]]),
            dry_run=dry_run,
            say=say,
            progress=progress,
        )
    tables([one.result for one in found])
