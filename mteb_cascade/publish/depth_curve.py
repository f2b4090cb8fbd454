"""What sweeps on this disk say of a published model: its figures at each depth, and what it does to rank 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mteb_cascade.markdown import escaped, table
from mteb_cascade.publish.publication import Publication
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.weights import read_json

DEPTHS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
"""Depths that are shown, those of them that were swept."""

MEASURES = ("success@1", "ndcg@10")
"""What is shown at each, where it was measured."""


@dataclass(frozen=True)
class Curve:
    """One sweep whose last step is the model, or the model's.

    Args:
        sweep: The content of its JSON.
        depth: The model's own depth; the deepest that was swept where it has none.
    """

    sweep: Mapping[str, Any]
    depth: int

    @property
    def line(self) -> str:
        """The one that a reader would get: blended where there is a blend."""
        return "blended" if "blended" in self.sweep["outcomes"] else "alone"

    def at(self, values: Sequence[Any], depth: int) -> Any:
        """A figure at this depth."""
        return values[list(self.sweep["depths"]).index(depth)]

    def count(self, name: str, depth: int) -> int:
        """Queries of one of the five classes."""
        return int(self.at(self.sweep["outcomes"][self.line][name], depth))

    def judged(self, depth: int) -> float:
        """Share of queries whose first document is judged."""
        return float(self.at(self.sweep["judged"][self.line]["judged@1"], depth))


def curves(publication: Publication) -> list[Curve]:
    """The sweeps of this model, as it is now, that lie beside its results or in results/sweeps."""
    stage = publication.stage
    roots = [root for found in publication.results for root in found.path.absolute().parents[2:4]]
    folders = dict.fromkeys([Path("results/sweeps").absolute(), *(root / "sweeps" for root in roots)])
    found = []
    for path in sorted(path for folder in folders for path in folder.glob("*.json")):
        sweep = read_json(path)
        if is_sweep(sweep) and is_of(sweep, stage):
            depths = sweep["depths"]
            own = stage.depths[-1] if isinstance(stage, Cascade) else depths[-1]
            found.append(Curve(sweep, own if own in depths else depths[-1]))
    return found


def is_sweep(content: Any) -> bool:
    """Whether a JSON is a sweep's, and whole."""
    wanted = {"steps", "depths", "outcomes", "judged", "curves", "fingerprint"}
    return isinstance(content, dict) and content.get("kind") == "sweep" and wanted <= set(content)


def is_of(sweep: Mapping[str, Any], stage: Stage) -> bool:
    """Whether a sweep's last step is this stage, or the sweep one of this cascade with its blend."""
    if not isinstance(stage, Cascade):
        return bool(sweep["steps"][-1].get("fingerprint") == stage.fingerprint)
    # As a sweep has it: but for depth and blend of the last step.
    swept = stage.at(*stage.depths[:-1], 0, blends=[*stage.blends[:-1], 0.0])
    return bool(sweep["fingerprint"] == swept.fingerprint and (sweep.get("blend") or 0.0) == stage.blends[-1])


def shown(curve: Curve) -> Iterator[str]:
    """One row a depth, the first stage alone before them."""
    sweep = curve.sweep
    measures = [name for name in MEASURES if name in sweep["curves"]] or list(sweep["curves"])[:1]
    lines = [line for line in ("alone", "blended") if line in sweep["outcomes"]]
    blend = f", b = {sweep['blend']:g}" if "blended" in lines else ""
    yield f"{escaped(sweep['title'])}: {sweep['queries']:,} queries, {escaped(sweep['pipeline'])}{blend}."
    yield ""
    heads = ["depth", *(f"{name} {line}" for name in measures for line in lines), "recovered", "broken"]
    first = [sweep["curves"][name]["first stage"] for name in measures for _ in lines]
    rows: list[list[Any]] = [["first stage", *(f"{value:.4f}" for value in first), "", ""]]
    depths = dict.fromkeys([one for one in sweep["depths"] if one in DEPTHS] + [curve.depth, sweep["depths"][-1]])
    for depth in sorted(depths):
        values = [curve.at(sweep["curves"][name][line], depth) for name in measures for line in lines]
        counts = [curve.count(name, depth) for name in ("recovered", "broken")]
        rows.append([f"{depth:,}", *(f"{value:.4f}" for value in values), *counts])
    yield from table(heads, rows)
    yield ""
    yield f"Queries that were recovered and broken: {'blended' if 'blended' in lines else 'alone'}, by success@1."


def hurts(curve: Curve) -> str:
    """What it takes from rank 1 and for which documents, and how much of what is first is judged at all."""
    broken, recovered = curve.count("broken", curve.depth), curve.count("recovered", curve.depth)
    kinds = curve.sweep.get("broken_to", {}).get(curve.line, {})
    counts = {kind: int(curve.at(values, curve.depth)) for kind, values in kinds.items()}
    told = ", ".join(f"{count:,} {kind}" for kind, count in counts.items() if count)
    return (
        f"At depth {curve.depth:,} on {escaped(curve.sweep['title'])} it puts another document above a right first one "
        f"for {broken:,} of {curve.sweep['queries']:,} queries{f' ({told})' if told else ''}, and a right one above "
        f"another for {recovered:,}; "
        f"{curve.judged(curve.depth):.0%} of the first documents are judged."
    )
