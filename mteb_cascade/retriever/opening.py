"""An index and a model brought together: whether they fit, and what is said where they do not."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from mteb_cascade.errors import InputError, printable, sentence
from mteb_cascade.retriever.budget import FACT, depths_within
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import Stage, identity_of
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.store.index.manifest import Part

if TYPE_CHECKING:
    from mteb_cascade.store.index.index import Index
    from mteb_cascade.store.index.manifest import Manifest

VALUE = 60
"""Characters that a message gives of an option."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """What a search needs, none of which changes: one state of an index, and the model bound to it.

    Args:
        index: One generation of it.
        stage: A copy of the model that reads its document side from there.
        depths: Candidates that each step scores, at most; () of a model without steps.
        capped: Whether the budget made the last of them smaller.
    """

    index: Index
    stage: Stage
    depths: tuple[int, ...]
    capped: bool

    @property
    def stages(self) -> list[Stage]:
        """Those whose runs a search goes through: a cascade's own, else the stage itself."""
        return list(self.stage) if isinstance(self.stage, Cascade) else [self.stage]


def bound(stage: Stage, index: Index) -> Snapshot:
    """A loaded model over an index that was made for it.

    Raises:
        InputError: The index holds nothing of use for a part of the model: another one made it, or it has changed.
    """
    refuse_unfit(stage, index)
    over = stage.over(index)
    depths = depths_within(over, index.manifest.facts.get(FACT))
    return Snapshot(index, over, depths, isinstance(over, Cascade) and depths != tuple(over.depths))


def refuse_unfit(stage: Stage, index: Index) -> None:
    """Raise InputError where the index holds another document side than the model needs; all parts are named together.

    What has no document side, such as a reranker or a depth, may change: that is a warning.
    """
    manifest = index.manifest
    held = {part.fingerprint for part in manifest.parts}
    kept = {part.kept_as for part in manifest.parts}
    faults = [
        f"{keeper.label}: {'; '.join(differences(keeper, manifest.parts))}"
        for keeper in stage.keepers()
        if keeper.kept_as not in kept
    ]
    if faults:
        raise InputError(
            f"{shown(index.folder)}: this index was not made for {stage.label} as it is here. "
            f"{'. '.join(faults)}. {remedy(stage, index)}"
        )
    if is_called(stage, manifest) and stage.fingerprint != manifest.fingerprint:
        changed = [part.label for part in stage.walk() if not part.parts and part.fingerprint not in held]
        warnings.warn(
            f"{shown(index.folder)}: {stage.label} has changed since the index was made "
            f"({', '.join(dict.fromkeys(changed)) or 'weights, depths, blends or what steps keep'}); what the index "
            "holds still fits, and searches use the model as it is now",
            stacklevel=2,
        )


def model_of(stage: Stage) -> str:
    """What an index says a stage is loaded by: the short name of its spec, its folder or hub id, or its label."""
    if stage.spec is None and isinstance(stage, ModelStage) and stage.model:
        return stage.model
    return stage.label


def parts_of(stage: Stage) -> list[Part]:
    """The stage and all that it is made of, as a manifest says it."""
    return [Part(one.label, one.fingerprint, one.kept_as, one.described()) for one in stage.walk()]


@contextmanager
def loading_its_model(index: Path) -> Iterator[None]:
    """Say whose model it is that cannot be loaded inside, and what to do.

    Raises:
        InputError: It cannot.
    """
    try:
        yield
    except InputError as error:
        raise InputError(
            f"{shown(index)}: the model that it was made from cannot be loaded here: {sentence(error)} Name a model "
            "with --model (in Python model=...), or set MTEB_CASCADE_MODELS"
        ) from None


def is_called(stage: Stage, manifest: Manifest) -> bool:
    """Whether an index says that it was made from this model, as it is now or as it was."""
    return manifest.model == model_of(stage)


def differences(stage: Stage, parts: Sequence[Part]) -> list[str]:
    """Where a stage differs from the part of an index that was made for it, in words.

    >>> from mteb_cascade.stages.bm25 import BM25
    >>> differences(BM25(k1=0.9), ())
    ['the index holds nothing of kind bm25; it was made for none']
    """
    described = as_json(stage.described())
    alike = [part for part in parts if part.described.get("kind") == stage.kind]
    called = [part for part in alike if part.label == stage.label] or alike
    if not called:
        names = ", ".join(dict.fromkeys(printable(part.label) for part in parts)) or "none"
        return [f"the index holds nothing of kind {stage.kind}; it was made for {names}"]
    there = min((list(options(part.described, described)) for part in called), key=len)
    return there or ["files differ (weights, tokenizer or configuration): it was trained or fetched again since"]


def options(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """Options that differ, in words; of tables in a list, such as steps, those of each."""
    for name in {**there, **here}:
        left, right = there.get(name), here.get(name)
        if left == right:
            continue
        if is_tables(left) and is_tables(right) and len(left) == len(right):
            for number, (one, other) in enumerate(zip(left, right, strict=True), 1):
                yield from (f"{printable(name)} {number}: {told}" for told in options(one, other))
        else:
            yield f"{printable(name)}: the index has {value(left)}, here {value(right)}"


def is_tables(option: Any) -> TypeGuard[list[Mapping[str, Any]]]:
    """Whether an option's value is a list of tables."""
    return isinstance(option, list) and all(isinstance(one, Mapping) for one in option)


def value(option: Any) -> str:
    """An option's value on part of a line."""
    text = printable(json.dumps(option, ensure_ascii=False))
    return text if len(text) <= VALUE else text[: VALUE - 1] + "…"


def as_json(described: Mapping[str, Any]) -> dict[str, Any]:
    """Options as JSON reads them back: tuples as lists."""
    read: dict[str, Any] = json.loads(json.dumps(described, default=identity_of))
    return read


def remedy(stage: Stage, index: Index) -> str:
    """What to do about an index that does not fit."""
    source = printable(index.manifest.facts.get("source") or "unknown")
    command = f"Index again with `mteb-cascade index {model_of(stage)} CORPUS -o"
    if is_called(stage, index.manifest):
        return f"{command} {shown(index.folder)}` (CORPUS was {source})"
    return f"{command} ANOTHER` (CORPUS was {source}), or search it with --model {printable(index.manifest.model)}"


def folder_of(stage: Stage) -> Path:
    """Where the index of a model lies unless its user says otherwise."""
    return Path("indexes") / stage.label.rpartition("/")[2]
