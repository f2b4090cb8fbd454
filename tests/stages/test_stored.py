"""Scores and runs through the store: to the bit what they are without it, and computed once."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_stage import CALLS, CORPUS, QUERIES, STOPS, Slow, StoppedError, candidates, shards_of
from table_stage import Table

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.stages.stored import Pairs, missing
from mteb_cascade.store.switch import answers, bypassed
from mteb_cascade.values.run import PAD, Run


def test_with_and_without_the_store_every_bit_is_the_same(cache, calls, monkeypatch):
    run = candidates()
    with bypassed():
        without = Slow().scored(QUERIES, run)
    assert not cache.exists()
    plain = calls()
    first = Slow().scored(QUERIES, run)
    assert calls() == plain
    assert len(plain) > 3
    assert len(shards_of(cache)) == len(plain)
    again = Slow().scored(QUERIES, run)
    monkeypatch.setenv("MTEB_CASCADE_STORE", "0")
    off = Slow().scored(QUERIES, run)
    assert calls() == plain
    for one in (first, again, off):
        np.testing.assert_array_equal(one, without)
    assert (np.isneginf(without) == (run.docs == PAD)).all()


def test_equal_pairs_are_scored_once(cache, calls):
    run = candidates()
    Slow().scored(QUERIES, run)
    asked = [pair for call in calls() for pair in call]
    texts = {
        f"{QUERIES.texts[row]}>{CORPUS.texts[int(doc)].as_py()}"
        for row, docs in enumerate(run.docs)
        for doc in docs[docs != PAD]
    }
    assert len(asked) == len(set(asked)) < (run.docs != PAD).sum()
    assert set(asked) == texts


def test_a_deeper_list_pays_for_the_new_pairs_only(cache, calls):
    Slow().scored(QUERIES, candidates(depth=4))
    known = {pair for call in calls() for pair in call}
    deep = candidates(depth=9)
    assert missing(Slow(), QUERIES, deep) > 0
    Slow().scored(QUERIES, deep)
    new = {pair for call in calls() for pair in call}
    assert new
    assert not new & known
    assert missing(Slow(), QUERIES, deep) == 0
    assert missing(Slow(seed=1), QUERIES, deep) == (deep.docs != PAD).sum()


@given(stop=st.integers(0, 8))
def test_stopped_and_resumed_is_never_stopped(stop, tmp_path_factory):
    run, folder = candidates(), tmp_path_factory.mktemp("resumed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MTEB_CASCADE_CACHE", str(folder / "cache"))
        patch.setenv(CALLS, str(folder / "calls"))
        with bypassed():
            expected = Slow().scored(QUERIES, run)
        whole = (folder / "calls").read_text()
        (folder / "calls").unlink()
        patch.setenv(STOPS, str(stop))
        if stop < len(whole.splitlines()):
            with pytest.raises(StoppedError):
                Slow().scored(QUERIES, run)
        patch.delenv(STOPS)
        np.testing.assert_array_equal(Slow().scored(QUERIES, run), expected)
        assert (folder / "calls").read_text() == whole  # what was stored is not scored again


def test_a_flipped_byte_is_named_and_its_block_alone_is_scored_again(cache, calls):
    run = candidates()
    expected = Slow().scored(QUERIES, run)
    whole = calls()
    path = shards_of(cache)[2]
    data = bytearray(path.read_bytes())
    data[100] ^= 64
    path.write_bytes(bytes(data))
    with pytest.warns(UserWarning, match=f"{path.name}: is damaged"):
        np.testing.assert_array_equal(Slow().scored(QUERIES, run), expected)
    (again,) = calls()
    assert again in whole
    assert path.exists()


def test_what_another_process_stored_meanwhile_is_not_scored(cache, calls):
    run = candidates()
    others = []

    def overtaken(done: int, total: int, note: str) -> None:
        if note and not others:
            others.append(Slow().scored(QUERIES, run))

    np.testing.assert_array_equal(Slow().scored(QUERIES, run, overtaken), others[0])
    asked = [pair for call in calls() for pair in call]
    assert len(asked) == len(set(asked))


def test_blocks_are_whole_queries_and_follow_from_the_lists_alone(cache):
    run = candidates()
    pairs = Pairs(QUERIES, run)
    blocks = list(pairs.blocks(60))
    assert len(blocks) > 3
    assert [pair for block in blocks for pair in range(block.start, block.stop)] == list(range(len(pairs)))
    rows = [set(pairs.rows[block].tolist()) for block in blocks]
    assert sum(map(len, rows)) == len(set.union(*rows))
    for block in blocks[:-1]:
        size = sum(
            (len(QUERIES.texts[row]) + len(CORPUS.texts[int(run.docs[row, column])].as_py())) / 4
            for row, column in zip(pairs.rows[block], pairs.columns[block], strict=True)
        )
        assert 60 - 24 * 4 < size < 60 + 24 * 4
    before = [(block.start, block.stop) for block in blocks]
    Slow().scored(QUERIES, run)
    assert [(block.start, block.stop) for block in Pairs(QUERIES, run).blocks(60)] == before


def test_progress_counts_pairs_and_what_is_stored_is_done_at_once(cache):
    told = []
    run = candidates()
    total = int((run.docs != PAD).sum())
    Slow().scored(QUERIES, run, lambda done, of, note: told.append((done, of, note)))
    assert told[0] == (0, total, "")
    assert told[-1][:2] == (total, total)
    assert all(note.endswith(" pairs/s") for _, _, note in told[1:])
    told.clear()
    Slow().scored(QUERIES, run, lambda done, of, note: told.append((done, of, note)))
    assert told == []


class Flawed(Table):
    """A number that is none for one pair."""

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        found = np.zeros(candidates.docs.shape, np.float32)
        found[candidates.docs == 7] = np.nan
        return found


def test_nan_is_an_error_that_names_the_pair_and_is_not_stored(cache):
    run = candidates()
    row = int(np.argmax((run.docs == 7).any(axis=1)))
    with pytest.raises(InputError, match=f"score of query 'q{row}' and document 'd7' is NaN"):
        Flawed(scores={}).scored(QUERIES, run)
    assert not shards_of(cache)


def test_what_cannot_be_scored_is_stored_too(cache):
    known = CORPUS.texts[int(candidates().docs[0, 0])].as_py()
    stage = Table(scores={QUERIES.texts[0]: {known: 2.0}})
    first = stage.scored(QUERIES, candidates())
    assert missing(stage, QUERIES, candidates()) == 0
    np.testing.assert_array_equal(stage.scored(QUERIES, candidates()), first)
    assert first[0, 0] == 2.0
    assert np.isneginf(first).sum() > 60


class Listwise(Slow):
    pointwise = False


class Unknown(Slow):
    @property
    def fingerprint(self) -> str:
        raise TypeError("no fingerprint")


def closing_over(bonus: float) -> Slow:
    class Closing(Slow):
        def score(self, queries: Queries, candidates: Run) -> np.ndarray:
            return super().score(queries, candidates) + np.float32(bonus)

    return Closing()


@pytest.mark.parametrize("make", [Listwise, Unknown, lambda: closing_over(1.0)])
def test_what_cannot_be_told_apart_is_not_stored(cache, calls, make):
    stage = make()
    first = stage.scored(QUERIES, candidates())
    np.testing.assert_array_equal(stage.scored(QUERIES, candidates()), first)
    assert not shards_of(cache)
    made = calls()
    assert made[: len(made) // 2] == made[len(made) // 2 :]


def test_a_run_that_is_killed_says_whose_scores_it_left(cache, calls, monkeypatch):
    monkeypatch.setenv(STOPS, "1")
    with pytest.raises(StoppedError):
        Slow().scored(QUERIES, candidates())
    (shard,) = shards_of(cache)
    assert json.loads((shard.parent / "stage.json").read_text())["label"] == "slow"


@pytest.mark.parametrize("cheap", [BM25(), Hybrid(BM25(), BM25(k1=0.9)), Cascade(BM25(), Step(BM25(k1=0.9), 3))])
def test_cheap_scores_and_those_of_compositions_are_not_stored(cache, cheap):
    cheap.index(CORPUS)
    cheap.scored(QUERIES, candidates())
    assert not shards_of(cache)
    assert missing(cheap, QUERIES, candidates()) == (candidates().docs != PAD).sum()


def test_bypassing_ends_where_it_ends_and_holds_for_one_thread():
    seen = []
    with bypassed():
        with bypassed():
            pass
        assert not answers()
        thread = threading.Thread(target=lambda: seen.append(answers()))
        thread.start()
        thread.join()
    assert answers()
    assert seen == [True]


def test_a_store_that_cannot_be_written_is_named_before_any_scoring(cache, calls):
    cache.write_text("a file")
    for ask in (lambda stage: stage.scored(QUERIES, candidates()), lambda stage: stage.retrieved(QUERIES, 3)):
        stage = Slow()
        stage.index(CORPUS)
        with pytest.raises(
            InputError, match=r"cannot be written to .*cache.*MTEB_CASCADE_CACHE .*MTEB_CASCADE_STORE=0"
        ):
            ask(stage)
    assert not calls()


SCRIPT = """
import resource, sys
sys.path.insert(0, {tests!r})
from slow_stage import QUERIES, Slow, candidates
from mteb_cascade.errors import InputError
{before}
try:
    print(Slow().scored(QUERIES, candidates()).tobytes().hex())
except InputError as error:
    print(error)
    raise SystemExit(2)
"""


def started(before: str = "") -> subprocess.Popen[str]:
    script = SCRIPT.format(tests=str(Path(__file__).parent), before=before)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


def test_a_full_disk_is_one_line_and_loses_nothing(cache, calls):
    run = candidates()
    with bypassed():
        expected = Slow().scored(QUERIES, run)
    whole = calls()
    Slow().scored(QUERIES.rows(range(4)), run.rows(slice(0, 4)))
    stored, known = shards_of(cache), calls()
    # No file of more than 300 bytes can be written: the next shard cannot.
    process = started("resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))")
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 2
    assert out.count("\n") == 1
    pairs = int((run.docs[:4] != PAD).sum())
    assert "File too large (" in out
    assert f"of {int((run.docs != PAD).sum())} pairs are stored. Make room" in out
    assert int(out.split(" pairs are stored")[0].split()[-3].replace("(", "")) >= pairs
    assert shards_of(cache) == stored
    assert not list(cache.rglob(".*"))
    calls()
    Slow().scored(QUERIES, run)
    assert {pair for call in calls() for pair in call} == {pair for call in whole for pair in call} - {
        pair for call in known for pair in call
    }
    del expected


def test_two_processes_at_once_say_the_same(cache):
    import os

    with bypassed():
        expected = Slow().scored(QUERIES, candidates())
    processes = [started(f"import os; os.environ[{CALLS!r}] += '{number}'") for number in range(2)]
    out = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert out == [expected.tobytes().hex()] * 2
    assert os.environ[CALLS]
    np.testing.assert_array_equal(Slow().scored(QUERIES, candidates()), expected)
