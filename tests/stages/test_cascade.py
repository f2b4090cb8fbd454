from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from table_stage import TEXTS, Table

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.values.run import Run

CORPUS = Corpus.of(["a", "b", "c", "d"], ["red fox", "blue whale", "red whale", "green tree"])
QUERY = Queries(("q",), ("red fox",))
TABLES = st.fixed_dictionaries(
    dict.fromkeys(TEXTS, st.dictionaries(st.sampled_from(TEXTS), st.sampled_from([-2.0, 0.0, 0.5, 3.0])))
)


def table(**scores: float) -> Table:
    texts = dict(zip(CORPUS.ids.to_pylist(), CORPUS.texts.to_pylist(), strict=True))
    return Table(scores={"red fox": {texts[doc]: score for doc, score in scores.items()}})


def slow_step(ranking: list[tuple[str, float]], scores: dict[str, float], depth: int, blend: float) -> list[str]:
    """The definition of a step: the scored part of the head by score and id, then all else in its old order."""
    head = {
        doc: float(np.float32(scores[doc]) + (np.float32(blend) * np.float32(before) if blend else np.float32(0)))
        for doc, before in ranking[:depth]
        if doc in scores
    }
    best_first = sorted(head, key=lambda doc: (head[doc], doc), reverse=True)
    return best_first + [doc for doc, _ in ranking if doc not in head]


FIRST = table(a=4.0, b=3.0, c=2.0, d=1.0)


def test_head_by_the_step_tail_in_old_order() -> None:
    cascade = Cascade(FIRST, Step(table(a=1.0, b=5.0, c=9.0, d=9.0), depth=2))
    cascade.index(CORPUS)
    run = cascade.retrieve(QUERY, 4)
    assert run.ids(0) == ["b", "a", "c", "d"]
    assert run.scores[0].tolist() == [5.0, 1.0, 1 - 2.0**-20, 1 - 2.0**-19]


def test_blend_adds_the_score_before_raw() -> None:
    cascade = Cascade(FIRST, Step(table(a=0.0, b=0.5, c=3.5, d=0.0), depth=4, blend=1.0))
    cascade.index(CORPUS)
    assert cascade.search(QUERY, top_k=4)["q"] == {"c": 5.5, "a": 4.0, "b": 3.5, "d": 1.0}


def test_the_pool_is_as_deep_as_the_deepest_step_and_k_cuts_at_the_end() -> None:
    cascade = Cascade(FIRST, Step(table(a=0.0, b=0.0, c=0.0, d=9.0), depth=4), Step(table(d=1.0, c=2.0), depth=2))
    cascade.index(CORPUS)
    assert cascade.retrieve(QUERY, 1).ids(0) == ["c"]
    assert [run.depth for run in cascade.trace(QUERY, 1)] == [4, 4, 4]
    assert [run.ids(0) for run in cascade.trace(QUERY, 1)] == [list("abcd"), list("dcba"), list("cdba")]


def test_candidates_given_by_mteb_are_ranked_by_the_first_stage_then_by_the_steps() -> None:
    cascade = Cascade(FIRST, Step(table(b=1.0, c=5.0, d=9.0), depth=2))
    cascade.index(CORPUS)
    found = cascade.search(QUERY, top_k=3, top_ranked={"q": ["d", "c", "b"]})["q"]
    assert list(found) == ["c", "b", "d"]
    assert (found["c"], found["b"]) == (5.0, 1.0)


def test_a_candidate_unknown_to_the_first_stage_can_still_be_scored_by_a_step() -> None:
    cascade = Cascade(table(a=4.0), Step(table(b=9.0, a=1.0), depth=2, blend=0.5))
    cascade.index(CORPUS)
    found = cascade.search(QUERY, top_k=2, top_ranked={"q": ["a", "b"]})["q"]
    assert list(found) == ["b", "a"]


@given(st.data())
def test_every_stage_of_the_trace_follows_the_definition(any_world: Any, data: st.DataObject) -> None:
    world = data.draw(any_world)
    first, *tables = (data.draw(TABLES) for _ in range(3))
    depths = sorted(data.draw(st.lists(st.integers(0, 9), min_size=2, max_size=2)), reverse=True)
    blends = data.draw(st.lists(st.sampled_from([0.0, 0.5, -1.0]), min_size=2, max_size=2))
    steps = [Step(Table(scores=s), d, b) for s, d, b in zip(tables, depths, blends, strict=True)]
    cascade = Cascade(Table(scores=first), *steps)
    cascade.index(world.corpus)
    k = data.draw(st.integers(1, 12))
    trace = cascade.trace(world.queries, k)
    text_of = dict(zip(world.corpus.ids.to_pylist(), world.corpus.texts.to_pylist(), strict=True))
    assert len(trace) == 3
    for number, step in enumerate(steps):
        before, after = trace[number], trace[number + 1]
        for row, query in enumerate(world.queries.texts):
            known = step.stage.scores[query]
            scores = {doc: known[text_of[doc]] for doc in before.ids(row) if text_of[doc] in known}
            ranking = list(zip(before.ids(row), before.scores[row].tolist(), strict=False))
            assert after.ids(row) == slow_step(ranking, scores, step.depth, step.blend)
            assert sorted(after.ids(row)) == sorted(before.ids(row))
    last = cascade.retrieve(world.queries, k)
    np.testing.assert_array_equal(last.docs, trace[-1].docs[:, :k])


@pytest.mark.parametrize("name", ["bm25", "static", "hybrid", "nested cascade", "hybrid of cascades"])
@pytest.mark.parametrize("depths", [(0,), (1,), (1, 1), (1, 0), (0, 0)])
def test_depth_1_and_0_equal_the_first_stage(
    name: str, depths: tuple[int, ...], stage_of: Callable[[str], Stage], any_world: Any
) -> None:
    first = stage_of(name)
    cascade = Cascade(first, *(Step(Table.coarse(), depth) for depth in depths))

    @settings(max_examples=10)
    @given(any_world, st.integers(1, 9))
    def check(world: Any, k: int) -> None:
        cascade.index(world.corpus)
        expected = first.retrieve(world.queries, k)
        run = cascade.retrieve(world.queries, k)
        np.testing.assert_array_equal(run.docs, expected.docs)
        assert run.as_dict().keys() == expected.as_dict().keys()

    check()


@given(st.data())
def test_a_depth_of_each_querys_own_equals_each_query_alone(any_world: Any, data: st.DataObject) -> None:
    world = data.draw(any_world)
    size = len(world.queries)
    wide = np.array(data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)))
    narrow = np.minimum(wide, np.array(data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size))))
    cascade = Cascade(
        Table(scores=data.draw(TABLES)), Step(Table(scores=data.draw(TABLES)), 9, 0.5), Step(Table.coarse(), 9)
    )
    cascade.index(world.corpus)
    runs = cascade.trace(world.queries, 9, depths=[wide, narrow])
    for row in range(size):
        alone = cascade.trace(world.queries.rows([row]), 9, depths=[int(wide[row]), int(narrow[row])])
        for run, one in zip(runs, alone, strict=True):
            assert run.ids(row) == one.ids(0)
            found = len(one.ids(0))
            assert run.scores[row, :found].tolist() == one.scores[0, :found].tolist()


def test_a_step_never_scores_beyond_a_querys_depth() -> None:
    asked = []

    class Watching(Table):
        def score(self, queries: Queries, candidates: Run) -> np.ndarray:
            asked.extend(candidates.ids(row) for row in range(len(queries)))
            return super().score(queries, candidates)

    cascade = Cascade(FIRST, Step(Watching(scores=FIRST.scores), 3))
    cascade.index(CORPUS)
    queries = Queries(("q", "p", "r"), ("red fox",) * 3)
    cascade.trace(queries, 4, depths=[np.array([1, 3, 0])])
    assert asked == [["a"], ["b", "c"]]  # of equal pairs one is asked for


def test_at_other_depths_is_another_cascade_over_the_same_stages() -> None:
    cascade = Cascade(FIRST, Step(table(d=9.0, c=8.0), 2, 0.5), name="mine/cascade")
    cascade.index(CORPUS)
    other = cascade.at(4, blends=[0.0])
    assert other.depths == [4]
    assert other.steps[0].blend == 0.0
    assert other[1] is cascade[1]
    assert other.retrieve(QUERY, 2).ids(0) == ["d", "c"]
    assert cascade.retrieve(QUERY, 2).ids(0) == ["a", "b"]
    with pytest.raises(InputError, match="mine/cascade has 1 steps; got 2 depths"):
        cascade.at(4, 2)


def test_it_iterates_indexes_and_prints_as_its_own_source() -> None:
    cascade = Cascade(BM25(), Step(BM25(k1=0.9), 20, 0.4), Step(BM25(b=0.0), 5))
    assert len(cascade) == 3
    assert [stage.k1 for stage in cascade] == [1.5, 0.9, 1.5]
    assert cascade[-1].b == 0.0
    again = eval(repr(cascade))
    assert repr(again) == repr(cascade)
    assert again.fingerprint == cascade.fingerprint


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Step(BM25(), -1), "depth: expected 0 or more, got -1"),
        (lambda: Step(BM25(), 1, float("inf")), "blend: expected a finite number, got inf"),
        (
            lambda: Cascade(BM25(), Step(BM25(), 2), Step(BM25(), 3)),
            "step 2 wants more than the 2 of the step before: 3",
        ),
        (lambda: Cascade(BM25(), Step(BM25(), 9), Step(BM25(), 2), Step(BM25(), 3)), "step 3 wants more than the 2"),
        (lambda: Cascade(BM25(), Step(BM25(), 2)).trace(QUERY, 3, depths=[1, 1]), "one depth a step, 1 of them, got 2"),
    ],
)
def test_wrong_wiring_is_refused(build: Callable[[], Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        build()
