"""Tables for the terminal, readable at 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from mteb_cascade import spec as specs
from mteb_cascade.errors import InputError
from mteb_cascade.stages.load import build

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


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str | Text]]) -> Group:
    """A title and a plain table: the first column to the left, the others to the right."""
    made = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False)
    for number, name in enumerate(columns):
        made.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else Text(cell) for cell in row))
    # Beside the table, not in it: rich would wrap the title to the table's width.
    return Group(*([Text(title)] if title else []), made)


def named(model: str, untrained: bool) -> str:
    """What a table calls a model: that it is an untrained baseline is said beside its name."""
    return f"{model} (untrained)" if untrained else model


def evaluations(results: Sequence[Evaluation]) -> None:
    """One row a model, one column a measure; a table a subset, and the mean over several subsets."""
    by_subset: dict[str, list[Evaluation]] = {}
    for result in results:
        by_subset.setdefault(result.collection.subset, []).append(result)
    columns = ["model", *results[0].means]
    console = Console()
    for part in by_subset.values():
        rows = [[named(result.model, result.untrained), *map(figure, result.means.values())] for result in part]
        console.print(table(part[0].title, columns, rows))
        console.print(Text(part[0].caption))
    if len(by_subset) > 1:
        first = results[0]
        title = f"{first.collection.name}, {first.split}, mean over {len(by_subset)} subsets"
        rows = []
        for same_model in zip(*by_subset.values(), strict=True):
            means = np.mean([list(one.means.values()) for one in same_model], axis=0).tolist()
            rows.append([named(same_model[0].model, same_model[0].untrained), *map(figure, means)])
        console.print(table(title, columns, rows))


def catalogue() -> None:
    """One row a spec, and what is wrong with broken ones."""
    found, unreadable = specs.catalogue()
    errors: list[InputError] = list(unreadable)
    rows = []
    for short_name, spec in sorted(found.items()):
        untrained = False
        try:
            untrained = build(spec, fetch=False).untrained
        except InputError as error:
            errors.append(error)
        weights = "there" if spec.weights.is_dir() else ("not trained" if spec.training else "")
        # That a spec without a name of its own is local/NAME is said by its first column.
        full_name = "" if spec.name == f"local/{short_name}" else spec.name
        rows.append([named(short_name, untrained), spec.kind, full_name, weights])
    console = Console()
    if rows:
        console.print(table("", ["model", "kind", "name", "weights"], rows))
    else:
        console.print("No specs in ./models or MTEB_CASCADE_MODELS.")
    for mistake in errors:
        Console(stderr=True, soft_wrap=True).print(Text(str(mistake)))
