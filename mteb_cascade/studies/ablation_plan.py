"""What an ablation varies, read from one TOML file, and every mistake in it before anything is trained."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.spec import Spec, SpecError
from mteb_cascade.stages.load import load, problem
from mteb_cascade.training.prepared import checked as by_trainer
from mteb_cascade.training.train import checked as by_recipe
from mteb_cascade.training.train import trainable
from mteb_cascade.values.measures import Measure

KEYS: dict[str, Any] = {
    "spec": str,
    "task": str,
    "split": str,
    "measures": list[str],
    "depth": int,
    "first": str,
    "seeds": list[int],
    "baseline": str,
    "grid": dict[str, list[Any]],
    "variant": list[dict[str, Any]],
}
RERANKER = "cross-encoder"


@dataclass(frozen=True)
class Cell:
    """One way to train the model.

    Args:
        name: What tables call it, also the name of its folder.
        overrides: {dotted key of the [training] table: value}.
    """

    name: str
    overrides: Mapping[str, Any]


@dataclass(frozen=True)
class Ablation:
    """A model that is trained in several ways, and what tells them apart.

    Args:
        path: The TOML file.
        spec: The model that is varied.
        collection: What every cell is evaluated on.
        split: The split that is reported.
        measures: What is told; the first one is tested.
        depth: Documents that encoders retrieve, or candidates that rerankers score.
        first: Name of the stage whose candidates a reranker scores; "" for other kinds.
        seeds: One training each.
        baseline: Name of the cell that the others are compared with; "" takes the best one.
        cells: The ways, in the file's order.
    """

    path: Path
    spec: Spec
    collection: Collection
    split: str
    measures: tuple[str, ...]
    depth: int
    first: str
    seeds: tuple[int, ...]
    baseline: str
    cells: tuple[Cell, ...]

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    @property
    def runs(self) -> list[tuple[Cell, int]]:
        """Every cell with every seed."""
        return [(cell, seed) for cell in self.cells for seed in self.seeds]


def read(path: Path) -> Ablation:
    """Read and check an ablation; its collection is loaded, nothing is trained.

    Raises:
        InputError: With every mistake of the file, a line each.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SpecError(path, [f"is not valid TOML: {error}"]) from None
    except OSError as error:
        raise SpecError(
            path, [f"cannot be read: {error.strerror}; expected a TOML file with spec, task and [grid]"]
        ) from None
    mistakes = [
        f"unknown key '{key}'. {suggestion(key, KEYS)}" if key not in KEYS else f"{key}: {text}"
        for key, value in given.items()
        if (text := problem(KEYS[key], value) if key in KEYS else "unknown")
    ]
    mistakes += [f"{key}: missing" for key in ("spec", "task") if key not in given]
    if mistakes:
        raise SpecError(path, mistakes)
    seeds, measures = given.get("seeds", [0]), given.get("measures", ["success@1", "recall@10", "ndcg@10"])
    depth = given.get("depth", 100)
    mistakes += [
        f"{key}: expected one or more" for key, value in (("seeds", seeds), ("measures", measures)) if not value
    ]
    mistakes += [
        f"{key}: {value!r} stands twice"
        for key, values in (("seeds", seeds), ("measures", measures))
        for value in twice(values)
    ]
    mistakes += [f"depth: expected at least 1, got {depth}"] if depth < 1 else []
    for measure in measures:
        mistakes += noted(lambda name=measure: Measure.parse(name), "measures")[1]
    spec, wrong = noted(lambda: trainable(given["spec"]), "spec")
    mistakes += wrong
    collection, wrong = noted(lambda: load_collection(given["task"], given.get("split")), "task")
    mistakes += wrong
    cells, wrong = cells_of(given)
    mistakes += wrong
    names = [cell.name for cell in cells]
    if given.get("baseline", "") and given["baseline"] not in names:
        mistakes.append(f"baseline: no cell is called '{given['baseline']}'. {suggestion(given['baseline'], names)}")
    if spec is not None:
        mistakes += first_stage_mistakes(spec, given.get("first", ""))
        mistakes += dict.fromkeys(text for cell in cells for text in cell_mistakes(spec, cell))
    if mistakes or spec is None or collection is None:
        raise SpecError(path, mistakes)
    return Ablation(
        path,
        spec,
        collection,
        given.get("split") or collection.default_split,
        tuple(measures),
        depth,
        given.get("first", ""),
        tuple(seeds),
        given.get("baseline", ""),
        tuple(cells),
    )


def noted(ask: Any, key: str) -> tuple[Any, list[str]]:
    """What `ask` gives, or the mistakes that it raises, under the key that asked."""
    try:
        return ask(), []
    except InputError as error:
        return None, [f"{key}: {line}" for line in str(error).splitlines()]


def twice(values: list[Any]) -> list[Any]:
    """Values that stand more than once, each told once."""
    return [
        value for number, value in enumerate(values) if value in values[:number] and value not in values[number + 1 :]
    ]


def first_stage_mistakes(spec: Spec, first: str) -> list[str]:
    """What is wrong with `first` of a model of this kind."""
    if spec.kind != RERANKER:
        return [f"first: '{spec.short_name}' is a {spec.kind} and retrieves by itself; leave it out"] if first else []
    if not first:
        return [f"first: missing; '{spec.short_name}' is a reranker, name the stage whose candidates it ranks"]
    return noted(lambda: load(first), "first")[1]


def cells_of(given: Mapping[str, Any]) -> tuple[list[Cell], list[str]]:
    """The cells of [grid], every combination, then those of [[variant]]; and the mistakes in both."""
    grid, variants = given.get("grid", {}), given.get("variant", [])
    mistakes = [f"[grid] {key}: expected one or more values" for key, values in grid.items() if not values]
    mistakes += [f"[grid] {key}: {value!r} stands twice" for key, values in grid.items() for value in twice(values)]
    if not grid and not variants:
        mistakes.append(
            'nothing varies: expected a table [grid] such as loss = ["contrastive", "triplet"], or [[variant]]'
        )
    cells = []
    if grid:
        for values in itertools.product(*grid.values()):
            overrides = dict(zip(grid, values, strict=True))
            cells.append(Cell(cell_name(overrides), overrides))
    for number, variant in enumerate(variants, 1):
        mistakes += [
            f"[[variant]] {number}: unknown key '{key}'. {suggestion(key, ('name', 'set'))}"
            for key in variant
            if key not in ("name", "set")
        ]
        overrides, name = variant.get("set"), variant.get("name")
        if type(overrides) is not dict or (name is not None and type(name) is not str):
            mistakes.append(f'[[variant]] {number}: expected name = "..." and set = {{ loss = "...", ... }}')
        else:
            flat = flattened(overrides)
            cells.append(Cell(slug(name or cell_name(flat)), flat))
    mistakes += [
        f"two cells are called '{name}'; give a [[variant]] another name" for name in twice([c.name for c in cells])
    ]
    return cells, mistakes


def flattened(table: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """A table with dotted keys for what stands in its tables; `loss_options` is a value.

    >>> flattened({"loss": "kl", "mining": {"skip": 10}, "loss_options": {"scale": 2}})
    {'loss': 'kl', 'mining.skip': 10, 'loss_options': {'scale': 2}}
    """
    found: dict[str, Any] = {}
    for key, value in table.items():
        if type(value) is dict and key != "loss_options":
            found |= flattened(value, f"{above}{key}.")
        else:
            found[above + key] = value
    return found


def cell_name(overrides: Mapping[str, Any]) -> str:
    """What a combination is called: the value alone where one key varies.

    >>> cell_name({"loss": "kl"}), cell_name({"loss": "kl", "mining.skip": 10}), cell_name({})
    ('kl', 'loss=kl,mining.skip=10', 'as-it-is')
    """
    if len(overrides) == 1:
        return slug(str(*overrides.values()))
    return slug(",".join(f"{key}={value}" for key, value in overrides.items())) or "as-it-is"


def slug(text: str) -> str:
    """A name that is a folder's on every disk.

    >>> slug("google-bert/bert base")
    'google-bert-bert-base'
    """
    return re.sub(r"[^\w.,=+-]+", "-", text).strip("-.")


def cell_mistakes(spec: Spec, cell: Cell) -> list[str]:
    """What is wrong with the [training] table that a cell makes of the spec's."""
    if "seed" in cell.overrides:
        return ["seed: a cell has no seed of its own; write seeds = [0, 1, 2] above the tables"]
    try:
        varied = trainable(spec.short_name, overrides=cell.overrides)
        (by_recipe if "recipe" in varied.training else by_trainer)(varied)
    except SpecError as error:
        return [f"cell '{cell.name}': {text}" for text in error.mistakes]
    return []
