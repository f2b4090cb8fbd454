from __future__ import annotations

import numpy as np
import pytest
from table_stage import Table

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.hybrid import Hybrid, Member, missing_scores
from mteb_cascade.values.run import Run

CORPUS = Corpus.of(["a", "b", "c", "d"], ["red fox", "blue whale", "red whale", "green tree"])
QUERY = Queries(("q",), ("red fox",))


def table(**scores: float) -> Table:
    texts = dict(zip(CORPUS.ids.to_pylist(), CORPUS.texts.to_pylist(), strict=True))
    return Table(scores={"red fox": {texts[doc]: score for doc, score in scores.items()}})


def found(*members: Stage | Member, pool: int, k: int = 4) -> dict[str, float]:
    hybrid = Hybrid(*members, pool=pool)
    hybrid.index(CORPUS)
    return hybrid.search(QUERY, top_k=k)["q"]


def test_a_full_list_gives_its_lowest_score_to_what_it_lacks() -> None:
    # Pools of 2: {a 4, b 3} and {c 10, a 9}; b is worth 9 to the second, c is worth 3 to the first.
    scores = found(table(a=4.0, b=3.0, c=2.0, d=1.0), table(a=9.0, b=1.0, c=10.0, d=0.0), pool=2)
    assert scores == {"a": 13.0, "c": 13.0, "b": 12.0}
    assert list(scores) == ["c", "a", "b"]


def test_a_list_that_ended_early_gives_0() -> None:
    # The first list has one document of two asked for: what it lacks is worth 0 to it, not 4.
    assert found(table(a=4.0), table(b=1.0, c=2.0, d=-3.0), pool=2) == {"a": 5.0, "c": 2.0, "b": 1.0}


def test_weights_multiply_raw_scores() -> None:
    scores = found(Member(table(a=4.0, b=2.0), 0.5), Member(table(a=1.0, b=3.0), -2.0), pool=2)
    assert scores == {"a": 0.0, "b": -5.0}
    # An empty list says nothing; a weight of 0 neither, but its documents are in the pool.
    assert found(Member(table(), 3.0), table(a=1.0), pool=2) == {"a": 1.0}
    assert found(Member(table(b=7.0), 0.0), table(a=1.0), pool=1) == {"a": 1.0, "b": 1.0}


def test_the_missing_score_does_not_depend_on_k() -> None:
    members = table(a=4.0, b=3.0, c=2.0, d=1.0), table(a=9.0, b=1.0, c=10.0, d=0.0)
    assert list(found(*members, pool=2, k=1)) == ["c"]
    assert list(found(*members, pool=2, k=2)) == ["c", "a"]


def test_missing_scores_row_by_row() -> None:
    docs = np.array([[0, 1], [2, -1], [-1, -1]], np.int32)
    run = Run.ranked(["q", "p", "r"], CORPUS, docs, np.array([[4.0, -3.0], [5.0, 0.0], [0.0, 0.0]]))
    assert missing_scores(run, 2).tolist() == [-3.0, 0.0, 0.0]
    # Outside a list that ended early there is no evidence, 0; but never more than what was listed.
    assert missing_scores(run, 3).tolist() == [-3.0, 0.0, 0.0]
    assert missing_scores(Run.empty(["q"], CORPUS), 2).tolist() == [0.0]


def test_score_asks_every_member_for_every_candidate() -> None:
    hybrid = Hybrid(Member(table(a=4.0, b=2.0), 0.5), Member(table(a=1.0, b=3.0, c=1.0), -2.0), pool=1)
    docs = np.array([[1, 2, -1, 0]], np.int32)
    scores = hybrid.score(QUERY, Run(("q",), CORPUS, docs, np.zeros((1, 4), np.float32)))
    assert scores.tolist() == [[-5.0, -np.inf, -np.inf, 0.0]]


@pytest.mark.parametrize("weight", [-1.0, 0.0])
def test_what_a_member_cannot_score_is_never_plus_infinity(weight: float) -> None:
    hybrid = Hybrid(Member(table(a=1.0), weight), table(a=1.0, b=2.0))
    scores = hybrid.score(QUERY, Run(("q",), CORPUS, np.array([[1]], np.int32), np.zeros((1, 1), np.float32)))
    assert scores.tolist() == [[-np.inf if weight else 2.0]]


@pytest.mark.parametrize(
    ("members", "pool", "message"),
    [
        ([table()], 5, "two or more members, got 1"),
        ([table(), table()], 0, "pool: expected at least 1, got 0"),
        ([Member(table(), 0.0), Member(table(), 0.0)], 5, "weight: expected finite numbers, not all 0"),
        ([table(), Member(table(), float("nan"))], 5, "weight: expected finite numbers"),
    ],
)
def test_wrong_wiring_is_refused_when_built(members: list, pool: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Hybrid(*members, pool=pool)
