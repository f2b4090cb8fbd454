"""Rankings that lose or add documents, or move what they did not score."""

from __future__ import annotations

import numpy as np
import pytest
from planted import COLLECTION, Coverage, in_place, one

from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.studies.doctor.checks import order
from mteb_cascade.studies.doctor.subject import sampled, subjects
from mteb_cascade.values.run import PAD, Run


def whole(cascade):
    return subjects(cascade, COLLECTION, "test", sampled(COLLECTION, "test", 4))[-1]


def test_a_sound_stage_and_a_sound_cascade():
    assert [(f.check, f.verdict) for f in order.check(in_place(Coverage()))] == [("set preservation", "ok")]
    cascade = Cascade(BM25(), Step(Coverage(), 5), Step(Coverage(), 2))
    assert [(f.check, f.verdict) for f in order.check(whole(cascade))] == [
        ("set preservation", "ok"),
        ("depth-1 invariance", "ok"),
    ]


@pytest.mark.parametrize(
    ("change", "evidence"),
    [
        (lambda docs: np.where(np.arange(docs.shape[1]) == 0, PAD, docs), "0 documents added, 2 lost"),
        (lambda docs: np.where(docs == docs[:, 1:2], 70, docs), "2 documents added, 2 lost"),
        (lambda docs: np.where(docs == docs[:, 1:2], docs[:, :1], docs), "2 documents added, 2 lost"),
    ],
    ids=["lost", "exchanged", "twice"],
)
def test_a_rank_that_changes_the_set(change, evidence):
    class Careless(Coverage):
        def rank(self, queries, candidates):
            run = super().rank(queries, candidates)
            return Run(run.query_ids, run.corpus, change(run.docs).astype(np.int32), run.scores)

    found = one(order.check(in_place(Careless())))
    assert (found.verdict, found.evidence) == ("fail", f"{evidence} (2 queries)")


def test_scores_of_pads_and_scores_that_are_no_number():
    class Everywhere(Coverage):
        def score(self, queries, candidates):
            return np.where(candidates.docs == PAD, 0, super().score(queries, candidates)).astype(np.float32)

    class Infinite(Coverage):
        rank = Coverage.rank

        def given(self, scores, texts):
            return np.full_like(scores, np.inf)

        def scored(self, queries, candidates, *rest):
            return np.zeros(candidates.docs.shape, np.float32)

    assert one(order.check(in_place(Everywhere()))).evidence == "pads get scores other than -inf (2 queries)"
    assert "12 of 12 scores are NaN or infinite" in one(order.check(in_place(Infinite()))).evidence


def test_candidates_without_a_score_are_noted():
    class Picky(Coverage):
        def given(self, scores, texts):
            return np.where(np.char.startswith(texts, "fox"), scores, -np.inf)

    found = one(order.check(in_place(Picky())))
    assert (found.verdict, found.figures["unscored"]) == ("note", 2)


def test_a_cascade_that_moves_its_tail():
    class Sorting(Cascade):
        """Sorts all that it received by what it knows, tail and all."""

        def passes(self, queries, run, depths, **told):
            *others, last = super().passes(queries, run, depths, **told)
            yield from [*others, Run(last.query_ids, last.corpus, np.sort(last.docs)[:, ::-1], last.scores)]

    found = {f.check: f for f in order.check(whole(Sorting(BM25(), Step(Coverage(), 5))))}
    assert found["set preservation"].verdict == "ok"
    assert found["depth-1 invariance"].verdict == "fail"
    assert found["depth-1 invariance"].evidence.startswith("0 of 2 queries keep the first stage's order")


def test_a_cascade_that_loses_its_tail():
    class Cutting(Cascade):
        def passes(self, queries, run, depths, **told):
            *others, last = super().passes(queries, run, depths, **told)
            yield from [*others, last.cut(depths[-1])]

    found = {f.check: f.verdict for f in order.check(whole(Cutting(BM25(), Step(Coverage(), 2))))}
    assert found["set preservation"] == "fail"
