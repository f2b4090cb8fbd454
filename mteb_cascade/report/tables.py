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
    written = f"{value:.3f}"
    return written.replace("0.", ".", 1) if written.lstrip("-").startswith("0.") else written


def significance(p_value: float, resamples: int) -> str:
    """A p-value as it may be stated after this many resamples.

    >>> significance(0.0123, 10_000), significance(0.0, 10_000)
    ('p = .012', 'p < .001')
    """
    least = max(0.001, 1 / resamples)
    return f"p = {figure(p_value)}" if p_value >= least else f"p < {figure(least)}"


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """A plain table: the first column to the left, the others to the right."""
    made = Table(
        box=box.SIMPLE_HEAD,
        title=Text(title),
        title_justify="left",
        title_style="",
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
    )
    for number, name in enumerate(columns):
        made.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*map(Text, row))
    return made


def evaluations(results: Sequence[Evaluation]) -> None:
    """One row a model, one column a measure."""
    first = results[0]
    rows = [[result.model, *map(figure, result.means.values())] for result in results]
    console = Console()
    console.print(table(first.title, ["model", *first.means], rows))
    console.print(Text(first.caption))


def catalogue() -> None:
    """One row a spec, and what is wrong with broken ones."""
    found, errors = specs.catalogue()
    rows = []
    for short_name, spec in sorted(found.items()):
        weights = "there" if spec.weights.is_dir() else ("not trained" if spec.training else "")
        rows.append([short_name, spec.kind, spec.name, weights])
    console = Console()
    if rows:
        console.print(table("", ["model", "kind", "name", "weights"], rows))
    else:
        console.print("No specs in ./models or MTEB_CASCADE_MODELS.")
    for error in errors:
        Console(stderr=True, soft_wrap=True).print(Text(str(error)))
