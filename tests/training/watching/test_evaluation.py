"""The depth sweep while training: the same figures as the cascade's, whatever the kind, and nothing left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mteb_cascade.corpora.collection import Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.load import stage_class
from mteb_cascade.training.data.training_data import TrainingData
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.options import Evaluation
from mteb_cascade.training.watching.evaluation import LOG, DepthSweep, add_line, logged
from mteb_cascade.values.measures import evaluate, mean
from mteb_cascade.values.qrels import Qrels

COLOURS, BEASTS, PLACES = ("red", "blue", "green", "old"), ("fox", "whale"), ("tree", "stone")
# What differs comes first: the tiny network hardly reads the end, and what ties but for rounding may turn with a pack.
TEXTS = [f"{place} {colour} {beast} of the" for colour in COLOURS for beast in BEASTS for place in PLACES]
KINDS = {
    "bi-encoder": "tiny_bi_encoder",
    "cross-encoder": "tiny_cross_encoder",
    "sparse": "tiny_sparse",
    "late-interaction": "tiny_late_interaction",
}


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return Corpus.of([f"d{row}" for row in range(len(TEXTS))], TEXTS)


@pytest.fixture(scope="module")
def split() -> Split:
    """Every query shares its words with some documents; one answer is found by no first stage."""
    asked = ("red fox", "blue whale stone", "green tree", "old whale", "the stone")
    queries = Queries(tuple(f"q{row}" for row in range(len(asked))), asked)
    grades = {"q0": {"d1": 1}, "q1": {"d7": 1, "d5": 2}, "q2": {"d8": 1}, "q3": {"gone": 1}, "q4": {"d15": 1, "d3": 1}}
    return Split(queries, Qrels(grades))


@pytest.fixture(scope="module")
def data(corpus: Corpus, split: Split) -> TrainingData:
    one = np.zeros((1, 1), np.int32)
    lists = Lists(Queries(("t",), ("red",)), corpus, one, np.ones((1, 1), np.float32), np.ones((1, 1), bool))
    return TrainingData(lists, corpus, split, "tiny", "digest")


@pytest.fixture(scope="module")
def loaded(request: pytest.FixtureRequest) -> Any:
    """Stages by kind, each loaded once."""
    stages: dict[str, Stage] = {}

    def load(kind: str) -> Stage:
        if kind not in stages:
            options: Any = {"model": str(request.getfixturevalue(KINDS[kind])), "device": "cpu"}
            stages[kind] = stage_class(kind)(**options)
            stages[kind].prepare()
        return stages[kind]

    return load


@pytest.fixture
def first(write_spec: Any) -> str:
    write_spec("words", 'kind = "bm25"')
    return "words"


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_stage_around_a_network_scores_as_the_stage_that_loads_it(kind, loaded, split, corpus):
    stage = loaded(kind)
    candidates = retrieved(split, corpus, 8)
    around = stage_class(kind).around(stage.network)
    np.testing.assert_array_equal(around.scored(split.queries, candidates), stage.scored(split.queries, candidates))
    assert stage.store_key(split.queries) is not None
    assert around.store_key(split.queries) is None, "what is in training must never be stored"


def retrieved(split: Split, corpus: Corpus, k: int) -> Any:
    words = BM25()
    words.index(corpus)
    return words.retrieve(split.queries, k)


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_depth_is_the_cascade_evaluated_by_ir_measures(kind, loaded, data, split, corpus, first, tmp_path):
    stage = loaded(kind)
    depths = [2, 5, 12]
    sweep = DepthSweep.of(kind, data, Evaluation(first=first, depths=depths, metric="recall@5"), 0, "tiny")
    assert sweep is not None and sweep.primary_metric == "recall@5_depth12" and sweep.greater_is_better
    figures = sweep(stage.network, str(tmp_path / "eval"), epoch=1.0, steps=7)
    for depth in depths:
        cascade = Cascade(BM25(), Step(stage, depth))
        cascade.index(corpus)
        truth = evaluate(cascade.retrieve(split.queries, 12), split.qrels, sweep.measures)
        for measure, values in truth.items():
            assert figures[f"{measure}_depth{depth}"] == pytest.approx(float(mean(values)), abs=1e-6)
    alone = evaluate(retrieved(split, corpus, 12), split.qrels, sweep.measures)
    for measure, values in alone.items():
        assert figures[f"first_{measure}"] == pytest.approx(float(mean(values)), abs=1e-6)
    assert len({round(figures[f"mrr@10_depth{depth}"], 6) for depth in depths}) > 1, "the depths must matter here"
    assert max(figures[f"recall@5_depth{depth}"] for depth in depths) < 1, "nothing is put into the candidates"
    line = json.loads((tmp_path / "eval" / LOG).read_text())
    assert {name: line[name] for name in figures} == figures and (line["step"], line["epoch"]) == (7, 1.0)


def test_evaluating_leaves_mode_weights_and_random_state(loaded, data, first):
    network = loaded("cross-encoder").network
    sweep = DepthSweep.of("cross-encoder", data, Evaluation(first=first, depths=[5]), 0, "tiny")
    assert sweep is not None
    network.train()
    frozen = next(module for module in network.modules() if isinstance(module, torch.nn.LayerNorm))
    frozen.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    try:
        with torch.autocast("cpu", torch.bfloat16):
            inside = sweep(network)
        assert network.training and not frozen.training
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    finally:
        network.eval()
    assert inside == sweep(network), "dropout or bfloat16 got into the scores"


def test_the_queries_are_judged_ones_and_drawn_by_the_seed(data, split, first):
    asked = Queries((*split.queries.ids, "unjudged"), (*split.queries.texts, "red"))
    wider = TrainingData(data.lists, data.corpus, Split(asked, split.qrels), "tiny", "digest")
    draws = []
    for seed in range(6):
        options = Evaluation(first=first, queries=2)
        sweeps = [DepthSweep.of("bi-encoder", wider, options, seed, "tiny") for _ in range(2)]
        same = {sweep.split.queries.ids for sweep in sweeps if sweep is not None}
        assert len(same) == 1
        draws.append(same.pop())
    assert {len(ids) for ids in draws} == {2} and len(set(draws)) > 1
    everything = DepthSweep.of("bi-encoder", wider, Evaluation(first=first), 0, "tiny")
    assert everything is not None and set(everything.split.queries.ids) == set(split.queries.ids)


def test_without_held_out_queries_there_is_no_sweep(data, first):
    assert (
        DepthSweep.of(
            "bi-encoder", TrainingData(data.lists, data.corpus, None, "t", "d"), Evaluation(first=first), 0, "x"
        )
        is None
    )


@pytest.mark.parametrize(
    ("evaluation", "said"),
    [
        ({"depths": []}, "tiny.toml: [training.evaluation] depths: expected one or more"),
        ({"depths": [0, 5]}, "at least 1, got [0, 5]"),
        ({"queries": 0}, "[training.evaluation] queries: expected at least 1"),
        ({"metric": "mrr"}, "[training.evaluation] metric: unknown measure 'mrr'"),
        ({"first": "wordz"}, "[training.evaluation] first: unknown model 'wordz'"),
    ],
)
def test_mistakes_are_one_line(evaluation, said, data, first):
    with pytest.raises(InputError) as error:
        DepthSweep.of("bi-encoder", data, Evaluation(**{"first": first, **evaluation}), 0, "tiny.toml")
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_first_stage_that_finds_nothing_is_refused(data, split, first):
    asked = Queries(split.queries.ids, tuple("zebra" for _ in split.queries.ids))
    odd = TrainingData(data.lists, data.corpus, Split(asked, split.qrels), "tiny", "digest")
    with pytest.raises(InputError, match="words finds nothing for any of the 5 held-out queries of tiny"):
        DepthSweep.of("bi-encoder", odd, Evaluation(first=first), 0, "tiny.toml")


def test_the_log_keeps_the_last_of_a_step_and_passes_over_half_a_line(tmp_path: Path):
    for step, value in ((10, 0.1), (20, float("nan")), (10, 0.3)):
        add_line(tmp_path / LOG, {"step": step, "mrr": value})
    with (tmp_path / LOG).open("a") as log:
        log.write('{"step": 30, "mr')
    assert logged(tmp_path) == [{"step": 10, "mrr": 0.3}, {"step": 20, "mrr": None}]
    assert logged(tmp_path / "nothing") == []
