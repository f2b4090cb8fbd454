"""`mteb-cascade train`: a spec's model, or what training it would take."""

from __future__ import annotations

import tomllib
from typing import Annotated, Any

import typer

from mteb_cascade.errors import InputError


def train(
    name: Annotated[str, typer.Argument(help="A spec that says how it is trained.")],
    seed: Annotated[int | None, typer.Option(help="Instead of the spec's seed.")] = None,
    change: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Instead of the spec's [training] key: --set mining.depth=50."),
    ] = None,
    restart: Annotated[
        bool, typer.Option("--restart", help="Throw away the checkpoints of a run that was stopped, and start anew.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what it would take, from ten real steps; keep nothing.")
    ] = False,
    overfit: Annotated[
        int | None, typer.Option(metavar="N", help="Can it learn N batches by heart? Keep nothing.", min=1)
    ] = None,
) -> None:
    """Train a spec's model; the weights land beside the spec, in models/NAME/. A stopped run goes on where it was."""
    from mteb_cascade.progress import bar, silent
    from mteb_cascade.training.steps.ranks import is_main
    from mteb_cascade.training.train import train as train_model

    overrides = dict(map(changed, change or ()))
    if (dry_run, bool(overfit), restart).count(True) > 1:
        raise InputError("expected one of --dry-run, --overfit and --restart: the first two keep nothing")
    said: list[str] = []
    with bar(f"training {name}") as drawn:
        progress = drawn if is_main() else silent
        if dry_run or overfit:
            from mteb_cascade.training.watching.trial import tried

            text = tried(name, seed=seed, overrides=overrides, overfit=overfit, progress=progress)
        else:
            trained = train_model(
                name, seed=seed, overrides=overrides, restart=restart, progress=progress, say=said.append
            )
            text = str(trained)
    if is_main():
        for line in said:
            typer.echo(line, err=True)
        typer.echo(text)


def changed(text: str) -> tuple[str, Any]:
    """Key and value of `--set`; the value is TOML, and text where it is none.

    >>> changed("epochs=3"), changed("loss=softmax"), changed("evaluation.depths=[5, 10]")
    (('epochs', 3), ('loss', 'softmax'), ('evaluation.depths', [5, 10]))
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise InputError(f"--set {text}: expected KEY=VALUE, such as --set epochs=3")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()
