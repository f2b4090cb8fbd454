"""What becomes of a sweep that something happens to; `make trials` does each of these many times."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest
from trial import House, differences, ended, flip_a_byte, write_collection

SLOW = 'kind = "slow"\npause = 0.001\n'


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trials")
    write_collection(folder / "collection", queries=15, documents=100)
    return folder


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> House:
    house = House.built(folder / "undisturbed", folder / "collection", reranker=SLOW)
    done = house.run()
    assert done.code == 0, done.err
    assert sum(house.scored) == 2 * 15 * 20  # dev and test, each query's first 20
    assert len(house.scored) == len(house.shards()) >= 12
    return house


@pytest.fixture
def house(folder: Path, request: pytest.FixtureRequest) -> House:
    return House.built(folder / request.node.name, folder / "collection", reranker=SLOW)


def test_killed_interrupted_and_left_without_room_it_resumes_bit_for_bit(house: House, undisturbed: House) -> None:
    assert house.run("SIGKILL", at=3).code == -signal.SIGKILL
    assert len(house.shards()) == 2

    full = house.run("FULL", at=5)
    assert full.code == 2
    for part in ("the store could not be written to", "File too large", "run again: it goes on from there"):
        assert part in full.last_line
    assert len(house.shards()) == 3
    assert not [path for path in house.cache.rglob(".*") if path.stat().st_size]

    stopped = house.run("SIGINT", at=7)
    assert (stopped.code, stopped.last_line) == (130, "stopped")
    assert len(house.shards()) == 4

    assert "Traceback" not in full.err + stopped.err
    assert house.results() == {}
    assert house.log.read_text().count("Did not finish") == 3
    done = house.run()
    assert done.code == 0, done.err
    assert differences(undisturbed.results(), house.results()) == []
    assert house.log.read_text().count("Outcome:") == 1
    assert len(house.scored) == len(undisturbed.scored) + 3


def test_two_at_once_make_one_result(house: House, undisturbed: House) -> None:
    for done in map(ended, [house.start(), house.start()]):
        assert done.code == 0, done.err
    assert differences(undisturbed.results(), house.results()) == []
    assert house.log.read_text().count("Outcome:") == 2


def test_damaged_files_are_named_and_made_again(house: House, undisturbed: House) -> None:
    shutil.copytree(undisturbed.cache, house.cache)
    damaged = [house.shards(what)[0] for what in ("scores", "runs")]
    for path in damaged:
        flip_a_byte(path)
    done = house.run()
    assert done.code == 0, done.err
    for path in damaged:
        assert done.err.count(f"{path.name}: is damaged; set aside as {path.name}.damaged") == 1
    assert differences(undisturbed.results(), house.results()) == []
    assert len(house.scored) == 1
