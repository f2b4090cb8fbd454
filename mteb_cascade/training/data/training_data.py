"""Training data: what a model learns from, and the held-out queries that choose its checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import xxhash

from mteb_cascade.corpora.collection import Split
from mteb_cascade.corpora.corpus import Corpus, digest_of
from mteb_cascade.errors import InputError
from mteb_cascade.training.data.leaks import Leak, guarded
from mteb_cascade.training.data.listed import only
from mteb_cascade.training.data.of_collections import from_collection
from mteb_cascade.training.data.of_files import from_file
from mteb_cascade.training.feeds import best_as_answer
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.options import Training


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Training queries with their answers, and what they must not be confused with.

    Args:
        lists: Q training queries with their relevant documents, best graded first; with negatives where a data file
            has them. Of scored lists that do not say what is relevant, the best scored document comes first.
        corpus: The documents that held-out queries search; `lists.corpus` may be another.
        held_out: Queries that choose the checkpoint; their judgements name documents of `corpus`. None where there
            are none.
        name: What messages and cards call it.
        digest: Of everything above: same digest, same data.
        leaks: Training queries that were refused since they repeat a held-out or test query.
        notes: One line each on what was counted and left out, for the terminal and the card.
    """

    lists: Lists
    corpus: Corpus
    held_out: Split | None
    name: str
    digest: str
    leaks: tuple[Leak, ...] = ()
    notes: tuple[str, ...] = ()


def load_training(options: Training, what: str) -> TrainingData:
    """Training data as the `[training]` table names them.

    Args:
        options: `collection` or `data`, `split`, `held_out` and `seed` decide.
        what: The spec, as messages call it.

    Raises:
        InputError: A file or split is missing or cannot be read, or nothing is left to train on.
    """
    try:
        source = from_file(Path(options.data), options) if options.data else from_collection(options)
        lists, notes = usable(source.lists, source.name)
        lists, leaks = guarded(lists, source.others)
        if not len(lists):
            raise InputError(f"{source.name}: every training query repeats a held-out or test query")
    except InputError as error:
        raise InputError(f"{what}: [training] {error}") from None
    held_out = readable(source.held_out)
    counted = [f"{len(lists):,} training queries, {len(lists.corpus):,} documents"]
    if held_out is not None:
        counted.append(f"{len(held_out.queries):,} queries held out: {source.held_out_name}")
    if leaks:
        refused, against = len({leak.query_id for leak in leaks}), ", ".join(dict.fromkeys(one.split for one in leaks))
        counted.append(f"{refused:,} training queries refused that nearly repeat queries of {against}")
    return TrainingData(
        lists=lists,
        corpus=source.corpus,
        held_out=held_out,
        name=source.name,
        digest=digest_of_all(lists, source.corpus, held_out),
        leaks=leaks,
        notes=(*(f"{source.name}: {line}" for line in (*counted, *notes)), *source.notes),
    )


def usable(lists: Lists, name: str) -> tuple[Lists, list[str]]:
    """The lists from which something can be learned, and a line on each reason to leave others out.

    Raises:
        InputError: None is left.
    """
    if not len(lists):
        raise InputError(f"{name}: has no training queries")
    blank = pc.equal(pc.binary_length(lists.corpus.texts), 0).to_numpy(zero_copy_only=False)
    real = lists.real & ~blank[lists.docs]
    reasons = {
        "without text": ~np.array([bool(text.strip()) for text in lists.queries.texts]),
        "without a document that answers them": ~(real if lists.scored else real & lists.relevant).any(1),
    }
    if lists.scored:
        lowest = np.where(real, lists.labels, np.inf).min(1)
        highest = np.where(real, lists.labels, -np.inf).max(1)
        reasons["whose documents all have one score"] = lowest == highest
    kept = ~np.any(list(reasons.values()), axis=0)
    notes = [
        f"{count:,} training queries {reason} are left out" for reason, one in reasons.items() if (count := one.sum())
    ]
    if not kept.any():
        raise InputError(f"{name}: nothing can be learned from its {len(lists):,} training queries: {'; '.join(notes)}")
    if (dropped := np.count_nonzero(lists.real & ~real)) > 0:
        notes.append(f"{dropped:,} documents without text are left out of their lists")
        lists = only(lists, real)
    return lists if kept.all() else lists.rows(np.flatnonzero(kept)), notes


def without_scores(data: TrainingData) -> TrainingData:
    """The same with 1 for what answers and 0 for the rest in place of a teacher's scores, for losses of grades."""
    lists = best_as_answer(data.lists)
    lists = replace(lists, labels=lists.relevant.astype(np.float32), scored=False)
    return replace(data, lists=lists, digest=digest_of_all(lists, data.corpus, data.held_out))


def readable(split: Split | None) -> Split | None:
    """The queries that have a text and an answer; None where there are none."""
    if split is None:
        return None
    texts = np.array([bool(text.strip()) for text in split.queries.texts], bool)
    found = split.take(np.flatnonzero(texts & (split.qrels.relevant_counts(split.queries.ids) > 0)))
    return found if len(found.queries) else None


def digest_of_all(lists: Lists, corpus: Corpus, held_out: Split | None) -> str:
    """xxh3-128 of training lists and held-out queries with their judgements."""
    state = xxhash.xxh3_128()
    groups = np.empty(0, np.int32) if lists.groups is None else lists.groups
    for array in (lists.docs, lists.labels, lists.relevant, groups):
        state.update(f"{array.shape} {array.dtype}".encode())
        state.update(np.ascontiguousarray(array).tobytes())
    digests = [lists.queries.digest, lists.corpus.digest, corpus.digest]
    if held_out is not None:
        queries, qrels = held_out.queries, held_out.qrels
        judged = ((query, repr(sorted(qrels.of(query).items()))) for query in queries.ids)
        digests += [queries.digest, digest_of(judged), str(qrels.relevance_level)]
    state.update(f"{lists.scored} {digests}".encode())
    return state.hexdigest()
