"""From a name, a folder or a hub id to a stage."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from mteb_cascade import spec as specs
from mteb_cascade.corpora.run_files import RUN_ENDINGS, prediction_files
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.spec import NAME, Spec, SpecError
from mteb_cascade.stages.base import Stage, required_fields
from mteb_cascade.stages.funnel_step import steps_of
from mteb_cascade.stages.unfetched import Unfetched
from mteb_cascade.stages.weights import fetched_folder, is_path, kind_of, local_folder

KINDS: dict[str, str | type[Stage]] = {
    "bm25": "mteb_cascade.stages.bm25:BM25",
    "tfidf": "mteb_cascade.stages.tfidf:TFIDF",
    "lucene": "mteb_cascade.stages.lucene:Lucene",
    "bi-encoder": "mteb_cascade.stages.bi_encoder:BiEncoder",
    "cross-encoder": "mteb_cascade.stages.cross_encoder:CrossEncoder",
    "late-interaction": "mteb_cascade.stages.late_interaction:LateInteraction",
    "sparse": "mteb_cascade.stages.sparse:Sparse",
    "mteb": "mteb_cascade.stages.mteb:Mteb",
    "run": "mteb_cascade.stages.run_file:RunFile",
    "hybrid": "mteb_cascade.stages.hybrid:Hybrid",
    "funnel": "mteb_cascade.stages.funnel:Funnel",
    "cascade": "mteb_cascade.stages.cascade:Cascade",
}

PARTS: dict[str, tuple[str, dict[str, type]]] = {
    "hybrid": ("member", {"weight": float}),
    "cascade": ("stage", {"depth": int, "blend": float}),
}
"""Kinds made of other models: the name of their table, and its keys beside `model`."""

TABLES = {**{kind: (table,) for kind, (table, _) in PARTS.items()}, "funnel": ("model", "step")}
"""Keys of a spec that say what a model is made of."""

BASE = ("name", "device", "spec", "trust_remote_code")
"""Parameters of a stage that a spec does not set."""


def register_kind(kind: str, stage: type[Stage]) -> None:
    """Make a stage class of one's own available as `kind` in specs.

    Raises:
        InputError: The kind exists already, with another class.
    """
    if KINDS.get(kind, stage) is not stage:
        raise InputError(f"kind '{kind}' exists already; choose another name")
    KINDS[kind] = stage


def load(model: str | Path | Stage, *, device: str | None = None) -> Stage:
    """A stage from what a person would write.

    Args:
        model: A stage (returned as it is); a name from a spec, short or as org/name; a model folder as a Path, an
            absolute path, or one that starts with ./ or ~; a run file, or a folder of mteb's predictions; or a hub id.
        device: Torch device of stages that have one; of several, separated by commas, each gets a worker process.

    Raises:
        InputError: Nothing is found under it, or its spec has mistakes; all of a file's are named together.
    """
    return resolved(model, device=device, fetch=True, above=())


def resolved(model: str | Path | Stage, *, device: str | None, fetch: bool, above: tuple[str, ...]) -> Stage:
    """As `load`; `above` are the specs that asked for this one, `fetch` allows to ask the hub what a hub id is."""
    if isinstance(model, Stage):
        return model
    if isinstance(model, Path):
        model = str(model.expanduser().absolute())
    runs = run_path(model)
    if not is_path(model):
        spec = None if runs and not NAME.fullmatch(model) else specs.find(model)
        if spec is not None:
            return build(spec, device=device, fetch=fetch, above=above)
        if Path(model).is_dir():
            model = str(Path(model).absolute())
        elif "/" not in model and not runs:
            raise InputError(f"unknown model '{model}'. {suggestion(model, specs.catalogue()[0], 'Known here')}")
    if runs:
        return run_of(runs)
    folder = fetched_folder(model, None, None, model) if fetch else local_folder(model)
    if folder is None:
        return Unfetched(name=model, model=model)
    kind = kind_of(folder)
    if kind is None or kind not in KINDS:
        raise InputError(
            f"'{model}' is no model that can be used here"
            + (f": it is of kind {kind}" if kind else ": expected a folder with config.json or modules.json")
        )
    name = Path(model).name if is_path(model) else model
    options: dict[str, Any] = {"name": name if "/" in name else f"local/{name}", "device": device, "model": model}
    return stage_class(kind)(**options)


def run_path(model: str) -> Path | None:
    """The run file, or the folder of mteb's predictions, that a text names; None where it names a model.

    A text that ends as run files do names one even where there is none.
    """
    path = Path(model).expanduser()
    is_run = path.suffix in RUN_ENDINGS or (path.is_file() and path.suffix != ".toml") or prediction_files(path)
    return path.absolute() if is_run else None


def run_of(path: Path) -> Stage:
    """A run file as a stage, which is named after it.

    Raises:
        InputError: There is none.
    """
    options: dict[str, Any] = {"name": f"local/{path.stem}", "file": str(path)}
    stage = stage_class("run")(**options)
    stage.prepare()
    return stage


def stage_class(kind: str) -> type[Stage]:
    """The class of a kind, imported now."""
    found = KINDS[kind]
    if isinstance(found, str):
        module, name = found.split(":")
        stage: type[Stage] = getattr(importlib.import_module(module), name)
        return stage
    return found


def build(spec: Spec, *, device: str | None = None, fetch: bool = True, above: tuple[str, ...] = ()) -> Stage:
    """The stage that a spec describes.

    Raises:
        SpecError: With every mistake of the file.
    """
    if spec.kind not in KINDS:
        raise SpecError(spec.path, [f"kind: unknown kind '{spec.kind}'. {suggestion(spec.kind, KINDS)}"])
    if str(spec.path) in above:
        circle = " -> ".join([*(Path(path).stem for path in above[above.index(str(spec.path)) :]), spec.short_name])
        raise SpecError(spec.path, [f"a model cannot be a stage of itself: {circle}"])
    stage = stage_class(spec.kind)
    options = dict(spec.options)
    parts: list[Any] = []
    mistakes: list[str] = []
    inside = (*above, str(spec.path))
    if spec.kind in PARTS:
        table, keys = PARTS[spec.kind]
        parts, mistakes = built_parts(
            spec, table, options.pop(table, []), keys, device=device, fetch=fetch, above=inside
        )
    elif spec.kind == "funnel":
        parts, mistakes = funnel_parts(options.pop("model", None), options.pop("step", []), device, fetch, inside)
    values, wrong = checked_options(stage, options)
    mistakes += wrong
    if not mistakes:
        if "model" in accepted(stage) and not values.get("model"):
            values["model"] = str(spec.weights)
        try:
            return stage(*parts, name=spec.name, device=device, spec=spec, **values)
        except InputError as error:
            mistakes.append(str(error))
    raise SpecError(spec.path, mistakes)


def built_parts(
    spec: Spec,
    table: str,
    entries: Any,
    keys: Mapping[str, type],
    *,
    device: str | None,
    fetch: bool,
    above: tuple[str, ...],
) -> tuple[list[Any], list[str]]:
    """The members of a hybrid or the stages of a cascade, and the mistakes in their tables."""
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        return [], [f'{table}: expected one or more [[{table}]] tables, each with model = "..."']
    parts: list[Any] = []
    mistakes = []
    shallowest = None
    for number, entry in enumerate(entries, 1):
        first = spec.kind == "cascade" and number == 1
        allowed = {"model": str, **({} if first else keys)}
        wrong = [
            f"unknown key '{key}'. {suggestion(key, allowed)}" if key not in allowed else problem(allowed[key], value)
            for key, value in entry.items()
        ]
        wrong = [f"{key}: {text}" if key in allowed else text for key, text in zip(entry, wrong, strict=True) if text]
        if "model" not in entry:
            wrong.append("model: missing; name a model")
        if spec.kind == "cascade" and not first:
            depth = entry.get("depth")
            if depth is None:
                wrong.append("depth: missing; say how many candidates this stage scores")
            elif type(depth) is int and depth < 1:
                wrong.append(f"depth: expected at least 1, got {depth}; leave the stage out to skip it")
            elif type(depth) is int and shallowest is not None and depth > shallowest:
                wrong.append(f"depth: expected at most the {shallowest} of the stage before, got {depth}")
            elif type(depth) is int:
                shallowest = depth
        if not wrong:
            try:
                member = resolved(entry["model"], device=device, fetch=fetch, above=above)
                parts.append(member if first else part_of(spec.kind, member, entry))
            except SpecError as error:
                mistakes += [f"{table} {number}: {text}" for text in str(error).splitlines()]
            except InputError as error:
                wrong.append(str(error))
        mistakes += [f"{table} {number}: {text}" for text in wrong]
    return parts, mistakes


def funnel_parts(
    model: Any, tables: Any, device: str | None, fetch: bool, above: tuple[str, ...]
) -> tuple[list[Any], list[str]]:
    """The bi-encoder and the steps of a funnel, and the mistakes in them."""
    steps, mistakes = steps_of(tables)
    if not isinstance(model, str):
        return [], ["model: expected the name of a bi-encoder", *mistakes]
    try:
        return [resolved(model, device=device, fetch=fetch, above=above), *steps], mistakes
    except SpecError as error:
        return [], [*(f"model: {text}" for text in str(error).splitlines()), *mistakes]
    except InputError as error:
        return [], [f"model: {error}", *mistakes]


def part_of(kind: str, stage: Stage, entry: Mapping[str, Any]) -> Any:
    """A hybrid's member or a cascade's step."""
    if kind == "hybrid":
        from mteb_cascade.stages.hybrid import Member

        return Member(stage, float(entry.get("weight", 1.0)))
    from mteb_cascade.stages.cascade import Step

    return Step(stage, entry["depth"], float(entry.get("blend", 0.0)))


def accepted(stage: type[Stage]) -> dict[str, Any]:
    """{option: type} that a kind's specs may set: fields of its class, or keyword parameters of its own `__init__`."""
    hints = get_type_hints(stage)
    found = {f.name: hints[f.name] for f in fields(stage) if f.init}
    if "__dataclass_fields__" not in vars(stage) and "__init__" in vars(stage):
        hints = get_type_hints(stage.__init__)
        keywords = [p.name for p in inspect.signature(stage.__init__).parameters.values() if p.kind is p.KEYWORD_ONLY]
        found |= {name: hints[name] for name in keywords}
    return {name: hint for name, hint in found.items() if name not in BASE}


def checked_options(stage: type[Stage], options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The options with their types checked, and the mistakes."""
    known = accepted(stage)
    mistakes = []
    for key, value in options.items():
        if key not in known:
            own = [*known, *TABLES.get(stage.kind, ())]
            mistakes.append(f"unknown key '{key}' of kind '{stage.kind}'. {suggestion(key, own)}")
        elif text := problem(known[key], value):
            mistakes.append(f"{key}: {text}")
    missing = [name for name in required_fields(stage) if name not in options]
    mistakes += [f"{name}: missing; kind '{stage.kind}' needs it" for name in missing]
    return dict(options), mistakes


def problem(expected: Any, value: Any) -> str:
    """What is wrong with a value of a key; '' where nothing is."""
    try:
        TypeAdapter(expected).validate_python(value, strict=True)
    except ValidationError as error:
        reasons = dict.fromkeys(str(one["msg"]).removeprefix("Input should be ") for one in error.errors())
        return f"expected {' or '.join(reasons)}, got {value!r}"
    return ""
