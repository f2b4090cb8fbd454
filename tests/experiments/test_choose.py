from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from mteb_cascade.corpora import beir
from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.experiments.choose import choose_weight, choose_weights, simplex, spreads
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.hybrid import Hybrid, Member
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.values.list_fusion import FUSIONS
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import PAD, Run

CORPUS = Corpus.of([f"d{row}" for row in range(30)], ["text"] * 30)


@dataclass(kw_only=True, eq=False)
class Matrix(Stage):
    """Scores by row of the query's id and row of the corpus; counts its retrievals."""

    kind: ClassVar[str] = "matrix"

    scores: np.ndarray
    asked: list[int] = field(default_factory=list)

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        rows = np.array([int(one.removeprefix("q")) for one in queries.ids])
        found = self.scores[rows[:, None], candidates.docs]
        return np.where(candidates.docs == PAD, -np.inf, found).astype(np.float32)

    def retrieve(self, queries: Queries, k: int) -> Run:
        self.asked.append(k)
        return super().retrieve(queries, k)


def split_of(*relevant: str) -> Split:
    ids = tuple(f"q{row}" for row in range(len(relevant)))
    return Split(Queries(ids, ("text",) * len(ids)), Qrels({q: {d: 1} for q, d in zip(ids, relevant, strict=True)}))


def drawn(seed: int, queries: int = 8) -> tuple[list[Matrix], Split]:
    """Three stages of different scales, each of which tells something of the one relevant document."""
    random = np.random.default_rng(seed)
    answers = random.integers(0, 30, queries)
    told = np.zeros((queries, 30))
    told[np.arange(queries), answers] = 1.5
    stages = [Matrix(scores=scale * (random.normal(size=told.shape) + told)) for scale in (10.0, 0.1, 1.0)]
    return stages, split_of(*(f"d{row}" for row in answers))


def indexed(hybrid: Hybrid) -> Hybrid:
    hybrid.index(CORPUS)
    return hybrid


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("members", [2, 3])
def test_one_retrieval_says_what_a_new_hybrid_for_each_weight_says(fusion: str, members: int) -> None:
    stages, split = drawn(seed=members)
    hybrid = indexed(Hybrid(*stages[:members], pool=12, fusion=fusion))
    chosen, tried = choose_weights(hybrid, split, "mrr@10", lists=None)
    assert [stage.asked for stage in stages[:members]] == [[12]] * members
    for weights, values in tried.items():
        parts = [Member(stage, weight) for stage, weight in zip(stages, weights, strict=False)]
        run = indexed(Hybrid(*parts, pool=12, fusion=fusion)).retrieve(split.queries, 10)
        np.testing.assert_array_equal(values, evaluate(run, split.qrels, ["mrr@10"])["mrr@10"])
    best = max(float(mean(values)) for values in tried.values())
    assert float(mean(tried[chosen])) == best
    assert chosen == next(weights for weights, values in tried.items() if float(mean(values)) == best)
    assert len(tried) == {2: 11, 3: 66}[members]


def test_raw_scores_of_any_scale_are_tried_in_their_own_units() -> None:
    stages, split = drawn(seed=1, queries=60)
    hybrid = indexed(Hybrid(*stages[:2], pool=30))
    chosen, tried = choose_weights(hybrid, split)
    even = list(tried)[2]
    # The first stage's scores are a hundred times the second's.
    assert even[1] / even[0] == pytest.approx(100, rel=0.2)
    assert sum(even) == pytest.approx(1, abs=1e-3)
    assert min(chosen) > 0
    alone = [float(mean(tried[weights])) for weights in [(1.0, 0.0), (0.0, 1.0)]]
    assert float(mean(tried[chosen])) > max(alone)


def test_spreads_by_hand() -> None:
    docs = np.array([[0, 1], [2, PAD]], np.int32)
    run = Run.ranked(["q0", "q1"], CORPUS, docs, np.array([[5.0, 1.0], [7.0, 0.0]]))
    assert spreads([run, Run.empty(["q0", "q1"], CORPUS)]) == [1.0, 1.0]  # (2 + 0) / 2; nothing was found
    assert spreads([run.rows(slice(0, 1))]) == [2.0]


def test_of_equally_good_weights_the_simplest() -> None:
    stages, split = drawn(seed=0)
    twins = indexed(Hybrid(stages[0], Matrix(scores=stages[0].scores), pool=30, fusion="min-max"))
    assert choose_weights(twins, split)[0] == (1.0, 0.0)
    assert choose_weights(twins, split, grid=[(0.5, 0.5), (1.0, 0.0)])[0] == (0.5, 0.5)
    assert choose_weight(twins, split, weights=(3.0, 1.0, 2.0))[0] == 1.0


def test_lists_at_hand_are_not_retrieved_again() -> None:
    stages, split = drawn(seed=2)
    hybrid = indexed(Hybrid(*stages, pool=9))
    lists = hybrid.lists(split.queries)
    expected = choose_weights(hybrid, split)
    chosen, tried = choose_weights(hybrid, split, lists=lists)
    assert chosen == expected[0]
    assert list(tried) == list(expected[1])
    assert [stage.asked for stage in stages] == [[9, 9]] * 3


def test_one_weight_by_hand() -> None:
    # q0 wants d0 and q1 wants d1: 2 w against 1 for q0, w against 1.5 for q1.
    split = split_of("d0", "d1")
    first, second = np.zeros((2, 30)), np.zeros((2, 30))
    first[0, 0], second[0, 2] = 2.0, 1.0
    first[1, 2], second[1, 1] = 1.0, 1.5
    hybrid = indexed(Hybrid(Matrix(scores=first), Matrix(scores=second), pool=30))
    weight, tried = choose_weight(hybrid, split, "mrr@10", weights=(0.25, 1.0, 1.25, 2.0))
    assert tried == {0.25: 0.75, 1.0: 1.0, 1.25: 1.0, 2.0: 0.75}
    assert weight == 1.0


def test_the_grid_lists_the_simpler_first() -> None:
    grid = simplex(3)
    assert len(grid) == len(set(grid)) == 66
    assert {round(sum(shares), 9) for shares in grid} == {1.0}
    assert grid[:3] == [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)]
    assert grid[3] == (0.5, 0.5, 0.0)
    assert grid[30] == (0.4, 0.3, 0.3)


@pytest.mark.filterwarnings("ignore:.*their judgements are kept")
@pytest.mark.parametrize("fusion", FUSIONS)
def test_two_real_systems_together_beat_both(fusion: str, dl20: Collection, shared_data: Path) -> None:
    # TREC DL 2020's lists of SPLADE++ and RepLLaMA; weights are chosen on every other query and judged on the rest.
    split = dl20.split("test_full_official").judged()
    chosen_on, judged_on = (split.take(np.arange(first, len(split.queries), 2)) for first in (1, 0))
    files = [str(shared_data / "dl20" / "runs" / f"{name}.trec") for name in ("splade_pp_ed", "repllama")]
    hybrid = Hybrid(*(RunFile(file=file) for file in files), pool=100, fusion=fusion)
    hybrid.index(dl20.corpus)
    weights, _ = choose_weights(hybrid, chosen_on)
    lists = hybrid.lists(judged_on.queries)
    *alone, together = (
        float(mean(evaluate(run, judged_on.qrels, ["ndcg@10"])["ndcg@10"]))
        for run in [*lists, hybrid.points(lists).ranked(weights)]
    )
    assert together > max(alone)


@pytest.fixture(scope="module")
def dl20(shared_data: Path) -> Collection:
    return beir.load(shared_data / "dl20")
