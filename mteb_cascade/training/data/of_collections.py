"""Training data from a collection: PythonDocs, a BEIR folder, or a task of mteb with a train split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.corpora.dev_split import DEV, TRAIN, cut
from mteb_cascade.corpora.load import load
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.training.data.listed import listed
from mteb_cascade.training.data.source import Source
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.options import Training


def from_collection(options: Training) -> Source:
    """Queries of the split with their relevant documents, and what is held out.

    The same queries are held out whatever the seed: a teacher, a judge or a first stage trained with another one has
    not seen them either.

    Raises:
        InputError: There is no such collection or split, or it has too few queries for so many held out.
    """
    collection = load(str(options.collection), options.split, subset=options.subset, allow_empty=True)
    others, notes = other_splits(collection, options.split)
    dev, kept = DEV, options.split
    if options.held_out:
        collection, kept, dev = cut(collection, options.split, options.held_out)
        others[dev] = collection.split(dev)
    if collection.name == "PythonDocs":
        lists = of_pythondocs(collection, kept, others)
    else:
        lists = of_qrels(collection.corpus, collection.split(kept))
    return Source(
        lists=lists,
        corpus=collection.corpus,
        held_out=others.get(dev),
        held_out_name=dev,
        others=others,
        name=collection.title,
        notes=notes,
    )


def other_splits(collection: Collection, split: str) -> tuple[dict[str, Split], list[str]]:
    """The splits that must not be learned from; with a note on each that a task of mteb promises and cannot give."""
    others = {name: part for name, part in collection.splits.items() if name != split}
    if collection.task_metadata is None:
        return others, []
    from mteb_cascade.corpora import mteb_task

    notes = []
    for name in dict.fromkeys([DEV, *collection.task_metadata.eval_splits, "test"]):
        if name != split:
            try:
                others[name] = mteb_task.load_split(collection.name, name, subset=collection.subset)
            except (ValueError, KeyError) as error:
                notes.append(f"no training query was compared with split '{name}': {in_one_line(error)}")
    return others, notes


def of_qrels(corpus: Corpus, split: Split) -> Lists:
    """Each query with its relevant documents that the corpus has; some may be left with none."""
    level = split.qrels.relevance_level
    judged = [
        (row, document, grade)
        for row, query in enumerate(split.queries.ids)
        for document, grade in split.qrels.of(query).items()
        if grade >= level
    ]
    docs = corpus.rows([document for _, document, _ in judged])
    inside = docs >= 0
    asked, grades = (np.array([one[place] for one in judged], np.int64)[inside] for place in (0, 2))
    return listed(split.queries, corpus, asked, docs[inside], grades.astype(np.float32), np.ones(len(asked), bool))


def of_pythondocs(collection: Collection, kept: str, others: dict[str, Split]) -> Lists:
    """Its queries, names and sentences, without what the other splits say.

    Raises:
        InputError: Another split than "train" is to be learned from.
    """
    from mteb_cascade.training.data.pair_lists import pair_lists

    if TRAIN in others:
        raise InputError(f"{collection.title}: only split '{TRAIN}' can be learned from, got '{kept}'")
    return pair_lists(replace(collection, splits={TRAIN: collection.split(kept), **others}))
