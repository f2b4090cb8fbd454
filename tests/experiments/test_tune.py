from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from mteb_cascade.corpora.collection import Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.confirm import confirmation
from mteb_cascade.experiments.handed_on import handed_on
from mteb_cascade.experiments.tune import tune
from mteb_cascade.experiments.tuning_choices import Times, Tried, tried, with_last_blend
from mteb_cascade.experiments.within_budget import Choice
from mteb_cascade.progress import silent
from mteb_cascade.stages import load as loading
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import PAD, Run

SIZE = 8
CORPUS = Corpus.of([f"d{row}" for row in range(SIZE)], ["apple" + " pie" * row for row in range(SIZE)])
"""BM25 prefers the shorter: for "apple" it ranks d0, d1, d2 and so on."""


@dataclass(kw_only=True, eq=False)
class Seeded(Stage):
    """Random scores that follow from the seed and the texts' lengths alone."""

    kind: ClassVar[str] = "seeded"

    seed: int = 0

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        table = np.random.default_rng(self.seed).normal(size=(50, len(CORPUS)))
        rows = np.array([len(text.split()) for text in queries.texts])
        found = table[rows[:, None], candidates.docs]
        return np.where(candidates.docs == PAD, -np.inf, found).astype(np.float32)


@dataclass(kw_only=True, eq=False)
class Tempted(Stage):
    """Likes d2, which is relevant, and d4 even more, which is not: depths 3 and 4 are the best."""

    kind: ClassVar[str] = "tempted"

    seconds: float = 0.0

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        time.sleep(self.seconds * int((candidates.docs != PAD).sum()))
        found = np.select([candidates.docs == 2, candidates.docs == 4], [1.0, 2.0], 0.0)
        return np.where(candidates.docs == PAD, -np.inf, found).astype(np.float32)


class SeededListwise(Seeded):
    """The same scores, of a stage that is run for every depth."""

    kind: ClassVar[str] = "seeded-listwise"
    pointwise: ClassVar[bool] = False


def split_of(count: int, relevant: Callable[[int], dict[str, int]]) -> Split:
    ids = tuple(f"q{row}" for row in range(count))
    texts = tuple("apple" + " tart" * row for row in range(count))
    return Split(Queries(ids, texts), Qrels({one: relevant(row) for row, one in enumerate(ids)}))


def drawn(seed: int, count: int = 6) -> Split:
    random = np.random.default_rng(seed)
    return split_of(
        count, lambda row: {f"d{doc}": int(random.integers(1, 3)) for doc in random.choice(SIZE, 2, replace=False)}
    )


def tried_all(cascade: Cascade, split: Split, metric: str, *, own: bool = False, keep: int = 0) -> Tried:
    cascade.index(CORPUS)
    return tried(
        cascade, split.queries, split, SIZE, metric, lambda depths: float(sum(depths)),
        ignore_identical_ids=own, keep=keep, progress=silent,
    )  # fmt: skip


def reached(cascade: Cascade, split: Split, metric: str, *, own: bool = False) -> float:
    run = cascade.retrieve(split.queries, SIZE)
    run = run.without_identical_ids() if own else run
    return float(mean(evaluate(run, split.qrels, [metric])[metric]))


@pytest.mark.parametrize("metric", ["success@1", "mrr@10", "ndcg@5"])
@pytest.mark.parametrize("stage", [Seeded(), SeededListwise()])
def test_every_choice_is_worth_what_that_cascade_reaches(metric: str, stage: Stage) -> None:
    split = drawn(seed=1)
    cascade = Cascade(BM25(), Step(stage, depth=3, blend=0.7))
    found = tried_all(cascade, split, metric)
    assert {(0.0,), (0.7,)} < {one.blends for one in found.choices}
    depths = {one.depths for one in found.choices}
    assert depths == ({(depth,) for depth in range(1, SIZE + 1)} if stage.pointwise else depths)
    assert (SIZE,) in depths
    for one in found.choices:
        assert one.quality == pytest.approx(
            reached(cascade.at(*one.depths, blends=one.blends), split, metric), abs=1e-6
        )
        assert one.latency == one.depths[0]


@pytest.mark.parametrize("stages", [[Seeded(seed=1), Seeded(seed=2)], [Seeded(seed=1), SeededListwise(seed=2)]])
def test_every_combination_is_worth_what_that_cascade_reaches(stages: list[Stage]) -> None:
    split = drawn(seed=2)
    cascade = Cascade(BM25(), *(Step(stage, depth=3, blend=0.3) for stage in stages))
    found = tried_all(cascade, split, "mrr@10")
    grid = [1, 3, 5, 8]
    assert {one.depths for one in found.choices} == {(a, b) for a in grid for b in grid if b <= a}
    for one in found.choices:
        assert one.quality == pytest.approx(reached(cascade.at(*one.depths), split, "mrr@10"), abs=1e-6)
    chosen = next(one for one in found.choices if one.depths == (8, 5))
    better = with_last_blend(cascade, chosen, split.queries, split, "mrr@10", False)
    assert better.depths == (8, 5)
    assert better.blends[0] == 0.3
    assert better.quality == pytest.approx(reached(cascade.at(8, 5, blends=better.blends), split, "mrr@10"), abs=1e-6)
    assert better.quality >= chosen.quality


@pytest.mark.parametrize("steps", [1, 2])
def test_the_query_s_own_document_is_taken_out_once_it_is_ranked(steps: int) -> None:
    split = drawn(seed=3)
    ids = ("d0", "d3", "q", "d7")
    split = Split(Queries(ids, split.queries.texts[:4]), Qrels({one: {"d1": 1, "d3": 1} for one in ids}))
    cascade = Cascade(BM25(), *(Step(Seeded(seed=4 + step), depth=3) for step in range(steps)))
    for one in tried_all(cascade, split, "mrr@10", own=True).choices:
        at = cascade.at(*one.depths, blends=one.blends)
        assert one.quality == pytest.approx(reached(at, split, "mrr@10", own=True), abs=1e-6)


@pytest.mark.parametrize("stages", [[Seeded(seed=5)], [SeededListwise(seed=5)], [Seeded(seed=5), Seeded(seed=6)]])
def test_what_is_handed_on_by_hand(stages: list[Stage]) -> None:
    split = drawn(seed=5)
    cascade = Cascade(BM25(), *(Step(stage, depth=SIZE, blend=40.0) for stage in stages))
    found = tried_all(cascade, split, "recall@2", keep=2)
    chosen = next(one for one in found.choices if one.depths[-1] == SIZE and one.blends[-1] == 40.0)
    entries = handed_on(found, stages[-1], split, 2, chosen)
    assert list(chosen.depths) in [one["depths"] for one in entries]
    for one in entries:
        run = cascade.at(*one["depths"], blends=chosen.blends).retrieve(split.queries, 2)
        # d0 has one word, d1 two: a document's row tells its length.
        tokens = float((run.docs + 1).sum(axis=1).mean())
        recall = reached(cascade.at(*one["depths"], blends=chosen.blends), split, "recall@2")
        assert one["tokens"] == pytest.approx(tokens, abs=0.06)
        assert one["recall@2"] == pytest.approx(recall, abs=1e-5)
        assert one["recall per 1,000 tokens"] == pytest.approx(1000 * recall / tokens, rel=1e-5)


def test_expected_latency_by_hand() -> None:
    def told(value: float) -> dict[str, float]:
        return {"p50": value / 2, "p95": value, "p99": 2 * value}

    times = Times([1, 11], [told(12), told(40)], [[told(10), told(1), told(2)], [told(12), told(11), told(22)]], {})
    assert times.at(95)((6,)) == 26  # with one step: what the whole took, linear between
    assert times.at(50)((1,)) == 6
    # With two: the first stage retrieving 11, the second scoring 11, the third scoring 6.
    assert times.at(95)((11, 6)) == 12 + 11 + 12
    assert times.of_stage(0, 1, 99) == 20


def folder_of(tmp_path: Path, **splits: int) -> Path:
    """A BEIR folder whose queries all want d2."""
    folder = tmp_path / "data"
    (folder / "qrels").mkdir(parents=True)
    rows = zip(CORPUS.ids.to_pylist(), CORPUS.texts.to_pylist(), strict=True)
    (folder / "corpus.jsonl").write_text("".join(json.dumps({"_id": i, "text": t}) + "\n" for i, t in rows))
    ids = {name: [f"{name}{row}" for row in range(count)] for name, count in splits.items()}
    queries = [json.dumps({"_id": one, "text": "apple"}) for several in ids.values() for one in several]
    (folder / "queries.jsonl").write_text("\n".join(queries) + "\n")
    for name, several in ids.items():
        lines = "".join(f"{one}\td2\t1\n" for one in several)
        (folder / "qrels" / f"{name}.tsv").write_text("query-id\tcorpus-id\tscore\n" + lines)
    return folder


def test_the_shallowest_of_the_best_is_chosen_and_confirmed(tmp_path: Path) -> None:
    cascade = Cascade(BM25(), Step(Tempted(), depth=SIZE), name="local/mine")
    folder = folder_of(tmp_path, dev=4, test=6)
    found = tune(cascade, folder, budget_ms=60_000, calls=2, output=tmp_path / "out")
    # d2 stands third, and first once it is scored; d4 passes it at depth 5.
    assert (found["chosen"]["depths"], found["chosen"]["blends"], found["chosen"]["quality"]) == ([3], [0.0], 1.0)
    assert (found["dev"], found["dev_queries"], found["confirmed"]["queries"]) == ("dev", 4, 6)
    assert {name: found["confirmed"][name]["mean"] for name in ("first stage", "spec", "chosen")} == {
        "first stage": 0.0,
        "spec": 0.0,
        "chosen": 1.0,
    }
    assert found["confirmed"]["chosen - spec"]["difference"] == 1.0
    latencies = [one["latency_ms"] for one in found["front"]]
    assert latencies == sorted(latencies)
    assert found["front"][-1]["quality"] == 1.0
    assert json.loads(Path(found["path"]).read_text())["chosen"] == found["chosen"]
    assert Path(found["path"]).parent == tmp_path / "out"


def test_what_is_too_slow_is_not_chosen(tmp_path: Path) -> None:
    # 20 ms a candidate: depth 3, which is best, takes 60 ms at least.
    cascade = Cascade(BM25(), Step(Tempted(seconds=0.02), depth=4))
    try:
        found = tune(cascade, folder_of(tmp_path, dev=1, test=1), budget_ms=55, depth=4, calls=3, output=None)
    except InputError as error:  # on a machine that is too busy for depth 1, too
        assert "no depth keeps 55 ms: the first stage alone, bm25, takes" in str(error)
    else:
        assert found["chosen"]["depths"] < [3]
        assert found["chosen"]["latency_ms"] <= 55
        assert found["latency"]["chosen"]["p50"] >= 20


def test_without_a_dev_split_a_share_of_test_chooses(tmp_path: Path) -> None:
    cascade = Cascade(BM25(), Step(Tempted(), depth=5))
    folder = folder_of(tmp_path, train=5, test=10)
    with pytest.raises(InputError, match=r"no development queries for split 'test'; give --dev-fraction \.2"):
        tune(cascade, folder, budget_ms=60_000, calls=1)
    found = tune(cascade, folder, budget_ms=60_000, dev_fraction=0.3, calls=1, output=None)
    assert (found["split"], found["dev"]) == ("test[dev=.3,seed=0]", "dev[.3,seed=0 of test]")
    assert (found["dev_queries"], found["confirmed"]["queries"]) == (3, 7)


def test_three_stages_and_documents_handed_on(tmp_path: Path) -> None:
    cascade = Cascade(BM25(), Step(Tempted(), depth=SIZE), Step(Tempted(), depth=4))
    found = tune(cascade, folder_of(tmp_path, dev=3, test=3), budget_ms=60_000, keep=1, calls=1, output=None)
    assert found["metric"] == "recall@1"
    # Of the grid's depths, only the spec's 4 lets d2 in and d4 not.
    assert found["chosen"]["depths"] == [4, 1]
    assert found["confirmed"]["chosen"] == {"mean": 1.0, "low": 1.0, "high": 1.0, "tokens": 3.0}
    assert found["confirmed"]["first stage"]["tokens"] == 1.0
    assert {"depths": [4, 1], "recall@1": 1.0, "tokens": 3.0}.items() <= next(
        one for one in found["handed_on"] if one["depths"] == [4, 1]
    ).items()


def test_a_new_spec_is_written_and_is_the_cascade_that_was_confirmed(
    write_spec: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "KINDS", {**loading.KINDS, "tempted": Tempted})
    write_spec("first", 'kind = "bm25"\n')
    write_spec("last", 'kind = "tempted"\n')
    old = 'kind = "cascade"\n[[stage]]\nmodel = "first"\n[[stage]]\nmodel = "last"\ndepth = 6\n'
    write_spec("mine", old)
    folder = folder_of(tmp_path, dev=3, test=3)
    found = tune("mine", folder, budget_ms=60_000, calls=1, write="fast", output=None)
    made = loading.load("fast")
    assert found["written"] == "models/fast.toml"
    assert (made.depths, made.blends) == ([3], [0.0])
    assert (tmp_path / "models" / "mine.toml").read_text() == old
    with pytest.raises(InputError, match=r"fast\.toml exists already"):
        tune("mine", folder, budget_ms=60_000, calls=1, write="fast", output=None)


def test_confirmation_takes_out_the_query_s_own_document() -> None:
    from mteb_cascade.corpora.collection import Collection

    split = Split(Queries(("d0", "q"), ("apple", "apple")), Qrels({"d0": {"d1": 1}, "q": {"d0": 1}}))
    cascade = Cascade(BM25(), Step(Tempted(), depth=1))
    told = {
        own: confirmation(
            cascade,
            Choice((3,), (0.0,), 0, 0),
            Collection("mine", CORPUS, {"test": split}, ignore_identical_ids=own),
            "test",
            "success@1",
            progress=silent,
        )["first stage"]["mean"]
        for own in (False, True)
    }
    assert told == {False: 0.5, True: 1.0}
