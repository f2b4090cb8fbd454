"""Several devices: the same scores as one, and no worker that outlives its use or is waited for when it is gone."""

from __future__ import annotations

import gc
import os
import signal
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.engine import texts as texts_engine
from mteb_cascade.engine import workers as engine
from mteb_cascade.engine.devices import device_type, devices_of
from mteb_cascade.engine.workers import workers_of
from mteb_cascade.errors import InputError
from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.values.run import Run

WORDS = ("red", "fox", "blue", "whale", "old stone", "tree", "x?", "")
RNG = np.random.default_rng(0)
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(0, 40))) for _ in range(50)]
QUERIES = Queries(("1", "2"), ("red fox", "blue whale"))


def candidates() -> Run:
    corpus = Corpus.of([str(row) for row in range(len(TEXTS))], TEXTS)
    docs = np.tile(np.arange(len(TEXTS), dtype=np.int32), (2, 1))
    docs[1, 30:] = -1
    return Run(QUERIES.ids, corpus, docs, np.where(docs < 0, -np.inf, 0).astype(np.float32))


def test_two_workers_score_what_one_process_does_and_a_dead_one_is_said(tiny_cross_encoder: Path) -> None:
    """One test, since starting workers takes seconds."""
    stage = CrossEncoder(model=str(tiny_cross_encoder), device="cpu, cpu", batch_size=3)
    one = CrossEncoder(model=str(tiny_cross_encoder), device="cpu", batch_size=1)
    lists = candidates()
    found, expected = stage.score(QUERIES, lists), one.score(QUERIES, lists)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert len(np.unique(found[0])) > 20
    ids = [Run.ranked(QUERIES.ids, lists.corpus, lists.docs, scores).docs.tolist() for scores in (found, expected)]
    assert ids[0] == ids[1]

    workers = workers_of(stage.network, stage.devices, "mine")
    assert workers is workers_of(stage.network, stage.devices, "mine")
    started = workers.pool["processes"]
    pids = [process.pid for process in started]
    assert len(pids) == 2 and all(process.is_alive() for process in started)
    predict = stage.network.predict

    def killed(*given: Any, **options: Any) -> Any:
        os.kill(pids[0], signal.SIGKILL)
        started[0].join()
        return predict(*given, **options)

    stage.network.predict = killed
    with pytest.raises(InputError, match=r"a worker process ended while it was working \(cpu, cpu\)"):
        stage.score(QUERIES, lists)
    assert not workers.alive
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


class Network:
    """Counts the pools that are started and stopped."""

    started = 0
    stopped: ClassVar[list[int]] = []

    def start_multi_process_pool(self, devices: list[str]) -> dict[str, Any]:
        Network.started += 1
        return {"number": Network.started, "processes": []}

    @staticmethod
    def stop_multi_process_pool(pool: dict[str, Any]) -> None:
        Network.stopped.append(pool["number"])


def test_workers_end_with_their_model_and_are_started_again_where_they_ended() -> None:
    network = Network()
    first = workers_of(network, ("a:0", "a:1"), "mine")
    assert workers_of(network, ("a:0", "a:1"), "mine") is first
    assert workers_of(network, ("a:0", "a:2"), "mine") is not first
    assert Network.stopped == [1]
    second = workers_of(network, ("a:0", "a:2"), "mine")
    second.stop()
    assert workers_of(network, ("a:0", "a:2"), "mine") is not second
    assert (Network.started, Network.stopped) == (3, [1, 2])
    del network, first, second
    gc.collect()
    assert Network.stopped == [1, 2, 3]


def test_a_model_that_cannot_be_handed_on() -> None:
    class Compiled(Network):
        def start_multi_process_pool(self, devices: list[str]) -> dict[str, Any]:
            raise TypeError("cannot pickle 'CompiledModel' object")

    with pytest.raises(InputError, match=r"mine: cannot run on several devices \(cpu, cpu\).*Name one device"):
        workers_of(Compiled(), ("cpu", "cpu"), "mine")


def test_encoding_is_shared_out_too(tiny_bi_encoder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several = BiEncoder(model=str(tiny_bi_encoder), device="cpu,cpu", batch_size=2, query_prompt="old ")
    one = BiEncoder(model=str(tiny_bi_encoder), device="cpu", query_prompt="old ")
    asked: list[dict[str, Any]] = []

    def here(network: Any, devices: Any, what: str, work: Any, lengths: Any, budget: int) -> Any:
        for rows in np.array_split(np.arange(len(lengths)), 3):
            asked.append({"devices": devices, "budget": budget})
            yield rows, work(rows, {"batch_size": 2})

    monkeypatch.setattr(texts_engine, "shared_out", here)
    np.testing.assert_allclose(several.encode_queries(TEXTS), one.encode_queries(TEXTS), atol=1e-5)
    np.testing.assert_allclose(several.encode_documents(TEXTS), one.encode_documents(TEXTS), atol=1e-5)
    assert asked == [{"devices": ("cpu", "cpu"), "budget": 256}] * 6


def test_texts_of_about_one_length_go_together_and_memory_that_runs_out_halves_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lengths = np.array([100, 10, 90, 9, 50, 81])
    asked: list[tuple[list[int], int]] = []

    class Pool(engine.Workers):
        def __init__(self, *_: Any) -> None:
            self.devices, self.what, self.pool = ("cuda:0", "cuda:1"), "mine", {"processes": []}
            self.stop: Any = type("Stop", (), {"alive": True, "__call__": lambda self: None})()

    def work(rows: np.ndarray, options: dict[str, Any]) -> list[int]:
        asked.append((rows.tolist(), options["batch_size"]))
        if options["batch_size"] * int(lengths[rows].max()) > 200:
            raise RuntimeError("CUDA out of memory.")
        return rows.tolist()

    monkeypatch.setattr(engine, "workers_of", Pool)
    found = list(engine.shared_out(None, ("cuda:0", "cuda:1"), "mine", work, lengths, 400))
    assert [(rows.tolist(), result) for rows, result in found] == [
        ([0, 2, 5], [0, 2, 5]),
        ([4], [4]),
        ([1, 3], [1, 3]),
    ]
    assert asked == [([0, 2, 5], 4), ([0, 2, 5], 2), ([4], 4), ([1, 3], 20)]


def test_devices_by_name() -> None:
    assert devices_of("cuda:0,cuda:1") == ("cuda:0", "cuda:1")
    assert devices_of(None) == devices_of("") == ()
    assert device_type("cuda:1,cuda:0") == "cuda"
    with pytest.raises(InputError, match="devices of one kind, got 'cpu,cuda:0', which are cpu and cuda"):
        CrossEncoder(model="./x", device="cpu,cuda:0")
