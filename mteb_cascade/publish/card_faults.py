"""What a reviewer would send back of a model's description: gaps, and a card that weights or training contradict."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from mteb_cascade.publish.publication import Fault
from mteb_cascade.publish.tasks import known_tasks, nearest
from mteb_cascade.spec import Spec, shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.model_meta import facts_of, leaves
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.stages.training_facts import adapted_from, base_of, trained_on
from mteb_cascade.stages.weight_facts import positions_of
from mteb_cascade.stages.weights import is_path, local_folder

if TYPE_CHECKING:
    from mteb.models.model_meta import ModelMeta

PLACEHOLDERS = ("not specified", "multiple")
"""Licences that mteb knows and that license nothing."""

ROUNDING = 0.05
"""How far a size on a card may be from that of the weights: people write 23 million."""

SIZES = ("n_parameters", "n_embedding_parameters", "memory_usage_mb")


def card_faults(spec: Spec, stage: Stage, meta: ModelMeta, mistakes: Mapping[str, str]) -> Iterator[Fault]:
    """Every fault of a card, one after the other.

    Args:
        spec: The model's.
        stage: The model.
        meta: As it would be published.
        mistakes: {key: what mteb refuses about it}; such a key has no other fault.
    """
    where = f"{shown(spec.path)} [card]"
    for key, text in mistakes.items():
        yield Fault(f"{where} {key}", text.rstrip("."), "Mend it")
    every = [*gaps(meta), *dates(meta), *contradictions(spec, stage), *training(spec, stage, meta)]
    for key, what, remedy in every:
        if key not in mistakes:
            yield Fault(f"{where} {key}", what, remedy)


def gaps(meta: ModelMeta) -> Iterator[tuple[str, str, str]]:
    """(key, what, remedy) of what is not said at all."""
    if meta.license is None or meta.license in PLACEHOLDERS:
        what = "missing" if meta.license is None else f"'{meta.license}' licenses nothing"
        yield "license", what, 'Write the licence, such as license = "apache-2.0"'
    if not meta.languages:
        yield "languages", "missing", 'Write languages = ["eng-Latn"], language and script'
    if meta.open_weights is None:
        yield "open_weights", "missing", "Write open_weights = true where anybody can download them, else false"
    if meta.training_datasets is None:
        what = "not stated, and not known from [training]"
        yield "training_datasets", what, 'Write the tasks that it learned from: training_datasets = ["MSMARCO"], or []'


def dates(meta: ModelMeta) -> Iterator[tuple[str, str, str]]:
    """(key, what, remedy) of the release date."""
    said = meta.release_date
    remedy = 'Write the day on which these weights were published: release_date = "2026-01-31"'
    if said is None:
        yield "release_date", "missing", remedy
        return
    try:
        day = date.fromisoformat(said)
    except ValueError:
        yield "release_date", f"'{said}' is no day", remedy
        return
    if day > datetime.now(UTC).date():
        yield "release_date", f"{said} is in the future", remedy


def contradictions(spec: Spec, stage: Stage) -> Iterator[tuple[str, str, str]]:
    """(key, what, remedy) of what the card says and the weights deny."""
    card, facts = spec.card, facts_of(stage)
    remedy = "Leave it out: it is read from the weights"
    for key in SIZES:
        said, is_ = card.get(key), facts.get(key)
        if isinstance(said, int | float) and is_ and abs(said - is_) > ROUNDING * is_:
            yield key, f"{said:,} on the card, {is_:,.10g} in the weights", remedy
    if (width := facts.get("embed_dim")) and "embed_dim" in card:
        said, is_ = (sorted(one) if isinstance(one, list) else [one] for one in (card["embed_dim"], width))
        # A model of several widths may name the full one alone.
        if said not in (is_, is_[-1:]):
            yield "embed_dim", f"{card['embed_dim']} on the card, {width} in the weights", remedy
    limit = longest(stage)
    if isinstance(card.get("max_tokens"), int | float) and card["max_tokens"] > limit:
        yield "max_tokens", f"{card['max_tokens']} on the card, and it reads {limit:g}", remedy
    similarity = facts.get("similarity_fn_name")
    if similarity and card.get("similarity_fn_name", similarity) != similarity:
        yield "similarity_fn_name", f"'{card['similarity_fn_name']}' on the card, {similarity} in the weights", remedy


def longest(stage: Stage) -> float:
    """Tokens that a model can read: of its position table, the fewest among its stages; infinite where it has none."""
    limits: list[float] = [math.inf]
    for part in leaves(stage):
        folder = local_folder(part.model, part.revision) if isinstance(part, ModelStage) else None
        limits.append((positions_of(folder) if folder and folder.is_dir() else None) or math.inf)
    return min(limits)


def training(spec: Spec, stage: Stage, meta: ModelMeta) -> Iterator[tuple[str, str, str]]:
    """(key, what, remedy) of what it learned from and what it was made of."""
    said = meta.training_datasets or set()
    learned: dict[str, str] = {}
    for part in [stage, *leaves(stage)]:
        if part.spec and (known := trained_on(part.spec, by_card=part is not stage)):
            learned |= {name: part.label for name in known if name not in learned}
    for name in sorted(learned.keys() - said) if meta.training_datasets is not None else ():
        what = f"'{name}' is not among them, and {learned[name]} was trained on it"
        yield "training_datasets", what, f'Add "{name}": its results there are not zero-shot'
    known_names = known_tasks()
    for name in sorted(said - learned.keys() - known_names):
        yield "training_datasets", f"mteb knows no '{name}'", suggested(name, known_names)
    base = base_of(spec)
    derived, written = adapted_from(spec), spec.card.get("adapted_from")
    if isinstance(base, str) and is_path(base) and not written:
        what = "missing, and [training] base is a folder that nobody else has"
        yield "adapted_from", what, 'Write whose model it is: adapted_from = "organisation/name"'
    elif derived and written is not None and written != derived:
        what = f"{written!r} on the card, {derived} by [training] base"
        yield "adapted_from", what, "Leave it out: it is read from [training]"


def suggested(name: str, known: Any) -> str:
    """What may have been meant."""
    close = nearest(name, known)
    rest = "leave out what mteb has no task of: public_training_data can name it"
    return f"Did you mean {' or '.join(close)}? If not, {rest}" if close else rest.capitalize()
