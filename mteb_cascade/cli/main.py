"""The command line: parses, calls one function, prints; heavy imports happen inside commands."""

from __future__ import annotations

import sys
import warnings
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import Annotated

import typer

from mteb_cascade.cli.ablate import ablate
from mteb_cascade.cli.bench import bench
from mteb_cascade.cli.candidates import candidates
from mteb_cascade.cli.compare import compare
from mteb_cascade.cli.doctor import doctor
from mteb_cascade.cli.funnel import funnel
from mteb_cascade.cli.index import add, compact, index, remove, verify
from mteb_cascade.cli.inspect import inspect
from mteb_cascade.cli.mine import mine
from mteb_cascade.cli.multiple import SeveralValues
from mteb_cascade.cli.options import AllowEmpty, RelevanceLevel, Split, Task
from mteb_cascade.cli.prefetch import prefetch
from mteb_cascade.cli.publish import publish
from mteb_cascade.cli.report import report
from mteb_cascade.cli.reproduce import reproduce
from mteb_cascade.cli.scores import scores
from mteb_cascade.cli.search import search
from mteb_cascade.cli.serve import serve
from mteb_cascade.cli.sweep import sweep
from mteb_cascade.cli.train import train
from mteb_cascade.cli.tune import tune
from mteb_cascade.errors import InputError, printable

app = typer.Typer(
    name="mteb-cascade",
    help="Retrieve-and-rerank cascades for MTEB: what a reranker buys, at every depth.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(ablate)
app.command()(add)
app.command()(bench)
app.command()(candidates)
app.command()(compact)
app.command(cls=SeveralValues)(compare)
app.command()(doctor)
app.command()(funnel)
app.command()(index)
app.command()(inspect)
app.command()(mine)
app.command()(prefetch)
app.command(cls=SeveralValues)(publish)
app.command()(remove)
app.command()(report)
app.command()(reproduce)
app.add_typer(scores, name="scores")
app.command()(search)
app.command()(serve)
app.command(cls=SeveralValues)(sweep)
app.command()(train)
app.command()(tune)
app.command()(verify)


@app.command()
def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for result JSON and the figure.")] = Path(
        "results"
    ),
    seeds: Annotated[int, typer.Option(help="Seeds of the bi-encoder: mean and spread.", min=1)] = 3,
) -> None:
    """The main job on real text: train, compose, choose depths, evaluate through mteb. Under 5 minutes on 2 cores."""
    from mteb_cascade.studies.demo import run

    run(output, seeds=seeds)


@app.command()
def evaluate(
    names: Annotated[list[str], typer.Argument(help="Models: names of specs, folders or hub ids.")],
    task: Task,
    split: Split = None,
    subset: Annotated[
        list[str] | None,
        typer.Option(help="Subset of a multilingual task, such as eng; may be given several times; by default all."),
    ] = None,
    measure: Annotated[
        list[str] | None,
        typer.Option("--measure", "-m", help="Such as recall@1, success@1, mrr@10, ndcg@10, judged@10."),
    ] = None,
    depth: Annotated[
        int, typer.Option("-k", help="Documents retrieved for each query, at least the largest cut-off.", min=1)
    ] = 1000,
    relevance_level: RelevanceLevel = None,
    allow_empty: AllowEmpty = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for one result JSON and run a model.")
    ] = None,
) -> None:
    """Retrieve, or rank a reranking task's candidates, and score with ir-measures: a table of each model's means.

    A task of several subsets gets one table each, and one of the means over them.
    """
    from mteb_cascade.experiments.evaluate import DEFAULT_MEASURES, evaluate_models
    from mteb_cascade.report.tables import evaluations

    measures = tuple(measure or DEFAULT_MEASURES)
    results = evaluate_models(
        names,
        task,
        split=split,
        subsets=subset or (),
        measures=measures,
        k=depth,
        relevance_level=relevance_level,
        allow_empty=allow_empty,
        output=output,
    )
    evaluations(results)


@app.command()
def models() -> None:
    """List the models that specs define here, and what is wrong with broken ones."""
    from mteb_cascade.report.tables import catalogue

    catalogue()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []})
def mteb(context: typer.Context) -> None:
    """Run mteb's own command with our models and tasks registered; the path of a BEIR folder is a task too."""
    from mteb.cli.build_cli import main as mteb_main

    from mteb_cascade.mteb_plugin.arguments import understood
    from mteb_cascade.mteb_plugin.registry import register

    register()
    sys.argv = ["mteb", *understood(context.args)]
    mteb_main()


def one_line(message: Warning | str, *_: object, **__: object) -> None:
    """A warning as one line on stderr."""
    typer.echo(f"warning: {message}", err=True)


def main() -> None:
    """Run the command line; a mistake of the user's is one line and exit code 2."""
    warnings.showwarning = one_line
    try:
        app()
    except InputError as error:
        from mteb_cascade.training.steps.ranks import rank

        typer.echo(printable(f"process {rank()}: {error}" if rank() else error), err=True)
        raise SystemExit(2) from None
    except OSError as error:
        if error.filename is None and error.errno in (ENOSPC, EDQUOT):
            typer.echo(f"what was found cannot be written ({error.strerror}); make room, or write elsewhere", err=True)
            raise SystemExit(2) from None
        if error.filename is None:
            raise
        typer.echo(f"{error.filename}: cannot be used ({error.strerror}); give another file or folder", err=True)
        raise SystemExit(2) from None
    except SystemExit as ended:
        if ended.code == 130:  # typer makes this of Ctrl-C, without a word
            typer.echo("stopped", err=True)
        raise
