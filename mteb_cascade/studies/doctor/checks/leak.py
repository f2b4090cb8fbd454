"""Test queries in training, and a task that the model knows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten

import numpy as np

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.dev_split import TRAIN
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.corpora.twins import Twin, answers_of, twins
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.spec import Spec, shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.training_facts import base_of, collection_of
from mteb_cascade.studies.doctor.finding import Finding
from mteb_cascade.studies.doctor.subject import Subject
from mteb_cascade.training.data.leaks import Leak
from mteb_cascade.training.data.pair_lists import pair_lists
from mteb_cascade.training.data.training_data import load_training
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.options import Training
from mteb_cascade.training.train import RECORDS

CHECK = "test queries in training"

SHOWN = 3
"""Pairs of queries that are named."""

READS_NO_QUERY = ("idf",)
"""Recipes that learn from documents alone."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What a spec's training learns from.

    Args:
        lists: Its queries and their documents, without what training refuses by itself.
        name: What it is called.
        digest: Of the corpus whose ids the documents bear; "" where they are a file's own.
        refused: Queries that training refuses since they repeat one that it knows of.
        guarded: Whether training knows the examined queries, and so refuses what repeats them.
    """

    lists: Lists
    name: str
    digest: str
    refused: tuple[Leak, ...]
    guarded: bool


def check(subject: Subject) -> Iterator[Finding]:
    """The queries of every [training] table behind the model against all queries of the examined split.

    Said once, of the model that was asked about.
    """
    if subject.stage is not subject.whole:
        return
    specs = list(specs_of(subject.whole))
    yield from task_known(subject, specs)
    seen: dict[str, str] = {}
    for spec in specs:
        table = spec.training
        if not table or table.get("epochs") == 0 or table.get("recipe") in READS_NO_QUERY:
            continue
        keys = ("collection", "subset", "data", "split", "held_out")
        source = repr([("recipe" in table), *(table.get(key) for key in keys)])
        if source in seen:
            yield Finding(CHECK, spec.short_name, "ok", f"learned from the same queries as {seen[source]}")
            continue
        seen[source] = spec.short_name
        try:
            learned = learned_from(spec, subject)
        except InputError as error:
            evidence = f"its training queries could not be read, so they were not compared: {in_one_line(error)}"
            yield Finding(CHECK, spec.short_name, "skipped", evidence)
        else:
            yield compared(spec, learned, subject)


def specs_of(stage: Stage) -> Iterator[Spec]:
    """The specs of a model, of all stages in it, and of what these were trained from; each once."""
    seen: set[Path] = set()
    waiting: list[Stage | Spec] = [stage]
    while waiting:
        one = waiting.pop(0)
        if isinstance(one, Stage):
            waiting += [*([one.spec] if one.spec else []), *one.parts]
        elif one.path not in seen:
            seen.add(one.path)
            yield one
            base = base_of(one)
            waiting += [base] if isinstance(base, Spec) else []


def learned_from(spec: Spec, subject: Subject) -> Learned:
    """What training would learn from today.

    Raises:
        InputError: It cannot be read, or would have to be fetched.
    """
    collection, options = subject.collection, dict(spec.training)
    task = options.get("collection", "PythonDocs" if "recipe" in options else None)
    ours = task in ("PythonDocs", "PythonDocsRetrieval") or task is None or Path(str(task)).expanduser().is_dir()
    if not ours and task not in names_of(collection):
        raise InputError(f"{task} is another task of mteb, which would have to be loaded for it")
    examined = collection.split(subject.split).part_of or subject.split
    if "recipe" in options:
        source = load_collection(str(task), TRAIN)
        known = source.corpus.digest == collection.corpus.digest and examined in source.splits
        return Learned(pair_lists(source), source.title, source.corpus.digest, (), known and examined != TRAIN)
    table = Training.of(spec)
    data = load_training(table, shown(spec.path))
    if table.data:
        return Learned(data.lists, data.name, "", data.leaks, guarded=False)
    known = data.corpus.digest == collection.corpus.digest and examined != table.split
    return Learned(data.lists, data.name, data.corpus.digest, data.leaks, known)


def compared(spec: Spec, learned: Learned, subject: Subject) -> Finding:
    """The verdict on one [training] table."""
    collection, name = subject.collection, subject.split
    split = collection.split(name)
    lists = learned.lists
    found = list(twins(lists.queries.texts, answers_in(lists, collection, learned.digest, answers_of(split)), split))
    leaked = {twin.other for twin in found}
    refused = {leak.query_id for leak in learned.refused if leak.split == (split.part_of or name)}
    pairs = [pair(twin, lists, subject) for twin in found[:SHOWN]]
    figures = {
        "queries": len(split.queries),
        "training_queries": len(lists),
        "leaked": len(leaked),
        "refused_by_training": len(refused),
        "pairs": pairs,
    }
    of_training = f"the {len(lists):,} training queries of {learned.name}"
    if not found:
        evidence = f"none of {len(split.queries):,} {name} queries nearly repeats one of {of_training}"
        record = RECORDS / spec.short_name / "leaks.tsv"
        if refused:
            where = f" ({shown(record.absolute())})" if record.is_file() else ""
            evidence += f"; training refuses {len(refused):,} that do{where}"
        return Finding(CHECK, spec.short_name, "ok", evidence, figures=figures)
    shares = f"{len(leaked):,} of {len(split.queries):,} {name} queries stand among {of_training}, or nearly"
    listed = "; ".join(f"'{training}' and query {test} ({same:.0%} of words)" for training, test, same in pairs)
    own = spec.training.get("split", TRAIN) == (split.part_of or name) and learned.digest == collection.corpus.digest
    if own:
        remedy = "examine a split that it was not trained on"
        shares = f"trained on the examined split itself: {shares}"
    elif learned.guarded:
        remedy = f"train again: `mteb-cascade train {spec.short_name}` refuses near-twins; or examine {name}[untwinned]"
    else:
        remedy = "take them out and train again: training refuses repeats only of queries that [training] names"
    return Finding(CHECK, spec.short_name, "fail", f"{shares}: {listed}", remedy, figures)


def pair(twin: Twin, lists: Lists, subject: Subject) -> tuple[str, str, float]:
    """The training query's text, shortened, the examined query's id, and their similarity.

    A file's queries have no ids that its owner would know.
    """
    other = subject.collection.split(subject.split).queries.ids[twin.other]
    return shorten(lists.queries.texts[twin.row], 50, placeholder=" ..."), other, twin.similarity


def answers_in(
    lists: Lists, collection: Collection, digest: str, wanted: list[frozenset[str]]
) -> list[AbstractSet[str]]:
    """Ids, in the collection, of each training query's relevant documents, as far as they are any of `wanted`.

    Ids of another corpus mean nothing here: there, a document is known by its text.
    """
    names = sorted(set().union(*wanted)) if wanted else []
    rows = collection.corpus.rows(names)
    texts = collection.corpus.texts_at(rows[rows >= 0])
    inside = [name for name, row in zip(names, rows, strict=True) if row >= 0]
    by_text: Mapping[str, str] = dict(zip(texts, inside, strict=True))
    cells = lists.real & lists.relevant
    docs, place = np.unique(lists.docs[cells], return_inverse=True)
    if digest == collection.corpus.digest:
        ids: list[str | None] = [*lists.corpus.ids_at(docs)]
    else:
        ids = [by_text.get(text) for text in lists.corpus.texts_at(docs)]
    given = iter(ids[at] for at in place.tolist())
    counts = cells.sum(axis=1).tolist()
    return [frozenset(one for _ in range(count) if (one := next(given)) is not None) for count in counts]


def names_of(collection: Collection) -> set[str]:
    """What the examined task may be called."""
    names = {collection.name, collection.task or collection.name}
    return names | {f"{name}Retrieval" for name in names}


def task_known(subject: Subject, specs: list[Spec]) -> Iterator[Finding]:
    """A note where a card or a [training] table names the task: its figures are not zero-shot."""
    names = {name.casefold() for name in names_of(subject.collection)}
    knowing = []
    for spec in specs:
        stated = spec.card.get("training_datasets")
        listed = [*(stated if isinstance(stated, list) else []), collection_of(spec) if spec.training else None]
        if any(str(name).casefold() in names for name in listed):
            knowing.append(spec.short_name)
    facts = getattr(subject.whole, "facts", {}).get("training_datasets") or ()
    if names & {str(name).casefold() for name in facts}:
        knowing.append(subject.whole.label)
    if knowing:
        evidence = f"{subject.collection.title} is a training data set of {', '.join(dict.fromkeys(knowing))}"
        remedy = "do not call its figures zero-shot, nor compare them with such"
        yield Finding("zero-shot", subject.whole.label, "note", evidence, remedy, {"specs": knowing})
