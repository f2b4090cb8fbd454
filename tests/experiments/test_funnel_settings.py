"""Settings of a funnel: shares as numbers of documents, tables of a spec, and what is proposed."""

from __future__ import annotations

from mteb_cascade.engine.latency import Latency
from mteb_cascade.experiments.funnel_points import Point, proposed
from mteb_cascade.experiments.funnel_settings import Setting, alone, grid, keeps, with_faiss
from mteb_cascade.stages.funnel_step import FunnelStep


def test_shares_as_documents() -> None:
    assert keeps(10_000, 100, [0.02, 0.01]) == [100, 200]
    assert keeps(10_000, 100, [0.00001]) == [100]  # never fewer than are looked for
    assert keeps(101, 100, [0.999]) == [101]
    assert keeps(1_000, 1, [0.029]) == [29]  # 0.029 * 1000 is a little more than 29 in floating point


def test_the_grid_of_a_corpus() -> None:
    found = grid(10_000, 128, 100, [0.01, 0.02])
    tables = [setting.tables() for setting in found]
    assert [{"codes": "hamming", "keep": 100}] in tables
    assert [{"codes": "int8", "dimensions": 64, "keep": 200}] in tables
    assert [{"codes": "hamming", "keep": 800}, {"codes": "int8", "keep": 200}] in tables
    assert len(tables) == len({str(one) for one in tables})
    dimensions = {table.get("dimensions") for one in tables for table in one}
    assert dimensions == {None, 64}  # the first 128 of 128 are all
    assert all(one[-1]["keep"] in (100, 200) for one in tables)


def test_a_small_corpus_has_no_wider_first_step_than_itself() -> None:
    for setting in grid(300, 32, 100, [0.5]):
        assert all(step.keep <= 300 for step in setting.steps)
        assert [step.keep for step in setting.steps][-1] == 150


def test_words() -> None:
    two = Setting((FunnelStep(codes="hamming", keep=40), FunnelStep(codes="int8", dimensions=64, keep=9)))
    assert (two.label(), two.family()) == ("hamming 40 > int8@64 9", "hamming > int8@64")
    (one,) = with_faiss(["IVF4,Flat;nprobe=2"], 1_000, 10, [0.01])
    assert one.label() == "IVF4,Flat nprobe=2 10"
    assert one.tables() == [{"faiss": "IVF4,Flat", "parameters": "nprobe=2", "keep": 10}]
    assert [setting.family() for setting in alone(128, 5)] == ["hamming", "binary", "int8", "float32@64"]


def test_the_fastest_that_keeps_enough_is_proposed() -> None:
    def point(kept: float, milliseconds: float, size: int) -> Point:
        latency = Latency(milliseconds, milliseconds, milliseconds, 1, 1)
        return Point(Setting((FunnelStep(codes="int8", keep=1),)), {"top": kept}, latency, {"vectors": size})

    points = [point(0.98, 1, 1), point(0.99, 3, 1), point(1.0, 2, 9), point(0.995, 2, 5)]
    assert proposed(points, 0.99) == 3
    assert proposed(points, 0.999) == 2
    assert proposed(points[:2], 0.999) is None
