from __future__ import annotations

import math
from itertools import pairwise
from statistics import fmean, pstdev

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.list_fusion import FUSIONS, Fusion, points_of, reciprocal_rank
from mteb_cascade.values.run import Run

IDS = ("a", "b", "c", "d", "e", "f", "g", "h")
CORPUS = Corpus.of(IDS, ["text"] * len(IDS))

SCORES = st.sampled_from([-2.5, -1.0, 0.0, 0.1, 0.25, 1.0, 3.0, 40.0, 3e38])
LISTS = st.dictionaries(st.sampled_from(IDS), SCORES, max_size=len(IDS))


def run_of(*lists: dict[str, float]) -> Run:
    """One list a query."""
    docs = np.full((len(lists), max(map(len, lists))), -1, np.int32)
    scores = np.full(docs.shape, -np.inf, np.float32)
    for row, given_scores in enumerate(lists):
        docs[row, : len(given_scores)] = [IDS.index(doc) for doc in given_scores]
        scores[row, : len(given_scores)] = list(given_scores.values())
    return Run.ranked([f"q{row}" for row in range(len(lists))], CORPUS, docs, scores)


def points(name: str, asked: int, *members: dict[str, float]) -> list[dict[str, float]]:
    """What each member gives each document of one query."""
    found = points_of([run_of(one) for one in members], FUSIONS[name], asked)
    ids = found.pool.ids(0)
    return [dict(zip(ids, of_member[0, : len(ids)].tolist(), strict=True)) for of_member in found.members]


@pytest.mark.parametrize(
    ("name", "first", "second"),
    [
        # {a 7, b 4, c 3} is full, {d 2} ended early.
        ("linear", {"a": 7, "b": 4, "c": 3, "d": 3}, {"a": 0, "b": 0, "c": 0, "d": 2}),
        ("min-max", {"a": 1, "b": 0.25, "c": 0, "d": 0}, {"a": 0, "b": 0, "c": 0, "d": 0.5}),
        # Mean 14/3, variance (49 + 4 + 25) / 27 = 26/9.
        (
            "z-score",
            {"a": 7 / 26**0.5, "b": -2 / 26**0.5, "c": -5 / 26**0.5, "d": -5 / 26**0.5},
            {"a": -3, "b": -3, "c": -3, "d": 0},
        ),
        (
            "dbsf",
            {"a": 0.5 + 7 / 6 / 26**0.5, "b": 0.5 - 2 / 6 / 26**0.5, "c": 0.5 - 5 / 6 / 26**0.5, "d": 0},
            {"a": 0, "b": 0, "c": 0, "d": 0.5},
        ),
        ("rrf", {"a": 1 / 61, "b": 1 / 62, "c": 1 / 63, "d": 0}, {"a": 0, "b": 0, "c": 0, "d": 1 / 61}),
    ],
)
def test_points_by_hand(name: str, first: dict[str, float], second: dict[str, float]) -> None:
    found = points(name, 3, {"a": 7.0, "b": 4.0, "c": 3.0}, {"d": 2.0})
    assert found == [pytest.approx(first, abs=1e-12), pytest.approx(second, abs=1e-12)]


def test_a_score_more_than_three_deviations_from_the_mean_is_clipped() -> None:
    corpus = Corpus.of([f"d{row}" for row in range(20)], ["text"] * 20)
    docs = np.arange(20, dtype=np.int32)[None, :]
    run = Run.ranked(["q"], corpus, docs, np.array([[100.0] + [0.0] * 19]))
    (dbsf,) = points_of([run], FUSIONS["dbsf"], 20).members
    (z,) = points_of([run], FUSIONS["z-score"], 20).members
    assert dbsf.max() == 1
    assert z.max() == pytest.approx(19**0.5)


def test_equal_scores_tell_by_their_presence() -> None:
    # A full list of equal scores; a document outside it must still be told from those within.
    for name, listed, outside in (("min-max", 0.5, 0), ("dbsf", 0.5, 0), ("z-score", 0, -3), ("linear", 4, 4)):
        first, _ = points(name, 2, {"a": 4.0, "b": 4.0}, {"c": 1.0})
        assert first == {"a": listed, "b": listed, "c": outside}, name
    # Of equal scores the larger id ranks first, as in every run.
    first, _ = points("rrf", 2, {"a": 4.0, "b": 4.0}, {"c": 1.0})
    assert first == {"b": 1 / 61, "a": 1 / 62, "c": 0}


@pytest.mark.parametrize("name", FUSIONS)
def test_an_empty_list_says_nothing(name: str) -> None:
    assert points(name, 3, {}, {"a": 1.0, "b": 0.0})[0] == {"a": 0, "b": 0}
    assert points_of([run_of({}), run_of({})], FUSIONS[name], 3).ranked([1.0, 1.0]).docs.shape == (1, 0)


def test_the_constant_of_rrf() -> None:
    found = points_of([run_of({"a": 2.0, "b": 1.0})], reciprocal_rank(0), 5)
    assert found.members[0].tolist() == [[1.0, 0.5]]


def slow(name: str, scores: dict[str, float], asked: int, document: str) -> float:
    """Points of one document in one list, written down from the definitions."""
    if not scores:
        return 0.0
    values = list(scores.values())
    low, high, equal = min(values), max(values), len(set(values)) == 1
    full = len(values) >= min(asked, len(IDS))
    z = {doc: 0.0 if equal else (score - fmean(values)) / pstdev(values) for doc, score in scores.items()}
    if document not in scores:
        if name == "linear":
            return low if full else min(low, 0.0)
        if name == "z-score":
            lowest = min(z.values())
            return lowest if full and not equal else min(lowest, -3.0)
        return 0.0
    if name == "linear":
        return scores[document]
    if name == "min-max":
        return 0.5 if equal else (scores[document] - low) / (high - low)
    if name == "z-score":
        return z[document]
    if name == "dbsf":
        return min(1.0, max(0.0, 0.5 + z[document] / 6))
    ranking = sorted(scores, key=lambda doc: (scores[doc], doc), reverse=True)
    return 1 / (60 + 1 + ranking.index(document))


@given(st.sampled_from(sorted(FUSIONS)), st.lists(st.tuples(LISTS, LISTS), min_size=1, max_size=3), st.integers(1, 9))
def test_equal_to_a_slow_reference(name: str, queries: list[tuple[dict, dict]], asked: int) -> None:
    members = [run_of(*lists) for lists in zip(*queries, strict=True)]
    found = points_of(members, FUSIONS[name], asked)
    weights = (2.0, -0.5)
    total = found.total(weights)
    for row, lists in enumerate(queries):
        lists = tuple({doc: float(np.float32(score)) for doc, score in one.items()} for one in lists)
        documents = found.pool.ids(row)
        assert sorted(documents) == sorted({*lists[0], *lists[1]})
        for column, document in enumerate(documents):
            by_hand = [slow(name, one, asked, document) for one in lists]
            assert [of[row, column] for of in found.members] == pytest.approx(by_hand, rel=1e-9, abs=1e-9)
            summed = sum(weight * value for weight, value in zip(weights, by_hand, strict=True))
            assert math.isclose(total[row, column], summed, rel_tol=1e-9, abs_tol=1e-9)
        assert not total[row, len(documents) :].any()


@given(st.sampled_from(sorted(FUSIONS)), LISTS, st.integers(1, 9))
def test_a_better_place_never_gives_fewer_points_and_no_place_the_fewest(name: str, scores: dict, asked: int) -> None:
    given_points, _ = points(name, asked, scores, dict.fromkeys(IDS, 1.0))
    assert np.isfinite(list(given_points.values())).all()
    best_first = sorted(scores, key=lambda doc: (scores[doc], doc), reverse=True)
    outside = [doc for doc in IDS if doc not in scores] if len(scores) <= asked else []
    in_order = [given_points[doc] for doc in best_first + outside]
    assert all(better >= worse - 1e-9 * abs(worse) for better, worse in pairwise(in_order))


def test_only_a_raw_sum_is_pointwise() -> None:
    changes: dict[str, bool] = {}
    for name, fusion in FUSIONS.items():
        short, long = ({"a": 2.0, "b": 1.0}, {"a": 2.0, "b": 1.0, "c": 9.0})
        changes[name] = any(
            of_fusion(fusion, short)[doc] != pytest.approx(of_fusion(fusion, long)[doc]) for doc in ("a", "b")
        )
    assert changes == {name: not fusion.pointwise for name, fusion in FUSIONS.items()}


def of_fusion(fusion: Fusion, scores: dict[str, float]) -> dict[str, float]:
    found = points_of([run_of(scores)], fusion, 8)
    return dict(zip(found.pool.ids(0), found.members[0][0].tolist(), strict=True))


def test_an_infinite_score_is_named() -> None:
    with pytest.raises(ValueError, match="score of query 'q0' and document 'b' is infinite"):
        points("min-max", 3, {"a": 1.0, "b": math.inf}, {"c": 1.0})


def test_every_fusion_names_its_source() -> None:
    assert all(fusion.source for fusion in FUSIONS.values())
