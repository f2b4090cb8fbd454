"""A teacher's logits as labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from mining_worlds import ANSWERED, DISTINCT, QUERIES, WHAT, data_of, lists_of, options, write_run

from mteb_cascade.errors import InputError
from mteb_cascade.training.mining.mined import mined
from mteb_cascade.training.mining.teacher import taught
from mteb_cascade.values.run import PAD


def test_the_teachers_logits_are_the_labels(models):
    lists = mined(data_of(ANSWERED), options(2), WHAT).lists
    told = taught(lists, models[1], WHAT)
    from sentence_transformers import CrossEncoder as Judge
    from torch.nn import Identity

    pairs = [(QUERIES[row], DISTINCT[doc]) for row in range(4) for doc in lists.docs[row]]
    theirs = Judge(models[1], device="cpu", activation_fn=Identity()).predict(pairs)
    np.testing.assert_allclose(told.labels.ravel(), theirs, atol=1e-4)
    assert told.scored
    assert told.docs.tolist() == lists.docs.tolist()
    assert told.labels.dtype == np.float32
    assert taught(lists, None, WHAT) is lists


def test_what_a_teacher_cannot_score_is_left_out():
    lists = lists_of(["red", "blue"], [f"text {doc}" for doc in range(5)], [[0, 1, 2], [3, 4]])
    relevant = np.array([[True, True, False], [True, False, False]])
    lists = replace(lists, relevant=relevant)
    told = taught(lists, write_run("t.trec", {(0, 1): 2.0, (0, 2): -1.5, (1, 4): 3.0}), WHAT)
    assert told.queries.ids == ("q0",)
    assert told.docs.tolist() == [[1, 2, PAD]]
    assert told.labels.tolist() == [[2.0, -1.5, 0.0]]
    assert told.relevant.tolist() == [[True, False, False]]
    unmarked = taught(replace(lists, relevant=np.zeros((2, 3), bool)), "t.trec", WHAT)
    assert unmarked.docs.tolist() == [[1, 2, PAD], [4, PAD, PAD]]
    with pytest.raises(InputError, match=r"models/mine.toml: \[training\] teacher: n can score no relevant document"):
        taught(lists, write_run("n.trec", {(0, 2): 1.0}), WHAT)
