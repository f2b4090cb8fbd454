from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine import latency
from mteb_cascade.errors import InputError
from mteb_cascade.retriever import calibrating
from mteb_cascade.retriever.budget import depths_within, has_budget
from mteb_cascade.retriever.calibrating import calibration_of, deepest_within, told
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.values.run import PAD, Run

SIZE = 60
CORPUS = Corpus.of([f"d{row}" for row in range(SIZE)], ["apple" + " pie" * row for row in range(SIZE)])
"""BM25 prefers the shorter: for "apple" it ranks d0, d1, d2 and so on."""

QUERIES = Queries(tuple(f"q{row}" for row in range(50)), tuple("apple" + " tart" * row for row in range(50)))


class Clock:
    """A clock that stands still but for what a stage says it took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(latency, "perf_counter", found)
    return found


@dataclass(kw_only=True, eq=False)
class Slow(Stage):
    """Takes a known time a pair, a started micro-batch counting as a whole one."""

    kind: ClassVar[str] = "slow"
    stored: ClassVar[bool] = False

    clock: Clock
    milliseconds: float = 2.0
    batch_size: int = 1
    asked: ClassVar[list[int]] = []

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        pairs = int((candidates.docs != PAD).sum())
        self.asked.append(pairs)
        self.clock.seconds += -(-pairs // self.batch_size) * self.batch_size * self.milliseconds / 1_000
        return np.where(candidates.docs == PAD, -np.inf, candidates.docs).astype(np.float32)

    @property
    def fingerprint(self) -> str:
        return f"slow{self.milliseconds}"


def slow_cascade(clock: Clock, budget_ms: float | None, depth: int = SIZE, first: float = 0.0, **options) -> Cascade:
    stages: list[Stage] = [BM25()]
    steps = [Step(Slow(clock=clock, milliseconds=first / SIZE, batch_size=SIZE), SIZE)] if first else []
    cascade = Cascade(stages[0], *steps, Step(Slow(clock=clock, **options), depth), budget_ms=budget_ms)
    cascade.index(CORPUS)
    return cascade


@pytest.mark.parametrize("budget_ms", [1.5, 3.0, 31.0, 32.5, 77.0, 119.0])
def test_the_cap_is_what_fits_to_the_pair(clock, budget_ms):
    found = calibration_of(slow_cascade(clock, budget_ms), QUERIES)
    # 2 ms a pair: half the budget in pairs fit, and not one more.
    assert found["cap"] == int(budget_ms / 2)
    assert found["keeps"]


@pytest.mark.parametrize(("batch", "budget_ms"), [(7, 20.0), (7, 90.0), (16, 63.0), (32, 20.0), (32, 90.0)])
def test_the_cap_is_what_fits_to_a_micro_batch(clock, batch, budget_ms):
    cascade = slow_cascade(clock, budget_ms, batch_size=batch)
    found = calibration_of(cascade, QUERIES)
    whole_batches = int(budget_ms / 2) // batch * batch
    assert whole_batches - batch < found["cap"] <= min(whole_batches, SIZE)
    # What is served then takes no longer than the budget.
    before = clock.seconds
    cascade.trace(QUERIES.rows([3]), 10, depths_within(cascade, found))
    assert (clock.seconds - before) * 1_000 <= budget_ms


def test_a_budget_that_all_candidates_keep_caps_nothing(clock):
    cascade = slow_cascade(clock, 1_000)
    found = calibration_of(cascade, QUERIES)
    assert (found["cap"], [one["depth"] for one in found["measured"]]) == (SIZE, [SIZE])
    assert depths_within(cascade, found) == (SIZE,)
    assert "all 60 candidates are scored, p95 120 ms" in told(found)


def test_a_budget_that_is_gone_before_the_last_step_leaves_it_nothing_and_says_so(clock):
    cascade = slow_cascade(clock, 40.0, first=50.0)
    found = calibration_of(cascade, QUERIES)
    assert (found["cap"], found["keeps"]) == (0, False)
    assert depths_within(cascade, found) == (SIZE, 0)
    assert "gone before the last step, p95 50 ms without it" in told(found)


def test_earlier_steps_keep_their_depths_and_take_from_the_budget(clock):
    cascade = slow_cascade(clock, 81.0, depth=40, first=50.0)
    found = calibration_of(cascade, QUERIES)
    assert depths_within(cascade, found) == (SIZE, 15)
    assert "15 of 40 candidates are scored, p95 80 ms over 50 queries" in told(found)


def test_the_slowest_twentieth_of_the_queries_may_break_it(clock):
    """Time follows from the text: two of 50 queries are very slow, which is less than one in twenty."""

    class Long(Slow):
        def score(self, queries, candidates):
            self.milliseconds = 500.0 if queries.ids[0] in self.slow else 2.0
            return super().score(queries, candidates)

    Long.slow = {"q7", "q11"}
    cascade = Cascade(BM25(), Step(Long(clock=clock), SIZE), budget_ms=51.0)
    cascade.index(CORPUS)
    assert calibration_of(cascade, QUERIES)["cap"] == 25
    Long.slow = {"q7", "q11", "q12", "q13"}
    assert calibration_of(cascade, QUERIES)["cap"] == 0


def test_the_rest_keeps_its_order(clock):
    """The slow stage turns the ranking over; below the cap nothing moves."""
    cascade = slow_cascade(clock, 11.0)
    depths = depths_within(cascade, calibration_of(cascade, QUERIES))
    found = cascade.trace(QUERIES.rows([0]), 10, depths)[-1]
    assert found.ids(0) == ["d4", "d3", "d2", "d1", "d0", "d5", "d6", "d7", "d8", "d9"]


def test_what_is_kept_is_json_and_says_how_it_was_measured(clock):
    cascade = slow_cascade(clock, 11.0)
    found = json.loads(json.dumps(calibration_of(cascade, QUERIES, "fifty queries", k=20)))
    assert {key: found[key] for key in ("budget_ms", "depth", "percentile", "k", "queries", "micro_batch")} == {
        "budget_ms": 11.0, "depth": SIZE, "percentile": 95, "k": 20, "queries": "fifty queries", "micro_batch": 1,
    }  # fmt: skip
    assert found["fingerprint"] == cascade.fingerprint
    assert found["machine"]["cores"] >= 1
    timed = {one["depth"]: one for one in found["measured"]}
    # One of the depths breaks the budget: it was given up after 4 of 50 calls, more than one in twenty.
    assert timed[0]["calls"] == timed[5]["calls"] == 50
    assert timed[SIZE]["calls"] == 4


def test_a_few_more_documents_make_no_calibration_old(clock):
    cascade = slow_cascade(clock, 11.0)
    found = calibration_of(cascade, QUERIES)
    assert found["documents"] == SIZE
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert depths_within(cascade, {**found, "documents": 55}) == (5,)


def test_no_budget_is_no_cap(clock):
    cascade = slow_cascade(clock, None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert depths_within(cascade, None) == (SIZE,)
        assert depths_within(BM25(), None) == ()
    assert not has_budget(cascade) and not has_budget(BM25()) and has_budget(slow_cascade(clock, 1.0))
    with pytest.raises(InputError, match="has no budget"):
        calibration_of(cascade, QUERIES)
    with pytest.raises(InputError, match="no query to time"):
        calibration_of(slow_cascade(clock, 1.0), QUERIES.rows([]))


@pytest.mark.parametrize(
    ("change", "says", "depths"),
    [
        ({"budget_ms": 20.0}, "the index was calibrated for 20 ms", (SIZE,)),
        ({"fingerprint": "other"}, "another version of the model", (SIZE,)),
        ({"machine": {"processor": "abacus"}}, "another machine .processor abacus", (5,)),
        ({"machine": {"cores": 10_000}}, "another machine .cores 10000", (5,)),
        ({"documents": 54}, "when the index held 54 documents; now it holds 60", (5,)),
        (None, "never calibrated", (SIZE,)),
    ],
)
def test_a_calibration_that_does_not_fit_is_warned_of(clock, change, says, depths):
    cascade = slow_cascade(clock, 11.0)
    found = calibration_of(cascade, QUERIES)
    kept = None if change is None else {**found, **change}
    with pytest.warns(UserWarning, match=says) as warned:
        assert depths_within(cascade, kept) == depths
    assert len(warned) == 1 and "bench DIR --calibrate" in str(warned[0].message)


@pytest.mark.parametrize("batch", [1, 8, 32])
def test_noise_never_takes_the_cap_over_the_budget(batch):
    for seed in range(50):
        random = np.random.default_rng(seed)
        tried: dict[int, float] = {}

        def p95(depth, random=random, tried=tried):
            tried[depth] = 5 + depth * random.uniform(0.8, 1.2)
            return tried[depth]

        cap = deepest_within(p95, 200, 100, batch)
        assert tried[cap] <= 100
        assert 60 <= cap <= 120
        assert len(tried) <= calibrating.ROUNDS
