"""Tables for the terminal, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mteb_cascade import spec as specs

if TYPE_CHECKING:
    from mteb_cascade.experiments.evaluate import Evaluation


def figure(value: float) -> str:
    """A share with three digits and no leading zero, as the field writes it.

    >>> figure(0.3159), figure(1.0), figure(-0.02)
    ('.316', '1.000', '-.020')
    """
    return f"{value:.3f}".replace("0.", ".", 1) if abs(value) < 0.9995 else f"{value:.3f}"


def evaluations(results: Sequence[Evaluation]) -> None:
    """One row a model, one column a measure."""
    first = results[0]
    table = Table(box=box.SIMPLE_HEAD, title=first.title, title_justify="left", title_style="")
    table.add_column("model", overflow="fold")
    for name in first.means:
        table.add_column(name, justify="right")
    for result in results:
        table.add_row(Text(result.model), *(figure(value) for value in result.means.values()))
    console = Console()
    console.print(table)
    console.print(Text(first.caption))


def catalogue() -> None:
    """One row a spec."""
    found, errors = specs.catalogue()
    table = Table(box=box.SIMPLE_HEAD)
    for name in ("model", "kind", "name", "weights"):
        table.add_column(name, overflow="fold")
    for short_name, spec in sorted(found.items()):
        trained = "there" if spec.weights.is_dir() else ("not trained" if spec.training else "")
        table.add_row(Text(short_name), Text(spec.kind), Text(spec.name), trained)
    Console().print(table if found else "No specs in ./models or MTEB_CASCADE_MODELS.")
    for error in errors:
        Console(stderr=True).print(Text(str(error)))
