from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.store import shards
from mteb_cascade.store.pair_scores import PairScores, WantedPairs, hashes_of

PAIRS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 6), st.sampled_from([-np.inf, -1.5, 0.0, 0.25, 7.0])), max_size=20
)


def columns(pairs: list[tuple[int, int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    q, d, s = zip(*pairs, strict=True) if pairs else ((), (), ())
    return np.array(q, np.uint64) * 10, np.array(d, np.uint64) * 2**60, np.array(s, np.float32)


def wanted_of(pairs: list[tuple[int, int]]) -> WantedPairs:
    """Pairs by number, of 6 queries and 7 documents."""
    asked, candidates = (np.array(side, np.int64) for side in (zip(*pairs, strict=True) if pairs else ((), ())))
    return WantedPairs(np.arange(6, dtype=np.uint64) * 10, np.arange(7, dtype=np.uint64) * 2**60, asked, candidates)


@given(
    stored=st.lists(PAIRS, max_size=3), wanted=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 6)), max_size=30)
)
def test_what_is_found_is_what_a_dictionary_would_find(stored, wanted, tmp_path_factory):
    store, known = PairScores(tmp_path_factory.mktemp("scores")), {}
    for pairs in stored:
        store.write(*columns(pairs))
        for q, d, s in pairs:
            known[q, d] = min(s, known.get((q, d), np.inf))
    looked_for = wanted_of(wanted)
    PairScores(store.folder).read(looked_for)
    found = looked_for.scores[looked_for.place], looked_for.known[looked_for.place]
    assert found[1].tolist() == [pair in known for pair in wanted]
    assert [s for s, is_known in zip(*found, strict=True) if is_known] == [
        known[pair] for pair in wanted if pair in known
    ]
    assert looked_for.found == sum(pair in known for pair in wanted)
    asked, documents = np.array([0, 20, 30], np.uint64), np.array([1, 4], np.uint64) * 2**60
    among = [list(map(float, one)) for one in zip(*store.among(asked, documents), strict=True)]
    hashes = {0: 0, 2: 1, 3: 2}, {1: 0, 4: 1}
    assert among == sorted(
        [float(hashes[0][q]), float(hashes[1][d]), s]
        for (q, d), s in known.items()
        if q in hashes[0] and d in hashes[1]
    )


def test_the_name_is_the_checksum_and_the_same_pairs_are_the_same_file(tmp_path):
    store = PairScores(tmp_path)
    store.write(*columns([(1, 2, 0.5)]))
    store.write(*columns([(1, 2, 0.5)]))
    (path,) = tmp_path.iterdir()
    import xxhash

    assert path.name == f"{xxhash.xxh3_128_hexdigest(path.read_bytes())}.parquet"


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_shard_is_named_set_aside_and_not_read(tmp_path, damage):
    store = PairScores(tmp_path)
    store.write(*columns([(1, 2, 0.5)]))
    store.write(*columns([(1, 3, 0.75)]))
    path = next(path for path in tmp_path.iterdir() if 0.5 in PairScores(tmp_path).shard(path.name)[2])
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes({"flip": bytes(data), "cut": bytes(data[:-9]), "empty": b""}[damage])
    wanted = wanted_of([(1, 2), (1, 3)])
    with pytest.warns(UserWarning, match=f"^{path}: is damaged; set aside as {path.name}.damaged, and its pairs are"):
        PairScores(tmp_path).read(wanted)
    assert wanted.known[wanted.place].tolist() == [False, True]
    assert not path.exists()
    assert path.with_name(path.name + shards.DAMAGED).exists()


def test_what_a_killed_process_left_is_not_read(tmp_path, recwarn):
    store = PairScores(tmp_path)
    store.write(*columns([(1, 2, 0.5)]))
    (path,) = tmp_path.iterdir()
    path.rename(path.with_name(f".{path.name}.123.456"))
    wanted = wanted_of([(1, 2)])
    PairScores(tmp_path).read(wanted)
    assert not wanted.known.any()
    assert not len(recwarn)


def test_a_whole_parquet_file_of_something_else_is_set_aside(tmp_path):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    data = io.BytesIO()
    pq.write_table(pa.table({"x": [1]}), data)
    path = shards.write(tmp_path, data.getvalue(), ".parquet")
    with pytest.warns(UserWarning, match="is no shard of pair scores"):
        PairScores(tmp_path).read(wanted_of([(1, 2)]))
    assert not path.exists()


@pytest.mark.filterwarnings("ignore:.* is no shard of pair scores")
def test_a_damaged_file_of_the_right_checksum_is_no_traceback_wherever_the_damage_is(tmp_path):
    pairs = np.arange(200, dtype=np.uint64)
    PairScores(tmp_path).write(pairs, pairs, pairs.astype(np.float32))
    (path,) = tmp_path.iterdir()
    data = path.read_bytes()
    path.unlink()
    for place in range(0, len(data), 40):
        shards.write(tmp_path, data[:place] + data[place + 1 :], ".parquet")
        PairScores(tmp_path).read(wanted_of([(1, 2)]))
    # Where a byte lacks in a part that nobody reads, it is read.
    assert sum(path.name.endswith(".damaged") for path in tmp_path.iterdir()) > len(data) // 40 // 2


def test_a_folder_that_somebody_deletes_is_made_again(tmp_path, monkeypatch):
    import shutil

    folder, real = tmp_path / "scores", Path.write_bytes
    deleted = []

    def pruned(path, data):
        written = real(path, data)
        if not deleted:
            deleted.append(shutil.rmtree(folder))
        return written

    monkeypatch.setattr(Path, "write_bytes", pruned)
    assert shards.write(folder, b"whole", ".parquet").read_bytes() == b"whole"
    assert deleted


def test_a_shard_that_was_written_meanwhile_is_found(tmp_path):
    ours, theirs, wanted = PairScores(tmp_path), PairScores(tmp_path), wanted_of([(1, 2), (2, 2)])
    theirs.write(*columns([(1, 2, 0.5)]))
    ours.read(wanted)
    assert wanted.found == 1
    theirs.write(*columns([(2, 2, -1.0)]))
    ours.read(wanted)
    assert wanted.scores[wanted.place].tolist() == [0.5, -1.0]


def test_texts_are_told_apart_by_xxh3():
    import xxhash

    texts = ["", "red fox", "é", "\ud800"]
    expected = [xxhash.xxh3_64_intdigest(text.encode("utf-8", "surrogatepass")) for text in texts]
    assert hashes_of(texts).tolist() == expected


def test_a_folder_that_is_not_there_holds_nothing(tmp_path: Path):
    assert shards.names(tmp_path / "none") == []
