from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError
from mteb_cascade.values.curves import curves
from mteb_cascade.values.floors import random_order, random_retriever
from mteb_cascade.values.measures import evaluate
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

CUTOFFS = (1, 2, 3, 10)
NAMES = tuple(f"{kind}@{cutoff}" for kind in ("success", "recall", "mrr", "ndcg", "judged") for cutoff in CUTOFFS)
FIVE = Corpus.of(["d2", "d10", "é", "z", "a"], ["text"] * 5)


def ranking(documents: int, relevant: int) -> tuple[Run, Qrels]:
    """One query whose first `relevant` of so many candidates are relevant."""
    ids = [f"d{row:04}" for row in range(documents)]
    run = Run.ranked(["q"], Corpus.of(ids, ids), np.arange(documents)[None], -np.arange(documents, dtype=float)[None])
    return run, Qrels({"q": dict.fromkeys(ids[:relevant], 1)})


def test_by_hand() -> None:
    run, qrels = ranking(4, 1)
    got = random_order(run, qrels, ("success@2", "mrr@10", "recall@1", "ndcg@2"), 4)
    assert got["success@2"][0].tolist() == pytest.approx([1, 1, 2 / 3, 1 / 2])
    assert got["mrr@10"][0].tolist() == pytest.approx([1, (1 + 1 / 2) / 2, 11 / 18, 25 / 48])
    assert got["recall@1"][0].tolist() == pytest.approx([1, 1 / 2, 1 / 3, 1 / 4])
    both = 1 + 1 / np.log2(3)
    assert got["ndcg@2"][0].tolist() == pytest.approx([1, both / 2, both / 3, both / 4])
    assert got["mrr@10"].dtype == np.float32


def test_what_lies_beyond_the_depth_keeps_its_rank() -> None:
    run, _ = ranking(5, 0)
    got = random_order(run, Qrels({"q": {"d0003": 1, "outside": 1}}), ("mrr@10", "success@4", "recall@4"), 4)
    assert got["mrr@10"][0].tolist() == pytest.approx([1 / 4, 1 / 4, 1 / 4, 25 / 48])
    assert got["success@4"][0].tolist() == [1, 1, 1, 1]
    assert got["recall@4"][0].tolist() == [0.5, 0.5, 0.5, 0.5]


@given(data=st.data())
def test_random_order_is_the_mean_over_all_orders(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    columns = data.draw(st.integers(0, min(case.run.depth, 4)))
    got = random_order(case.run, case.qrels, NAMES, columns)
    every_order = [np.tile(order, (len(case.run.query_ids), 1)) for order in permutations(range(columns))]
    slow = [curves(case.run, order.astype(np.float32), case.qrels, NAMES) for order in every_order]
    for name in NAMES:
        assert got[name].shape == (len(case.run.query_ids), columns)
        wanted = np.mean([one[name] for one in slow], axis=0)
        np.testing.assert_allclose(got[name], wanted, atol=2e-6, err_msg=name)


@given(
    grades=st.dictionaries(st.sampled_from([*"za", "é", "d10", "d2", "outside"]), st.integers(-1, 3), max_size=5),
    level=st.integers(1, 2),
)
def test_random_retriever_is_the_mean_over_all_rankings(grades: dict[str, int], level: int) -> None:
    orders = np.array(list(permutations(range(5))), np.int32)
    ids = [f"q{row}" for row in range(len(orders))]
    run = Run.ranked(ids, FIVE, orders, np.tile(-np.arange(5.0), (len(orders), 1)))
    slow = evaluate(run, Qrels(dict.fromkeys(ids, grades), level), NAMES)
    got = random_retriever(["q", "unjudged"], FIVE, Qrels({"q": grades}, level), NAMES)
    for name in NAMES:
        assert got[name].shape == (2,) and got[name].dtype == np.float64
        assert got[name][0] == pytest.approx(slow[name].mean(), nan_ok=True), name
        assert name.startswith("judged") or np.isnan(got[name][1])


@pytest.mark.parametrize(("documents", "relevant", "cutoff"), [(1000, 30, 10), (500, 1, 100), (300, 300, 5)])
def test_success_is_hypergeometric(documents: int, relevant: int, cutoff: int) -> None:
    run, qrels = ranking(documents, relevant)
    name = f"success@{cutoff}"
    wanted = 1 - scipy.stats.hypergeom.pmf(0, documents, relevant, cutoff)
    assert random_order(run, qrels, [name])[name][0, -1] == pytest.approx(wanted, abs=1e-6)
    assert random_retriever(["q"], run.corpus, qrels, [name])[name][0] == pytest.approx(wanted, abs=1e-12)


def test_mrr_by_simulation() -> None:
    run, qrels = ranking(60, 4)
    rng = np.random.default_rng(3)
    first = np.array([rng.permutation(60)[:4].min() for _ in range(20_000)])
    wanted = np.where(first < 10, 1 / (first + 1), 0).mean()
    assert random_order(run, qrels, ["mrr@10"])["mrr@10"][0, -1] == pytest.approx(wanted, abs=0.01)


def test_the_full_corpus_shuffled_is_the_random_retriever() -> None:
    run, qrels = ranking(50, 7)
    names = ("success@5", "recall@5", "mrr@20", "ndcg@10", "judged@3")
    shuffled, drawn = random_order(run, qrels, names), random_retriever(["q"], run.corpus, qrels, names)
    assert {name: shuffled[name][0, -1] for name in names} == {
        name: pytest.approx(drawn[name][0], abs=1e-6) for name in names
    }


def test_nothing_to_draw_from() -> None:
    nothing = Corpus.of([], [])
    qrels = Qrels({"q": {"outside": 1}})
    assert {value[0] for value in random_retriever(["q"], nothing, qrels, NAMES).values()} == {0}
    assert {value.shape for value in random_order(Run.empty(["q"], nothing), qrels, NAMES).values()} == {(1, 0)}
    with pytest.raises(InputError, match="unknown measure"):
        random_retriever(["q"], nothing, qrels, ["precision@1"])
