"""Whole sweeps, from a BEIR folder to the result, against cascades run one by one and evaluated by ir-measures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from noise_stage import Listwise, Noise, collection

from mteb_cascade.corpora import run_files
from mteb_cascade.corpora.collection import Collection
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.sweep import sweep
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.values.measures import evaluate, mean

MEASURES = ("ndcg@10", "recall@5")

# Answers outside the corpus are meant.
pytestmark = pytest.mark.filterwarnings("ignore:.*that the folder does not hold")


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "cache"))


def written(world: Collection, folder: Path) -> Path:
    """A collection as a BEIR folder."""
    (folder / "qrels").mkdir(parents=True)
    documents = zip(world.corpus.ids.to_pylist(), world.corpus.texts.to_pylist(), strict=True)
    lines = [json.dumps({"_id": one, "text": text}) for one, text in documents]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    asked = []
    for name, split in world.splits.items():
        pairs = zip(split.queries.ids, split.queries.texts, strict=True)
        asked += [json.dumps({"_id": one, "text": text}) for one, text in pairs]
        rows = [
            f"{query}\t{doc}\t{grade}"
            for query in split.queries.ids
            for doc, grade in (split.qrels.of(query) or {"d0": 0}).items()
        ]
        (folder / "qrels" / f"{name}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *rows]))
    (folder / "queries.jsonl").write_text("\n".join(asked))
    if world.ignore_identical_ids:
        (folder / "task.toml").write_text("ignore_identical_ids = true")
    return folder


def expected(cascade: Cascade, world: Collection, depths: tuple[int, ...]) -> dict[str, float]:
    """Means of the cascade at these depths."""
    split = world.split("test")
    cascade.index(world.corpus)
    run = cascade.trace(split.queries, len(world.corpus), depths=depths)[-1]
    run = run.without_identical_ids() if world.ignore_identical_ids else run
    return {name: float(mean(values)) for name, values in evaluate(run, split.qrels, MEASURES).items()}


@pytest.mark.parametrize("own_ids", [False, True])
def test_a_step_before_that_is_deeper_than_the_sweep_gets_all_it_wants(tmp_path, own_ids):
    world = collection(own_ids=own_ids)
    cascade = Cascade(Noise(seed=1, lift=0), Step(Noise(seed=2), 35, 0.5), Step(Noise(seed=3, lift=0.5), 5, 0.3))
    folder = written(world, tmp_path / "world")
    (found,) = sweep([cascade], tasks=[folder], depth=4, measures=MEASURES, blend=0.8, output=None)
    at = cascade.at(35, 4, blends=[0.5, 0.8])
    for depth in found.result["depths"]:
        for name, value in expected(at, world, (35, depth)).items():
            assert found.result["curves"][name]["blended"][depth - 1] == pytest.approx(value, abs=1e-6), depth
    for one in found.result["grid"]:
        for name, value in expected(at, world, tuple(one["depths"])).items():
            assert one[name] == pytest.approx(value, abs=1e-6), one["depths"]


def test_the_querys_own_document_takes_no_place_from_another(tmp_path):
    # All answers stand at the end, the own one among them: taken out of 38 candidates, the 39th moves up.
    world = collection(own_ids=True)
    first, folder = Noise(seed=1, lift=-9.0), written(world, tmp_path / "world")
    (found,) = sweep(
        [Cascade(first, Step(Noise(seed=2), 3))], tasks=[folder], depth=3, measures=["recall@38"], output=None
    )
    first.index(world.corpus)
    split = world.split("test")
    ranked = first.retrieve(split.queries, len(world.corpus)).without_identical_ids()
    expected_recall = float(mean(evaluate(ranked, split.qrels, ["recall@38"])["recall@38"]))
    assert found.result["curves"]["recall@38"]["first stage"] == pytest.approx(expected_recall, abs=1e-6)


def test_first_stages_of_one_label_are_not_mixed_up(tmp_path):
    world = collection()
    heads = [Noise(seed=1), Noise(seed=8)]
    cascades = [
        Cascade(head, Step(Noise(seed=2, name=f"local/{name}"), 5)) for head, name in zip(heads, "ab", strict=True)
    ]
    swept = sweep(cascades, tasks=[written(world, tmp_path / "world")], depth=5, measures=MEASURES, output=None)
    for cascade, found in zip(cascades, swept, strict=True):
        for name, value in expected(cascade, world, (0,)).items():
            assert found.result["curves"][name]["first stage"] == pytest.approx(value, abs=1e-6)
    assert len(swept[0].result["first_stages"][0]["stages"]) == 2


def test_a_run_file_without_lists_for_dev_leaves_the_best_depth_untold(tmp_path):
    world = collection(dev=True)
    first = Noise(seed=1)
    first.index(world.corpus)
    reordered = Listwise(seed=9).rank(world.split("test").queries, first.retrieve(world.split("test").queries, 10))
    run_files.write(reordered, tmp_path / "reordered.parquet")
    with pytest.warns(UserWarning, match="are not in it"):
        (found,) = sweep(
            first=[first],
            rerank=[RunFile(file=str(tmp_path / "reordered.parquet"))],
            tasks=[written(world, tmp_path / "world")],
            depth=20,
            output=None,
        )
    assert found.result["depths"] == [10]
    assert found.result["as_good_as_best"] is None
    assert "differ in length" in found.result["as_good_why_not"]


def test_why_the_best_depth_is_untold_when_dev_was_not_to_choose_it(tmp_path):
    folder = written(collection(dev=True), tmp_path / "world")
    options = {"first": [Noise(seed=1)], "rerank": [Noise(seed=2, name="local/b")], "tasks": [folder], "depth": 5}
    (found,) = sweep(**options, dev=False, output=None)
    assert "--no-dev" in found.result["as_good_why_not"]


def test_the_measure_named_first_is_the_first(tmp_path):
    (found,) = sweep(
        first=[Noise(seed=1)],
        rerank=[Noise(seed=2, name="local/b")],
        tasks=[written(collection(), tmp_path / "world")],
        depth=5,
        measures=["ndcg@5", "recall@1", "ndcg@5"],
        output=None,
    )
    assert found.result["measures"] == ["ndcg@5", "recall@1", "success@1"]


def test_development_queries_without_positives_choose_nothing(tmp_path):
    folder = written(collection(dev=True), tmp_path / "world")
    dev = folder / "qrels" / "dev.tsv"
    heading, *rows = dev.read_text().splitlines()
    dev.write_text("\n".join([heading, *(row.rsplit("\t", 1)[0] + "\t0" for row in rows)]))
    with pytest.raises(InputError, match="world, dev: its judgements name no relevant document"):
        sweep(first=[Noise(seed=1)], rerank=[Noise(seed=2)], tasks=[folder], depth=5, output=None)


def test_a_corpus_too_large_to_be_scored_whole_is_refused_before_any_work(tmp_path):
    folder = written(collection(), tmp_path / "world")
    small = Noise(seed=2, pair_limit=100)
    with pytest.raises(InputError, match="over the limit of 100"):
        sweep(first=[Noise(seed=1)], rerank=[small], tasks=[folder], depth=5, full_corpus=True, output=tmp_path / "out")
    assert not (tmp_path / "LOG.md").exists()


@pytest.mark.parametrize("kind", [Noise, Listwise])
def test_no_line_passes_the_oracle(tmp_path, kind):
    folder = written(collection(queries=20), tmp_path / "world")
    measures = ["judged@5", "success@1", "recall@5", "mrr@10", "ndcg@5"]
    best = kind(seed=2, lift=20.0, levels=2)
    (found,) = sweep(first=[Noise(seed=1)], rerank=[best], tasks=[folder], depth=30, measures=measures, output=None)
    for name, lines in found.result["curves"].items():
        assert np.all(np.array(lines["oracle"]) >= np.array(lines["alone"]) - 1e-6), name
        # Nothing that stands beyond the depth is within anybody's reach.
        assert lines["oracle"][0] < lines["oracle"][-1], name
