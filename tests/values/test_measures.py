from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError
from mteb_cascade.values.measures import Measure, evaluate, mean
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

CORPUS = Corpus.of(["a", "b", "c"], ["text"] * 3)


def run_of(docs: list[list[int]]) -> Run:
    ids = [f"q{row}" for row in range(len(docs))]
    scores = np.tile(np.arange(len(docs[0]), 0, -1.0), (len(docs), 1))
    return Run.ranked(ids, CORPUS, np.array(docs, np.int32), scores)


def test_by_hand() -> None:
    qrels = Qrels({"q0": {"b": 2, "c": 1, "outside": 3, "a": 0}})
    names = ["success@1", "success@2", "recall@2", "mrr@3", "ndcg@3", "judged@2"]
    got = {name: value[0] for name, value in evaluate(run_of([[0, 1, 2]]), qrels, names).items()}
    gain = 2 / np.log2(3) + 1 / np.log2(4)
    ideal = 3 / np.log2(2) + 2 / np.log2(3) + 1 / np.log2(4)
    expected = [0, 1, 1 / 3, 1 / 2, gain / ideal, 1]
    assert list(got.values()) == pytest.approx(expected)


def test_relevance_level_is_for_all_but_ndcg() -> None:
    run, grades = run_of([[0, 1, 2]]), {"q0": {"a": 1, "b": 2}}
    names = ["success@1", "recall@1", "recall@2", "mrr@3", "ndcg@3"]
    two, one = evaluate(run, Qrels(grades, 2), names), evaluate(run, Qrels(grades, 1), names)
    assert [two[name][0] for name in names[:4]] == [0, 0, 1, 0.5]
    assert [one[name][0] for name in names[:4]] == [1, 0.5, 1, 1]
    assert two["ndcg@3"] == one["ndcg@3"]


def test_every_query_is_there() -> None:
    run = run_of([[0, 1], [-1, -1], [0, 1], [0, 1]])
    qrels = Qrels({"q0": {"b": 1}, "q1": {"a": 1}, "q2": {"a": 0}})
    values = evaluate(run, qrels, ["mrr@2", "ndcg@2", "judged@5"])
    np.testing.assert_equal(values["mrr@2"], [0.5, 0, np.nan, np.nan])
    np.testing.assert_equal(values["ndcg@2"][1:], [0, np.nan, np.nan])
    np.testing.assert_equal(values["judged@5"], [0.5, 0, 0.5, 0])
    assert mean(values["mrr@2"]) == 0.125
    assert mean(np.array([[1.0, np.nan], [0.5, 0.5]])).tolist() == [0.75, 0.25]


@pytest.mark.parametrize("name", ["nDCG@10", "ndcg", "ndcg@0", "ndgc@10", "recall@-1", "recall@1.5", ""])
def test_unknown_measure(name: str) -> None:
    with pytest.raises(InputError, match="expected a measure and its cut-off"):
        Measure.parse(name)


def test_unknown_measure_is_guessed() -> None:
    with pytest.raises(InputError, match="Did you mean 'ndcg'"):
        evaluate(run_of([[0]]), Qrels({}), ["nDGC@10"])
    assert str(Measure.parse("judged@3")) == "judged@3"


@given(data=st.data())
def test_ties_equal_trec_eval(any_case: st.SearchStrategy[Any], data: st.DataObject) -> None:
    case = data.draw(any_case)
    level = case.qrels.relevance_level
    theirs = {"ndcg_cut_3": "ndcg@3", "recall_2": "recall@2", "success_1": "success@1", "recip_rank": "mrr@99"}
    ours = evaluate(case.run, case.qrels, list(theirs.values()))
    judged = {query: dict(grades) for query, grades in case.qrels.grades.items()}
    slow = pytrec_eval.RelevanceEvaluator(judged, set(theirs), relevance_level=level).evaluate(case.run.as_dict())
    for row, query in enumerate(case.run.query_ids):
        for their_name, name in theirs.items():
            assert np.nan_to_num(ours[name][row]) == pytest.approx(slow.get(query, {}).get(their_name, 0), abs=1e-12)


def test_golden_values_of_trec_eval(shared_data: Path) -> None:
    folder = shared_data / "trec_eval"
    grades: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.test").read_text().splitlines():
        query, _, doc, grade = line.split()
        grades.setdefault(query, {})[doc] = int(grade)
    found: dict[str, dict[str, float]] = {}
    for line in (folder / "results.test").read_text().splitlines():
        query, _, doc, _, score, _ = line.split()
        found.setdefault(query, {})[doc] = float(score)
    printed: dict[str, dict[str, str]] = {}
    for line in (folder / "out.test.aq").read_text().splitlines():
        name, query, value = line.split()
        printed.setdefault(query, {})[name] = value

    ids = sorted({doc for docs in found.values() for doc in docs}, key=lambda doc: doc[::-1])
    corpus = Corpus.of(ids, ["text"] * len(ids))
    depth = max(len(docs) for docs in found.values())
    docs, scores = np.full((len(found), depth), -1, np.int32), np.zeros((len(found), depth))
    for row, scored in enumerate(found.values()):
        docs[row, : len(scored)] = corpus.rows(list(scored))
        scores[row, : len(scored)] = list(scored.values())
    run = Run.ranked(list(found), corpus, docs, scores)

    cutoffs = (5, 10, 15, 20, 30, 100, 200, 500, 1000)
    names = {f"ndcg@{k}": f"ndcg_cut_{k}" for k in cutoffs} | {f"recall@{k}": f"recall_{k}" for k in cutoffs}
    names |= {f"success@{k}": f"success_{k}" for k in (1, 5, 10)} | {"mrr@1000": "recip_rank"}
    values = evaluate(run, Qrels(grades), list(names))
    assert len(printed) == 4
    for name, theirs in names.items():
        for row, query in enumerate(run.query_ids):
            assert f"{values[name][row]:.4f}" == printed[query][theirs]
        assert f"{mean(values[name]):.4f}" == printed["all"][theirs]
