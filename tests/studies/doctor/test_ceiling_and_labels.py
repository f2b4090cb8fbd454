"""What can be won by reranking at all, and whether the labels could tell."""

from __future__ import annotations

import pytest
from doctored import Given, collection_of, placed

from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.studies.doctor.checks import ceiling, labels
from mteb_cascade.studies.doctor.subject import DEPTH
from mteb_cascade.values.run import PAD

WORDS = ("fox", "whale", "tree", "stone", "sea", "moon")


def collection(queries=4, grades=None):
    """Query i is answered by document i."""
    return collection_of([f"{word} {n}" for n, word in enumerate(WORDS * 10)], ["word"] * queries, grades)


def ceiling_of(received):
    (one,) = ceiling.check(placed(Given(), collection(len(received)), received))
    return one


def test_something_to_win():
    one = ceiling_of([[0, 5], [5, 1], [5, 4], [0, 3]])
    assert one.verdict == "ok"
    assert {key: one.figures[key] for key in ("reachable", "at_rank_1", "to_win", "depth")} == {
        "reachable": 3,
        "at_rank_1": 1,
        "to_win": 2,
        "depth": 2,
    }


def test_nothing_to_win_since_all_stands_at_rank_1():
    one = ceiling_of([[row, 59] for row in range(9)] + [[59, 58]])
    assert (one.verdict, one.figures["to_win"]) == ("fail", 0)
    assert ceiling_of([[row, 59] for row in range(9)]).verdict == "note"  # too few queries to blame anything


def test_nothing_to_win_since_nothing_is_found():
    one = ceiling_of([[59, 58]] * 9 + [[59, PAD]])
    assert (one.verdict, one.figures["reachable"]) == ("fail", 0)
    assert "mend before first" in one.remedy


def test_one_query_of_thirty_is_noted():
    received = [[row, 59] for row in range(29)] + [[59, 29]]
    assert ceiling_of(received).verdict == "note"
    assert ceiling_of([[59, row] if row < 2 else [row, 59] for row in range(30)]).verdict == "ok"


def test_the_query_itself_is_no_candidate_where_the_task_says_so():
    from dataclasses import replace

    small = replace(collection_of(["a", "b"], ["a"], {"d1": {"d0": 1}}), ignore_identical_ids=True)
    split = small.split("test")
    queries = replace(split.queries, ids=("d1",))
    small = replace(small, splits={"test": replace(split, queries=queries)})
    (one,) = ceiling.check(placed(Given(), small, [[1, 0]]))
    assert one.figures["at_rank_1"] == 1
    assert one.figures["to_win"] == 0


def test_only_what_reranks_has_a_ceiling():
    first, second = BM25(), BM25()
    whole = Cascade(first, Step(second, 2))
    received = [[5, 1], [1, 5]]
    asked = {
        stage: list(ceiling.check(placed(stage, collection(2), received, whole))) for stage in (first, second, whole)
    }
    assert [len(asked[stage]) for stage in (first, second, whole)] == [0, 1, 0]
    assert list(ceiling.check(placed(first, collection(2), received))) == []


def labels_of(grades, scores, received=None, queries=4):
    small = collection(queries, grades)
    (one,) = labels.check(placed(Given(scores), small, received))
    return one


def test_judged_shares_and_bounds_by_hand():
    grades = {f"q{n}": {f"d{n}": 1} for n in range(20)} | {"q0": {"d0": 1, "d7": 0}}
    received = [[row, 59] for row in range(20)]
    received[0] = [0, 7]
    # The stage turns the first 8 lists around: q0's first is judged wrong, 7 others' are unjudged.
    scores = [[0, 1] if row < 8 else [1, 0] for row in range(20)]
    one = labels_of(grades, scores, received, queries=20)
    assert one.verdict == "ok"
    assert one.figures["judged@1"] == pytest.approx(13 / 20)
    assert one.figures[f"judged@{DEPTH}"] == pytest.approx(21 / 40)
    assert one.figures["received_judged@1"] == 1
    assert (one.figures["success@1_low"], one.figures["success@1_high"]) == pytest.approx((12 / 20, 19 / 20))


@pytest.mark.parametrize(("judged", "verdict"), [(0, "fail"), (3, "note"), (4, "ok")])
def test_labels_that_say_nothing_of_rank_1(judged, verdict):
    received = [[row, 59] if row < judged else [58, 59] for row in range(20)]
    assert labels_of(None, [[1, 0]] * 20, received, queries=20).verdict == verdict


def test_a_bad_model_is_not_taken_for_bad_labels():
    received = [[row, 59] for row in range(20)]
    assert labels_of(None, [[0, 1]] * 20, received, queries=20).verdict == "ok"


def test_few_queries_are_noted():
    one = labels_of(None, [[1, 0]] * 4, [[row, 59] for row in range(4)])
    assert one.verdict == "note"
    assert "uncertain by 0.49" in one.remedy
