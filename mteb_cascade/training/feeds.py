"""Lists in the form that a loss takes: a dataset of row numbers, whose texts are looked up batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from mteb_cascade.errors import InputError
from mteb_cascade.training.lists import Lists
from mteb_cascade.values.run import PAD

if TYPE_CHECKING:
    from datasets import Dataset

Form = Literal["tuples", "triplets", "labelled", "scored", "lists"]
"""What a row says: a query with one answer and n negatives; with one negative; with one document and whether it
answers; as the first, with a teacher's scores; with a list of documents and their labels."""

Rows = tuple[NDArray[np.integer], NDArray[np.int32], NDArray[np.float32]]
"""R examples: row of the query [R], of its documents [R, C] (-1 pads), and their labels [R, C]."""


def feed(lists: Lists, form: Form, *, positives: int = 1, negatives: int = 0, what: str = "training") -> Dataset:
    """The dataset that a trainer of sentence-transformers reads.

    Args:
        lists: Q queries with their documents.
        form: What the loss takes.
        positives: Answers of one example in form "lists"; the other forms take one.
        negatives: Negatives of one example; "triplets" and "labelled" have an example each.
        what: What messages name.

    Returns:
        R rows of columns `query`, `documents` and, but for "tuples" and "triplets", `label`: numbers, which its
        transform turns into texts.

    Raises:
        InputError: No example can be made of the lists.
    """
    from datasets import Dataset

    lists = best_as_answer(lists)
    query, documents, labels = EXAMPLES[form](lists, positives, negatives)
    if not len(query):
        raise InputError(
            f"{what}: {len(lists):,} training queries give no example in the form '{form}'; "
            "expected an answer and a negative to each: give [training.mining], or a data file with negatives"
        )
    columns: dict[str, Any] = {"query": query.astype(np.int32), "documents": listed(documents, documents != PAD)}
    if form == "labelled":
        columns["label"] = labels[:, 0]
    elif form in ("scored", "lists"):
        columns["label"] = listed(labels, documents != PAD)
    dataset = Dataset(pa.table({name: pa.array(column) for name, column in columns.items()}))
    dataset.set_transform(TextsOf(lists, form))
    return dataset


def best_as_answer(lists: Lists) -> Lists:
    """Lists of a teacher's scores alone, which name no answer, take the best scored document for one, moved first."""
    if not lists.scored or lists.relevant.any():
        return lists
    order = np.argsort(np.where(lists.real, -lists.labels, np.inf), axis=1, kind="stable")
    docs, labels = np.take_along_axis(lists.docs, order, 1), np.take_along_axis(lists.labels, order, 1)
    relevant = np.zeros(docs.shape, bool)
    relevant[:, 0] = docs[:, 0] != PAD
    return replace(lists, docs=docs, labels=labels, relevant=relevant)


def answers_with_negatives(lists: Lists, positives: int, negatives: int) -> Rows:
    """An example for every `positives` answers of a query, followed by its first negatives.

    Queries with fewer negatives are left out, so that examples can be stacked.
    """
    order = np.argsort(~lists.negative, axis=1, kind="stable")[:, :negatives]
    enough = lists.negative.sum(1) >= negatives
    query, place = np.nonzero(lists.relevant & enough[:, None])
    turn = (np.cumsum(lists.relevant, axis=1) - 1)[query, place]
    starts = np.flatnonzero(turn % positives == 0)
    query, first = query[starts], turn[starts]
    by_turn = np.argsort(~lists.relevant, axis=1, kind="stable")
    wanted = np.minimum(first[:, None] + np.arange(positives), lists.docs.shape[1] - 1)
    chosen = by_turn[query[:, None], wanted]
    there = first[:, None] + np.arange(positives) < lists.relevant.sum(1)[query, None]
    cells = np.concatenate([chosen, order[query]], axis=1)
    there = np.concatenate([there, np.ones((len(query), order.shape[1]), bool)], axis=1)
    docs = np.where(there, lists.docs[query[:, None], cells], PAD).astype(np.int32)
    return query, docs, lists.labels[query[:, None], cells]


def tuples(lists: Lists, positives: int, negatives: int) -> Rows:
    """A query, one answer, n negatives."""
    return answers_with_negatives(lists, 1, negatives)


def triplets(lists: Lists, positives: int, negatives: int) -> Rows:
    """A query, one answer, one negative: every answer with each of the negatives."""
    query, docs, labels = answers_with_negatives(lists, 1, negatives)
    asked, other = np.repeat(np.arange(len(query)), negatives), np.tile(np.arange(1, negatives + 1), len(query))
    pair = np.stack([docs[asked, 0], docs[asked, other]], axis=1)
    return query[asked], pair, labels[asked][:, :2]


def labelled(lists: Lists, positives: int, negatives: int) -> Rows:
    """A query, a document, and 1 or 0: every answer, and the first negatives once."""
    rank = np.cumsum(lists.negative, axis=1)
    query, place = np.nonzero(lists.relevant | (lists.negative & (rank <= negatives)))
    relevant = lists.relevant[query, place].astype(np.float32)
    return query, lists.docs[query, place][:, None], relevant[:, None]


EXAMPLES: dict[str, Callable[[Lists, int, int], Rows]] = {
    "tuples": tuples,
    "triplets": triplets,
    "labelled": labelled,
    "scored": tuples,
    "lists": answers_with_negatives,
}


def listed(values: NDArray[Any], real: NDArray[np.bool_]) -> pa.Array:
    """A rectangle as Arrow lists without its pads."""
    ends = np.concatenate([[0], np.cumsum(real.sum(1))]).astype(np.int64)
    return pa.LargeListArray.from_arrays(pa.array(ends), pa.array(values[real]))


class TextsOf:
    """The transform of a dataset: row numbers to the columns of texts that its form names.

    Args:
        lists: Whose queries and corpus the numbers mean.
        form: Of the dataset.
    """

    def __init__(self, lists: Lists, form: Form) -> None:
        self.queries, self.corpus, self.form = lists.queries, lists.corpus, form

    def __reduce__(self) -> tuple[Any, ...]:
        # The datasets library pickles a transform to name its result, and would pickle every text with it.
        return TextsOf, (self.queries.digest, self.corpus.digest, self.form)

    def __deepcopy__(self, memo: dict[int, Any]) -> TextsOf:
        return self

    def __call__(self, batch: dict[str, list[Any]]) -> dict[str, list[Any]]:
        """A batch of rows with texts instead of numbers."""
        lengths = [len(one) for one in batch["documents"]]
        texts = iter(self.corpus.texts_at([row for one in batch["documents"] for row in one]))
        documents = [[next(texts) for _ in range(length)] for length in lengths]
        found: dict[str, list[Any]] = {"query": [self.queries.texts[row] for row in batch["query"]]}
        if self.form == "lists":
            return {**found, "docs": documents, "labels": batch["label"]}
        negatives = (f"negative_{number}" for number in range(1, lengths[0]))
        names = ("document",) if self.form == "labelled" else ("positive", *negatives)
        found |= dict(zip(names, map(list, zip(*documents, strict=True)), strict=True))
        return {**found, "label": batch["label"]} if "label" in batch else found
