"""TREC Deep Learning 2020: six shipped first stages, five shipped listwise reorderings, against the official qrels."""

from __future__ import annotations

import pytest
from official_dl20 import DL20

import mteb_cascade as mc
from mteb_cascade.corpora import run_files
from mteb_cascade.corpora.load import load
from mteb_cascade.stages.tfidf import TFIDF
from mteb_cascade.values.measures import evaluate, mean

SPLIT = "test_full_official"
pytestmark = pytest.mark.filterwarnings("ignore:.*that the folder does not hold")


def test_a_sweep_over_the_six_first_stages_begins_at_their_official_figures(shared_data):
    folder = shared_data / "dl20"
    swept = mc.sweep(
        first=[folder / "runs" / f"{name}.trec" for name in DL20],
        rerank=[TFIDF(name="local/tfidf")],
        tasks=[folder],
        split=SPLIT,
        relevance_level=2,
        depth=30,
        measures=("success@1", "recall@100", "ndcg@10"),
        output=None,
    )
    assert [one.result["first"]["label"] for one in swept] == list(DL20)
    for one in swept:
        ndcg, recall, success = DL20[one.result["first"]["label"]]
        curves = one.result["curves"]
        assert curves["ndcg@10"]["alone"][0] == pytest.approx(ndcg, abs=5e-5)
        assert curves["recall@100"]["first stage"] == pytest.approx(recall, abs=5e-5)
        assert curves["success@1"]["alone"][0] == pytest.approx(success, abs=5e-4)
        assert one.result["relevance_level"] == 2
        assert one.result["highest_recall@1"] == pytest.approx(0.093, abs=5e-4)
        judged = one.result["outcomes"]["alone"]
        assert {sum(column) for column in zip(*judged.values(), strict=True)} == {54}
    winners = swept[0].result["first_stages"][0]["stages"]
    assert {name: round(one["success@1"], 3) for name, one in winners.items()} == {
        name: success for name, (_, _, success) in DL20.items()
    }


def test_a_listwise_reordering_is_one_point(shared_data):
    folder = shared_data / "dl20"
    (reordered, *_) = sorted((folder / "runs_reranked").glob("*.trec"))
    (swept,) = mc.sweep(
        first=[folder / "runs" / "bm25.trec"],
        rerank=[reordered],
        tasks=[folder],
        split=SPLIT,
        relevance_level=2,
        measures=("success@1", "ndcg@10"),
        output=None,
    )
    assert swept.result["depths"] == [100]
    assert not swept.result["pointwise"]
    collection = load(folder, SPLIT, relevance_level=2)
    split = collection.split(SPLIT)
    run = run_files.read(reordered).run(split.queries, collection.corpus)
    for name, values in evaluate(run, split.qrels, ("success@1", "ndcg@10")).items():
        assert swept.result["curves"][name]["alone"] == pytest.approx([float(mean(values))], abs=1e-6)
