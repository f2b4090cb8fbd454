"""Which rows make up a batch."""

import warnings

import numpy as np
import pytest
from careful_runs import some_lists

from mteb_cascade.errors import InputError
from mteb_cascade.training.feeds import feed
from mteb_cascade.training.steps.batches import Batches, batch_sampler, keys_of


def clashes(batch, answers, shown):
    """Whether some row's answer is shown by another row: the slow way."""
    return any(
        {*answers[one].tolist()} - {-1} & {*shown[other].tolist()} for one in batch for other in batch if one != other
    )


def random_keys(rows, keys, seed=0):
    rng = np.random.default_rng(seed)
    shown = rng.integers(0, keys, (rows, 3))
    return np.where(rng.random((rows, 3)) < [1, 0.3, 0], shown, -1), shown


def test_an_epoch_has_every_row_once_in_an_order_of_its_own():
    batches = Batches(23, 4, seed=5)
    epochs = []
    for epoch in range(3):
        batches.epoch = epoch
        epochs.append([row for batch in batches for row in batch])
    assert len(batches) == 5
    assert all(len(set(rows)) == 20 and max(rows) < 23 for rows in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    again = Batches(23, 4, seed=5)
    again.epoch = 2
    assert [row for batch in again for row in batch] == epochs[2]
    assert [row for batch in Batches(23, 4, seed=6) for row in batch] != epochs[0]


def test_no_rows_answer_stands_in_a_batch_as_another_rows_negative():
    answers, shown = random_keys(400, 1500)
    batches = Batches(400, 16, answers=answers, shown=shown)
    found = list(batches)
    assert len(found) == len(batches) == 25
    assert all(len(batch) == len(set(batch)) == 16 for batch in found)
    assert not any(clashes(batch, answers, shown) for batch in found)
    # The random order alone would have had some.
    assert any(clashes(batch, answers, shown) for batch in Batches(400, 16))
    assert len({row for batch in found for row in batch}) > 380


def test_rows_that_share_negatives_alone_go_together():
    answers = np.arange(8)[:, None]
    shown = np.hstack([answers, np.full((8, 1), 99)])
    assert len(next(iter(Batches(8, 8, answers=answers, shown=shown)))) == 8


def test_a_common_answer_is_spread_over_the_epoch():
    answers = np.where(np.arange(60) < 6, 0, np.arange(60))[:, None]
    found = list(Batches(60, 10, answers=answers, shown=answers))
    assert [sum(row < 6 for row in batch) for batch in found] == [1] * 6


def test_a_batch_that_cannot_be_filled_is_smaller_and_says_so_once():
    answers = (np.arange(20) % 5)[:, None]
    batches = Batches(20, 10, answers=answers, shown=answers, what="models/tiny.toml")
    with pytest.warns(UserWarning, match=r"models/tiny.toml: of 20 rows, 5 go together .* a batch of 10 is that small"):
        assert [len(batch) for batch in batches] == [5, 5]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [len(batch) for batch in batches] == [5, 5]
    with pytest.raises(InputError, match="of 20 rows, 1 go together"):
        list(Batches(20, 10, answers=answers * 0, shown=answers * 0))


@pytest.mark.parametrize("apart", [False, True])
def test_two_ranks_get_the_halves_of_what_one_gets(apart, monkeypatch):
    from accelerate.data_loader import BatchSamplerShard

    keys = dict(zip(("answers", "shown"), random_keys(100, 300), strict=True)) if apart else {}
    one = list(Batches(100, 8, seed=3, **keys))
    monkeypatch.setenv("WORLD_SIZE", "2")
    together = Batches(100, 4, seed=3, **keys)
    ranks = [list(BatchSamplerShard(together, 2, rank, even_batches=False)) for rank in range(2)]
    assert [first + second for first, second in zip(*ranks, strict=True)] == one
    assert together.of_step(len(one) + 2) == list(together.of_epoch(1))[2]


def test_keys_of_lists_are_groups_of_documents_and_texts_of_queries():
    from dataclasses import replace

    lists = some_lists(queries=3, documents=6, negatives=2)
    docs = np.array([[0, 1, 2], [3, 4, -1], [5, 3, 1]], np.int32)
    relevant = np.array([[1, 0, 0], [1, 1, 0], [1, 0, 0]], bool)
    texts = ("whale", "fox", "whale")
    lists = replace(
        lists,
        queries=replace(lists.queries, texts=texts),
        docs=docs,
        relevant=relevant,
        labels=relevant.astype(np.float32),
        groups=np.array([0, 1, 2, 3, 3, 5], np.int32),
    )
    dataset = feed(lists, "tuples", negatives=1)
    answers, shown = keys_of(lists, dataset)
    # The second query has no negative, so it has no row; the queries' keys come after the largest group, 5.
    assert [{*row} - {-1} for row in answers.tolist()] == [{0, 6}, {5, 6}]
    assert shown.tolist() == [[0, 1, 6], [5, 3, 6]]
    assert batch_sampler(lists, "tuples", in_batch=False)(dataset, 2).answers is None
    assert batch_sampler(lists, "triplets")(dataset, 2).answers is None
    assert batch_sampler(lists, "tuples")(dataset, 2).answers is not None


def test_copies_of_an_answer_are_no_negatives_either():
    from dataclasses import replace

    from mteb_cascade.corpora.corpus import Corpus

    lists = some_lists(queries=2, documents=4, negatives=1)
    corpus = Corpus.of(["a", "b", "a again", "c"], ["red fox", "whale", "red fox", "tree"])
    lists = replace(lists, corpus=corpus, docs=np.array([[0, 1], [3, 2]], np.int32))
    answers, shown = keys_of(lists, feed(lists, "tuples", negatives=1))
    # The second query brings a copy of what answers the first.
    assert {*answers[0].tolist()} & {*shown[1].tolist()}
    assert not {*answers[1].tolist()} & {*shown[0].tolist()}
