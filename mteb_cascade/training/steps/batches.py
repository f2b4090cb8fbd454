"""Which rows make up a batch: where all its documents are negatives, no row's answer may be another row's negative."""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import BatchSampler

from mteb_cascade.errors import InputError
from mteb_cascade.training.feeds import Form, best_as_answer
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.mining.answers import classes, text_hashes
from mteb_cascade.training.steps.ranks import is_main, world_size
from mteb_cascade.values.run import PAD

if TYPE_CHECKING:
    from datasets import Dataset

Keys = NDArray[np.int64]


def batch_sampler(lists: Lists, form: Form, *, in_batch: bool = True, what: str = "training") -> Callable[..., Batches]:
    """What sentence-transformers' training arguments take as `batch_sampler` for a dataset that `feed` made of lists.

    Args:
        lists: Q queries.
        form: Of the dataset.
        in_batch: Whether the documents of other rows are negatives too, which is for "tuples" alone to choose.
        what: What messages name.
    """

    def batches(dataset: Dataset, batch_size: int, seed: int = 0, **_: Any) -> Batches:
        keys = keys_of(lists, dataset) if form == "tuples" and in_batch else (None, None)
        return Batches(len(dataset), batch_size, seed=seed, answers=keys[0], shown=keys[1], what=what)

    return batches


def keys_of(lists: Lists, dataset: Dataset) -> tuple[Keys, Keys]:
    """What each row of a dataset of "tuples" must not meet in a batch, and what it brings.

    A document counts as its group; where there are none, as all that have its text. A query counts as well, by its
    text: it meets no copy of itself.

    Returns:
        answers, shown: int64 [R, *], -1 at pads.
    """
    lists = best_as_answer(lists)
    groups = (classes(text_hashes(lists.corpus)) if lists.groups is None else lists.groups).astype(np.int64)
    table = dataset.data
    query = table["query"].to_numpy()
    documents = table["documents"].combine_chunks().flatten().to_numpy().reshape(len(query), -1)
    answers = np.where(lists.relevant & lists.real, groups[lists.docs], PAD)
    answers = answers[:, : max(1, int(lists.relevant.sum(1).max()))] if relevant_first(lists) else answers
    number = {text: row for row, text in enumerate(dict.fromkeys(lists.queries.texts))}
    own = int(groups.max(initial=0)) + 1 + np.array([number[text] for text in lists.queries.texts])[query, None]
    return np.hstack([answers[query], own]), np.hstack([groups[documents], own])


def relevant_first(lists: Lists) -> bool:
    """Whether every list's relevant documents stand before its others."""
    return not (lists.relevant[:, 1:] & ~lists.relevant[:, :-1]).any()


class Batches(BatchSampler):
    """Batches in an order that seed and epoch alone decide.

    What all ranks learn from in one step is drawn together, and handed out in consecutive batches of one rank's size,
    as accelerate's BatchSamplerShard expects: two ranks learn from what one would with twice the batch. Rows that
    fill no batch wait for another epoch.

    Args:
        rows: N rows of the dataset.
        batch_size: Rows of one rank's batch.
        seed: Of the order.
        answers: int64 [N, A], what must not stand in a batch beside that row; -1 pads. None puts any rows together.
        shown: int64 [N, S], what that row brings into a batch; -1 pads.
        what: What messages name.
    """

    batch_size: Any

    def __init__(
        self,
        rows: int,
        batch_size: int,
        *,
        seed: int = 0,
        answers: Keys | None = None,
        shown: Keys | None = None,
        what: str = "training",
    ) -> None:
        self.rows, self.seed, self.what = rows, seed, what
        self.answers, self.shown = answers, shown
        self.ranks = world_size()
        self.together = batch_size * self.ranks
        self.steps = rows // self.together
        self.epoch = 0
        # So accelerate neither fills up nor drops batches that are smaller.
        self.batch_size, self.drop_last = None, True
        self.smallest = self.together

    def __len__(self) -> int:
        """Batches of an epoch, those of all ranks counted."""
        return self.steps * self.ranks

    def __iter__(self) -> Iterator[list[int]]:
        for batch in self.of_epoch(self.epoch):
            each = len(batch) // self.ranks
            for start in range(0, each * self.ranks, each):
                yield batch[start : start + each]

    def of_step(self, step: int) -> list[int]:
        """The rows of a step on all ranks; steps are counted from 0 over all epochs."""
        epoch, number = divmod(step, self.steps)
        return next(islice(self.of_epoch(epoch), number, None))

    def of_epoch(self, epoch: int) -> Iterator[list[int]]:
        """The rows of each step of an epoch, on all ranks.

        Raises:
            InputError: There are not two rows for each rank that go together.
        """
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(self.rows)
        if self.answers is None or self.shown is None:
            yield from order[: self.steps * self.together].reshape(self.steps, self.together).tolist()
            return
        ahead, late = deque(order.tolist()), deque[int]()
        for _ in range(self.steps):
            batch = Batch(self.together, self.answers, self.shown)
            # What did not go with an earlier batch comes first, so that common answers spread over the epoch.
            batch.fill(late, 2 * self.together, late)
            batch.fill(ahead, self.rows, late)
            if batch.room:
                # The rest does not go together: rows of earlier batches take its place.
                batch.fill(deque(rng.permutation(self.rows).tolist()), self.rows, deque())
            if batch.room:
                self.is_smaller(len(batch.rows))
            yield batch.rows

    def is_smaller(self, found: int) -> None:
        """Say so where a batch could not be filled.

        Raises:
            InputError: It has less than two rows for each rank.
        """
        told = f"{self.what}: of {self.rows:,} rows, {found} go together without an answer being another row's negative"
        if found < 2 * self.ranks:
            raise InputError(f"{told}: there is nothing to tell apart within a batch. Give more data, or another loss")
        if found < self.smallest and is_main():
            warnings.warn(f"{told}: a batch of {self.together} is that small", stacklevel=2)
        self.smallest = min(self.smallest, found)


class Batch:
    """Rows that go together, as they are found.

    Args:
        size: Rows at most.
        answers: int64 [N, A], as of `Batches`.
        shown: int64 [N, S], as of `Batches`.
    """

    def __init__(self, size: int, answers: Keys, shown: Keys) -> None:
        self.size, self.answers, self.shown = size, answers, shown
        self.rows: list[int] = []
        self.forbidden: set[int] = set()
        self.there: set[int] = set()

    @property
    def room(self) -> int:
        """Rows that are still wanted."""
        return self.size - len(self.rows)

    def fill(self, queue: deque[int], tries: int, late: deque[int]) -> None:
        """Take rows from the front of a queue until there is no room; those that do not fit go to the end of `late`."""
        tries = min(tries, len(queue))
        while self.room and tries:
            some = [queue.popleft() for _ in range(min(self.room, tries))]
            tries -= len(some)
            answers, shown = self.answers[some].tolist(), self.shown[some].tolist()
            for row, forbids, brings in zip(some, answers, shown, strict=True):
                if self.there.isdisjoint(forbids) and self.forbidden.isdisjoint(brings):
                    self.rows.append(row)
                    self.forbidden.update(forbids)
                    self.there.update(brings)
                    self.forbidden.discard(PAD)
                    self.there.discard(PAD)
                else:
                    late.append(row)
