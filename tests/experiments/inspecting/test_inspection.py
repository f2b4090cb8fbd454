"""Single queries on their way through a cascade, by hand and against the cascade's own trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from noise_stage import Listwise, Noise
from noise_stage import collection as noise

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.inspecting.inspected import Answer, Place
from mteb_cascade.experiments.inspecting.inspection import inspect
from mteb_cascade.experiments.inspecting.way import way
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.values.curves import OUTCOMES
from mteb_cascade.values.phantoms import phantoms
from mteb_cascade.values.qrels import Qrels


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "cache"))


def listed(folder: Path, name: str, lists: dict[str, dict[str, float]]) -> RunFile:
    """A stage with these scores, which cannot score anything else."""
    lines = [
        f"{query} Q0 {doc} {rank} {score} {name}"
        for query, found in lists.items()
        for rank, (doc, score) in enumerate(found.items(), start=1)
    ]
    path = folder / f"{name}.trec"
    path.write_text("\n".join(lines) + "\n")
    return RunFile(file=str(path), name=f"local/{name}")


CORPUS = Corpus.of(["a", "b", "c", "d", "e"], ["red fox", "fox", "whale", "tree", "stone"])
GRADES = {
    "broken": {"a": 1, "c": 0},
    "recovered": {"b": 2, "outside": 1, "e": 1},
    "kept": {"a": 1},
    "missed": {"c": 1},
    "below": {"d": 1},
    "nothing": {},
}
FIRST = {query: {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0} for query in GRADES}
LAST = {
    "broken": {"c": 9.0, "b": 5.0, "a": 1.0},
    "recovered": {"b": 9.0, "a": 5.0},
    "kept": {"a": 9.0, "b": 5.0, "c": 1.0},
    "missed": {"b": 9.0, "a": 5.0, "c": 1.0},
    "below": {"a": 9.0, "b": 5.0, "c": 1.0},
    "nothing": {"a": 9.0, "b": 5.0, "c": 1.0},
}
CLASSES = dict(zip(GRADES, ("broken", "recovered", "kept", "missed", "unreachable", "unreachable"), strict=True))


@pytest.fixture
def world() -> Collection:
    queries = Queries(tuple(GRADES), tuple(f"about {query} foxes" for query in GRADES))
    return Collection("Hand", CORPUS, {"test": Split(queries, Qrels(GRADES))})


@pytest.fixture
def cascade(tmp_path: Path) -> Cascade:
    return Cascade(listed(tmp_path, "first", FIRST), Step(listed(tmp_path, "last", LAST), depth=3, blend=0.5))


def test_a_query_by_hand(world: Collection, cascade: Cascade) -> None:
    inspection = inspect(cascade, world)
    view = inspection.of(0, top=2)
    assert (view.query, view.text, view.number, view.outcome) == ("broken", "about broken foxes", 1, "broken")
    assert [(one.label, one.depth, one.blend, one.outcome, one.length) for one in view.stages] == [
        ("first", None, 0.0, None, 4),
        ("last", 3, 0.5, "broken", 4),
    ]
    # c: 9 + 2 / 2; b: 5 + 3 / 2; a: 1 + 4 / 2; d is not reranked.
    assert [(one.document, one.places) for one in view.candidates] == [
        ("c", (Place(3, 2.0, 2.0), Place(1, 10.0, 9.0))),
        ("b", (Place(2, 3.0, 3.0), Place(2, 6.5, 5.0))),
        ("a", (Place(1, 4.0, 4.0), Place(3, 3.0, 1.0))),
    ]
    assert [(one.text, one.grade, one.is_answer, one.is_phantom) for one in view.candidates] == [
        ("whale", 0, False, True),
        ("fox", None, False, True),
        ("red fox", 1, True, False),
    ]
    assert view.answers == (Answer("a", 1, True, (1, 3)),) and view.phantoms == 2
    assert [one.document for one in inspection.of(0, top=1).candidates] == ["c", "a"]
    assert [(one.document, one.places[1]) for one in inspection.of(0, top=1, also="d").candidates][-1] == (
        "d",
        Place(4, None, None),
    )
    assert inspection.of(0, top=1, also="e").candidates[-1].places == (None, None)


def test_answers_that_no_stage_can_put_first(world: Collection, cascade: Cascade) -> None:
    inspection = inspect(cascade, world)
    assert inspection.of(1).answers == (
        Answer("b", 2, True, (2, 1)),
        Answer("outside", 1, False, (None, None)),
        Answer("e", 1, True, (None, None)),
    )
    assert inspection.of(4).answers == (Answer("d", 1, True, (4, 4)),)
    assert inspection.of(5).answers == ()
    # The second stage says nothing of c.
    assert inspection.of(1).candidates[2].document == "c"
    assert inspection.of(1).candidates[2].places == (Place(3, 2.0, 2.0), Place(3, None, None))


def test_classes_and_filters(world: Collection, cascade: Cascade) -> None:
    inspection = inspect(cascade, world)
    assert {inspection.queries.ids[row]: inspection.of(row).outcome for row in range(6)} == CLASSES
    for name in OUTCOMES:
        assert inspection.selected(name) == [row for row, one in enumerate(CLASSES.values()) if one == name]
    # In "missed" the answer c was last of three and stays there; nothing rose over it from below.
    assert inspection.selected(phantoms=True) == [0]
    assert inspection.selected(text="FOXES kept") == [2]
    assert inspection.selected() == [*range(6)]
    with pytest.raises(
        InputError,
        match=r"of 1 there are: unreachable 0, missed 0, kept 1, recovered 0, broken 0; with phantoms 0",
    ):
        inspection.selected("broken", text="kept")
    for arguments, message in (
        ({"outcome": "brokn"}, "unknown class 'brokn'.*Did you mean 'broken'"),
        ({"text": "zebra"}, "no query of Hand test has the words 'zebra'"),
        ({"text": "?!"}, "expected words, got '\\?!'"),
    ):
        with pytest.raises(InputError, match=message):
            inspection.selected(**arguments)


def test_queries_are_found_by_id_and_by_number(world: Collection, cascade: Cascade) -> None:
    inspection = inspect(cascade, world)
    assert [inspection.row_of(asked) for asked in ("missed", "#1", "#6")] == [3, 0, 5]
    for asked, meant in (("misssed", "Did you mean 'missed'"), ("#7", "as '#1'"), ("#0", "as '#1'")):
        with pytest.raises(InputError, match=f"Hand test has no query '{asked}' among its 6.*{meant}"):
            inspection.row_of(asked)
    with pytest.raises(InputError, match="Hand has no document 'z'"):
        inspection.of(0, also="z")


def test_the_class_as_a_whole_is_from_the_first_stage_to_the_last(world: Collection, tmp_path: Path) -> None:
    first, last = listed(tmp_path, "first", FIRST), listed(tmp_path, "last", LAST)
    lifts_c = listed(tmp_path, "lifts", {query: {"c": 9.0, "b": 5.0, "a": 1.0} for query in GRADES})
    inspection = inspect(Cascade(first, Step(lifts_c, depth=3), Step(last, depth=2)), world)
    # c, b, a after the second stage; the third looks at c and b alone, and knows b alone.
    views = {inspection.queries.ids[row]: inspection.of(row) for row in range(5)}
    steps = {query: ([one.outcome for one in view.stages[1:]], view.outcome) for query, view in views.items()}
    assert steps["kept"] == (["broken", "unreachable"], "broken")
    assert steps["recovered"] == (["missed", "recovered"], "recovered")
    assert steps["missed"] == (["recovered", "broken"], "missed")
    assert steps["below"] == (["unreachable", "unreachable"], "unreachable")


@pytest.mark.parametrize("own_ids", [False, True])
def test_rankings_are_those_of_the_trace(own_ids: bool) -> None:
    world = noise(own_ids=own_ids)
    inner = Cascade(Noise(seed=1), Step(Noise(seed=2), depth=20, blend=0.5))
    cascade = Cascade(inner, Step(Listwise(seed=3), depth=9), Step(Noise(seed=4), depth=4, blend=-1.0))
    inspection = inspect(cascade, world, k=30)
    cascade.index(world.corpus)
    queries = world.split("test").queries
    traced = [*inner.trace(queries, 30), *cascade.trace(queries, 30)[1:]]
    trail = inspection.trail(range(len(queries)))
    for row in range(len(queries)):
        alone = inspection.trail([row])
        for run, expected, one in zip(trail.runs, traced, alone.runs, strict=True):
            expected = expected.without_identical_ids() if own_ids else expected
            assert run.ids(row) == expected.ids(row) == one.ids(0)
            np.testing.assert_array_equal(run.scores[row], expected.scores[row])


def test_phantoms_are_those_of_the_values() -> None:
    world = noise(queries=30, documents=40)
    for seed in range(5):
        inspection = inspect(Cascade(Noise(seed=9), Step(Noise(seed=seed, lift=0.0), depth=25, blend=0.3)), world)
        queries, step = world.split("test").queries, inspection.steps[0]
        scores = step.stage.score(queries, inspection.received.cut(25))
        expected = phantoms(inspection.received, scores, world.split("test").qrels, queries, 0.3, most=10_000)
        trail = inspection.trail(range(len(queries)))
        found = {
            (queries.ids[row], world.corpus.id_of(int(trail.runs[-1].docs[row, column])))
            for row, column in np.argwhere(trail.phantoms)
        }
        assert found == {(one.query, one.document) for one in expected} and found


def test_what_stands_alone_and_what_only_reranks(world: Collection, tmp_path: Path) -> None:
    alone = inspect(BM25(), world).of(2)
    assert [(one.label, one.outcome) for one in alone.stages] == [("bm25", None)]
    assert alone.outcome == "missed" and [one.document for one in alone.candidates] == ["b", "a"]
    view = inspect(listed(tmp_path, "first", FIRST), world).of(2)
    assert (view.outcome, view.phantoms) == ("kept", 0)

    begin, steps = way(Noise(seed=1))
    assert isinstance(begin, BM25) and [step.depth for step in steps] == [100]
    begin, steps = way(Noise(seed=1), Noise(seed=2), depth=7)
    assert (begin.seed, [step.depth for step in steps]) == (2, [7])
    inner = Cascade(Noise(seed=1), Step(Noise(seed=2), depth=9))
    assert [step.depth for step in way(Noise(seed=3), inner, depth=5)[1]] == [9, 5]
    for stage, first, depth, message in (
        (inner, BM25(), None, "--first: cascade is a cascade"),
        (inner, None, 5, "--depth: cascade is a cascade"),
        (BM25(), None, 5, "--depth: bm25 reranks nothing"),
    ):
        with pytest.raises(InputError, match=message):
            way(stage, first, depth)


def test_candidates_of_a_reranking_task(world: Collection, cascade: Cascade) -> None:
    part = replace(world.split("test"), candidates={query: ["d", "c", "e"] for query in GRADES})
    view = inspect(cascade, replace(world, splits={"test": part})).of(0)
    # Neither stage says anything of e, and the second nothing of d.
    assert [(one.document, one.places) for one in view.candidates] == [
        ("c", (Place(1, 2.0, 2.0), Place(1, 10.0, 9.0))),
        ("d", (Place(2, 1.0, 1.0), Place(2, None, None))),
        ("e", (Place(3, None, None), Place(3, None, None))),
    ]
    assert view.answers == (Answer("a", 1, True, (None, None)),) and view.outcome == "unreachable"
