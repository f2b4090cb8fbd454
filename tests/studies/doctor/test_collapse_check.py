"""Ties at rank 1, counted by hand, and the sigmoid that makes them."""

from __future__ import annotations

import numpy as np
from doctored import Given, collection_of, placed
from planted import Constant, Coverage, Sigmoid, in_place, one

from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.studies.doctor.checks import collapse

TEXTS = ("fox", "whale", "zebra", "fox", "stone")
GONE = -np.inf


def of(scores):
    """Queries that d0, d1 ... answer, by their number."""
    collection = collection_of(TEXTS, [f"query {n}" for n in range(len(scores))])
    return placed(Given(scores), collection)


def test_ties_by_hand():
    subject = of(
        [
            [5, 5, 1, 1, 0],  # fox answers, whale beside it: .5
            [2, 3, 3, 3, 0],  # whale answers, of three texts: 1/3
            [0, 1, 5, 2, 3],  # zebra answers, alone: 1
            [7, 1, 1, 7, GONE],  # the two foxes are one text, and an answer: 1
            [1, 1, 1, 0, 0],  # stone answers, and is not first: 0
        ]
    )
    found = collapse.ties(subject)
    assert (found.queries, found.tied, found.at_an_end) == (5, 3, 1)
    np.testing.assert_allclose([found.best, found.expected, found.worst], [4 / 5, (1 / 2 + 1 / 3 + 2) / 5, 2 / 5])


def test_a_sigmoid_is_told_by_its_ends():
    found = one(collapse.check(in_place(Sigmoid())))
    assert found.verdict == "fail"
    assert found.evidence.startswith("all scores lie in [0, 1], and of 24 queries several are exactly 0 or 1; 24 of 24")
    assert "raw logits" in found.remedy
    assert one(collapse.check(in_place(Coverage()))).verdict == "ok"


def test_scores_between_0_and_1_are_no_fault():
    class Mild(Coverage):
        def given(self, scores, texts):
            return 1 / (1 + np.exp(-scores))

    found = one(collapse.check(in_place(Mild())))
    assert (found.verdict, found.figures["tied"], found.figures["within_0_and_1"]) == ("ok", 0, True)


def test_coarse_scores_fail_where_success_hangs_on_them():
    class Coarse(Coverage):
        """One figure: the answer ties with what shares a word."""

        def given(self, scores, texts):
            return np.ceil(scores).astype(np.float32) + 5

    found = one(collapse.check(in_place(Coarse())))
    assert (found.verdict, found.figures["best"], found.figures["worst"]) == ("fail", 1.0, 0.0)
    assert "round or bin them nowhere" in found.remedy


def test_one_fault_is_one_failure():
    assert one(collapse.check(in_place(Constant()))).verdict == "skipped"


def test_words_that_are_counted_tie_by_nature():
    collection = collection_of(["red fox", "red owl", "old hen", "old cat"], ["red", "red", "old"])
    subject = placed(BM25(), collection)
    subject.stage.index(collection.corpus)
    found = one(collapse.check(subject))
    assert (found.verdict, found.figures["tied"], found.figures["best"], found.figures["worst"]) == ("note", 3, 1, 0)
