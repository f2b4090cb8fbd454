"""Every depth of a sweep equals the cascade at that depth, evaluated by ir-measures."""

from __future__ import annotations

import numpy as np
import pytest
from noise_stage import Listwise, Noise, collection

from mteb_cascade.experiments import depth_grid
from mteb_cascade.experiments.depth_figures import DepthFigures
from mteb_cascade.experiments.swept import POINTS, Swept
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.values.curves import OUTCOMES
from mteb_cascade.values.measures import evaluate

MEASURES = ("success@1", "recall@1", "recall@5", "mrr@10", "ndcg@5", "judged@10")
DEPTH = 15


@pytest.mark.parametrize("kind", [Noise, Listwise])
@pytest.mark.parametrize("own_ids", [False, True])
@pytest.mark.parametrize("blend", [0.0, 0.7])
def test_each_depth_is_the_cascade_at_that_depth(kind, own_ids, blend):
    world = collection(own_ids=own_ids)
    split = world.split("test")
    first, last = Noise(seed=1, levels=6), kind(seed=2)
    first.index(world.corpus)
    received = first.retrieve(split.queries, 25)
    swept = Swept.of(last, split.queries, received, DEPTH, ignore_identical_ids=own_ids)
    assert swept.pointwise == kind.pointwise
    if not kind.pointwise:
        assert swept.depths[-1] == DEPTH
        assert 1 < len(swept.depths) <= POINTS
    figures = DepthFigures(swept, split, MEASURES, blend)
    for column, depth in enumerate(swept.depths):
        run = Cascade(first, Step(last, depth, blend)).at(depth)
        run.index(world.corpus)
        ranked = run.trace(split.queries, 25)[-1]
        ranked = ranked.without_identical_ids() if own_ids else ranked
        expected = evaluate(ranked, split.qrels, MEASURES)
        for name in MEASURES:
            found = figures.per_query["blended" if blend else "alone"][name][:, column]
            np.testing.assert_allclose(found, expected[name], atol=1e-6, err_msg=f"{name} at {depth}")


def test_the_classes_sum_to_all_queries_and_broken_ones_are_told_apart():
    world = collection(queries=30, documents=60)
    split = world.split("test")
    first = Noise(seed=3, lift=2.0)
    first.index(world.corpus)
    swept = Swept.of(Noise(seed=4, lift=0.5), split.queries, first.retrieve(split.queries, 40), 40)
    figures = DepthFigures(swept, split, MEASURES, 0.5)
    for line, classes in figures.classes().items():
        assert list(classes) == list(OUTCOMES)
        assert np.sum(list(classes.values()), axis=0).tolist() == [30] * 40
        broken = figures.broken_to()[line]
        assert np.sum(list(broken.values()), axis=0).tolist() == classes["broken"]
        assert sum(classes["broken"]) > 0


def test_a_run_file_is_one_point_at_the_length_of_its_lists(tmp_path):
    from mteb_cascade.corpora import run_files
    from mteb_cascade.stages.run_file import RunFile

    world = collection()
    split = world.split("test")
    first, listwise = Noise(seed=1), Noise(seed=9)
    first.index(world.corpus)
    received = first.retrieve(split.queries, 25)
    reordered = listwise.rank(split.queries, received.cut(10))
    run_files.write(reordered, tmp_path / "reordered.parquet")
    swept = Swept.of(RunFile(file=str(tmp_path / "reordered.parquet")), split.queries, received, 20)
    assert swept.depths == (10,)
    found = DepthFigures(swept, split, MEASURES).per_query["alone"]
    for name, expected in evaluate(reordered, split.qrels, MEASURES[:1]).items():
        np.testing.assert_allclose(found[name][:, 0], expected)


@pytest.mark.parametrize("kind", [Noise, Listwise])
def test_each_combination_of_the_grid_is_the_cascade_at_those_depths(kind):
    world = collection()
    queries = world.split("test").queries
    cascade = Cascade(Noise(seed=1), Step(Noise(seed=2), 20, 0.3), Step(kind(seed=5), 10, 0.2))
    cascade.index(world.corpus)
    grid = [1, 4, 12]
    found = dict(depth_grid.combinations(cascade, queries, cascade.first.retrieve(queries, 20), grid))
    assert set(found) == {(a, b) for a in grid for b in grid if b <= a}
    for depths, run in found.items():
        expected = cascade.trace(queries, 20, depths=depths)[-1]
        assert run.docs.tolist() == expected.docs.tolist(), depths
