"""What an ablation found: means over seeds, paired tests against one cell, and whether a model collapsed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.text import Text

from mteb_cascade.errors import InputError
from mteb_cascade.report.tables import figure, significance, table
from mteb_cascade.studies.ablation_plan import Ablation
from mteb_cascade.values.statistics import RESAMPLES, Comparison, holm, paired_bootstrap


@dataclass(frozen=True)
class Row:
    """One cell over its seeds.

    Args:
        cell: Its name.
        seeds: Seeds that were trained and evaluated.
        means: {measure: mean over seeds of the mean over queries}.
        spreads: {measure: standard deviation over seeds}; 0 of a single seed.
        compared: Of the first measure, this cell less the one it is compared with; None of that cell itself.
        p_holm: The p-value, corrected over all cells.
        collapse: A reading a seed, of the worst seed first.
        failed: {seed: reason} of those that failed.
    """

    cell: str
    seeds: tuple[int, ...]
    means: Mapping[str, float]
    spreads: Mapping[str, float]
    compared: Comparison | None
    p_holm: float | None
    collapse: tuple[str, ...]
    failed: Mapping[int, str]


@dataclass(frozen=True)
class Table:
    """All cells.

    Args:
        title: What was varied, and where it was measured.
        spec: Name of the spec.
        measures: As told; the first one is tested.
        queries: Their number.
        compared_with: Name of the cell that the others are compared with.
        chosen: Whether that cell is the best one found here, and not a baseline that was named before.
        clusters: Whether clusters of queries were resampled.
        rows: The cells, in the file's order.
    """

    title: str
    spec: str
    measures: tuple[str, ...]
    queries: int
    compared_with: str
    chosen: bool
    clusters: bool
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        """What the file beside the cells holds."""
        return asdict(self)

    @property
    def notes(self) -> Iterator[str]:
        """What a reader must know."""
        units = "clusters of queries" if self.clusters else "queries"
        yield (
            f"± is the standard deviation over seeds. Differences are in {self.measures[0]}, of seeds' means query by "
            f"query, to {self.compared_with}: paired bootstrap over {units}, Holm-corrected."
        )
        if self.chosen:
            yield (
                f"{self.compared_with} is the best of these on these very queries, so its lead is flattered; name a "
                "baseline in the file, or confirm on other queries."
            )
        for row in self.rows:
            for seed, reason in row.failed.items():
                yield f"{row.cell}, seed {seed}: failed: {reason}"


def tabled(ablation: Ablation, results: Sequence[Mapping[str, Any]]) -> Table:
    """The table of an ablation's results.

    Args:
        ablation: What was planned.
        results: One a cell and seed, as its file holds it.

    Raises:
        InputError: Every cell failed, or the baseline did.
    """
    split = ablation.collection.split(ablation.split)
    per_query = {cell.name: averaged(ablation, cell.name, results) for cell in ablation.cells}
    there = {name: values for name, values in per_query.items() if values is not None}
    if not there:
        raise InputError(f"{ablation.name}: every cell failed; the first: {results[0]['failed']}")
    first = ablation.measures[0]
    best = max(there, key=lambda name: float(there[name][first].mean()))
    compared_with = ablation.baseline or best
    if compared_with not in there:
        raise InputError(f"{ablation.name}: baseline '{compared_with}' failed, so nothing can be compared with it")
    compared = {
        name: paired_bootstrap(values[first], there[compared_with][first], split.clusters)
        for name, values in there.items()
        if name != compared_with
    }
    corrected = dict(zip(compared, holm([one.p_value for one in compared.values()]).tolist(), strict=True))
    rows = []
    for cell in ablation.cells:
        of_cell = [one for one in results if one["cell"] == cell.name]
        whole = [one for one in of_cell if "failed" not in one]
        means = {measure: [mean_of(one, measure) for one in whole] for measure in ablation.measures}
        rows.append(
            Row(
                cell.name,
                tuple(result["seed"] for result in whole),
                {measure: float(np.mean(values)) for measure, values in means.items() if values},
                {
                    measure: float(np.std(values, ddof=min(1, len(values) - 1)))
                    for measure, values in means.items()
                    if values
                },
                compared.get(cell.name),
                corrected.get(cell.name),
                tuple(sorted((result["collapse"]["verdict"] for result in whole), key=worst_first)),
                {result["seed"]: result["failed"] for result in of_cell if "failed" in result},
            )
        )
    title = f"{ablation.name}: {ablation.spec.short_name} on {ablation.collection.title}, {ablation.split}"
    return Table(
        title,
        ablation.spec.name,
        ablation.measures,
        len(split.queries),
        compared_with,
        not ablation.baseline,
        split.clusters is not None,
        tuple(rows),
    )


def averaged(
    ablation: Ablation, cell: str, results: Sequence[Mapping[str, Any]]
) -> dict[str, NDArray[np.float64]] | None:
    """{measure: float64 [Q], mean over seeds}, None where every seed failed."""
    ids = ablation.collection.split(ablation.split).queries.ids
    whole = [one["queries"] for one in results if one["cell"] == cell and "failed" not in one]
    if not whole:
        return None
    return {
        measure: np.mean([[queries[query][measure] or 0.0 for query in ids] for queries in whole], axis=0)
        for measure in ablation.measures
    }


def mean_of(result: Mapping[str, Any], measure: str) -> float:
    """A measure's mean over queries, those without a relevant document counting as 0."""
    return float(np.mean([values[measure] or 0.0 for values in result["queries"].values()]))


def worst_first(verdict: str) -> int:
    """Rank of a collapse reading."""
    words = ("collapsed", "blind", "crowded", "narrow")
    return next((rank for rank, word in enumerate(words) if verdict.startswith(word)), len(words))


def scores_of(row: Row, measures: Sequence[str]) -> list[str]:
    """A row's cells: mean ± deviation of each measure."""
    if not row.seeds:
        return ["failed", *([""] * (len(measures) - 1))]
    several = len(row.seeds) > 1
    return [figure(row.means[name]) + (f" ± {figure(row.spreads[name])}" if several else "") for name in measures]


def comparison_of(row: Row) -> list[str]:
    """A row's difference, its interval, and what it is worth."""
    one = row.compared
    if one is None or row.p_holm is None:
        return ["", ""]
    change = f"{'+' if one.difference >= 0 else ''}{figure(one.difference)} [{figure(one.low)}, {figure(one.high)}]"
    return [change, significance(row.p_holm, RESAMPLES)]


def collapse_of(row: Row) -> str:
    """The worst seed's reading."""
    return row.collapse[0] if row.collapse else ""


def tables(found: Table, console: Console | None = None) -> None:
    """On the terminal: scores, then differences, then readings, each readable at 80 columns."""
    console = console or Console()
    title = f"{found.title}, {found.queries:,} queries"
    rows = [[row.cell, str(len(row.seeds)), *scores_of(row, found.measures)] for row in found.rows]
    console.print(table(title, ["cell", "seeds", *found.measures], rows))
    rows = [[row.cell, *comparison_of(row)] for row in found.rows if row.compared is not None]
    if rows:
        heading = ["cell", f"{found.measures[0]}, 95 % interval", "Holm"]
        console.print(table(f"Against {found.compared_with}", heading, rows))
    for row in found.rows:
        if row.collapse:
            console.print(Text(f"{row.cell}: {collapse_of(row)}"))
    for line in found.notes:
        console.print(Text(line))


def markdown(found: Table) -> str:
    """The same as one Markdown table."""
    heading = ["cell", "seeds", *found.measures, f"against {found.compared_with}", "Holm", "collapse"]
    lines = [f"# {found.title}", "", f"{found.queries:,} queries, spec {found.spec}.", ""]
    lines += [row_of(heading), row_of(["---", *["---:"] * (len(heading) - 2), "---"])]
    for row in found.rows:
        cells = [row.cell, str(len(row.seeds)), *scores_of(row, found.measures), *comparison_of(row), collapse_of(row)]
        lines.append(row_of(cells))
    return "\n".join([*lines, "", *(f"{line}  " for line in found.notes)]) + "\n"


def row_of(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
