"""One writer, readers that it does not disturb, and nothing half-written whatever happens to it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from mteb_cascade.errors import InputError
from mteb_cascade.store.index.index import Index, used
from mteb_cascade.store.index.manifest import read
from mteb_cascade.store.index.writer import Writer


def test_the_second_writer_is_refused_and_told_who_is_first(small, documents):
    small.build(documents)
    with small.writer() as first:
        with pytest.raises(InputError, match=f"process {os.getpid()} is changing this index"), small.writer():
            pass
        small.commit(first, read(small.folder).segments)
    with small.writer():
        pass


def test_a_writer_in_another_process_is_refused(small, documents):
    small.build(documents)
    program = "import sys; from mteb_cascade.store.index.writer import Writer; Writer.of(sys.argv[1]).__enter__()"
    with small.writer():
        done = subprocess.run(
            [sys.executable, "-c", program, str(small.folder)], capture_output=True, text=True, check=False
        )
    assert f"InputError: {small.folder}: process {os.getpid()} is changing this index" in done.stderr


def test_what_is_finished_is_not_encoded_again(small, documents):
    with small.writer() as writer:
        small.written(writer, documents[:8])
    small.encoded.clear()
    small.build(documents)
    assert small.encoded == [identity for identity, _ in documents[8:]]
    small.encoded.clear()
    small.build(documents)
    assert small.encoded == []


def test_a_damaged_segment_is_encoded_again_and_no_other(small, documents, same):
    small.build(documents)
    small.encoded.clear()
    segment = small.open().manifest.segments[1]
    path = small.folder / segment.files[0].path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    small.build(documents)
    assert small.encoded == [identity for identity, _ in documents[4:8]]
    same(small.open(check_all=True), documents)


def test_another_precision_or_model_makes_other_segments(small, documents):
    rows = small.build(documents[:2]).segments[0].name
    with small.writer() as writer:
        writer.precision = "int8"
        assert writer.segment(*segment_of(small, documents[:2]))[0].name != rows
        writer.precision, writer.keepers = "float32", ("d4" * 32, *writer.keepers[1:])
        assert writer.segment(*segment_of(small, documents[:2]))[0].name != rows


def segment_of(small, documents):
    columns = {"id": [one[0] for one in documents], "text": [one[1] for one in documents]}
    return pa.table(columns), small.encode(documents)


def test_where_ids_end_and_texts_begin_is_part_of_the_name(small):
    with small.writer() as writer:
        names = {writer.segment(*segment_of(small, [one]))[0].name for one in [("ab", "c"), ("a", "bc"), ("abc", "")]}
    assert len(names) == 3


def test_an_id_that_would_stand_twice_is_named_and_nothing_changes(small, documents, same):
    small.build(documents)
    again = documents[3][0]
    with pytest.raises(InputError, match=f"document id '{again}' would stand twice in the index"):
        small.add([(again, "another text")])
    same(small.open(check_all=True), documents)
    assert not list(small.folder.glob("*/.*"))


def test_an_id_comes_back_after_it_was_removed(small, documents, same):
    small.build(documents[:4])
    small.remove([one[0] for one in documents[:4]])
    same(small.open(), [])
    small.add(documents[:4])
    same(small.open(check_all=True), documents[:4])


def test_facts_are_noted_without_touching_the_rest(small, documents, same):
    small.build(documents)
    before = small.open()
    with Writer.of(small.folder) as writer:
        writer.note({"calibration": {"pairs": 20}})
    after = small.open()
    assert after.manifest.facts == {"source": "made up", "calibration": {"pairs": 20}}
    assert not before.is_current()
    assert after.is_current()
    assert before.manifest.files == after.manifest.files


def test_a_folder_with_other_files_is_left_alone(small):
    small.folder.mkdir()
    (small.folder / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"holds other files \('thesis.tex'\) and no index"), small.writer():
        pass
    assert [path.name for path in small.folder.iterdir()] == ["thesis.tex"]


def test_a_folder_that_is_a_file(small):
    small.folder.write_text("")
    with pytest.raises(InputError, match="is a file; expected a folder for the index"), small.writer():
        pass


@pytest.mark.parametrize("name", ["segments", "whole", "removed", "lock"])
def test_a_link_is_not_followed_by_a_writer(small, documents, tmp_path, name):
    """It would delete the files of whoever it leads to."""
    small.build(documents[:4])
    small.remove([documents[0][0]])
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".profile").write_text("mine")
    path = small.folder / name
    if name == "lock":
        path.unlink()
        path.symlink_to(tmp_path / "home" / ".profile")
    else:
        path.rename(tmp_path / "moved")
        path.symlink_to(tmp_path / "home")
    with pytest.raises(InputError, match=rf"{name}: is a link, and a change"), small.writer():
        pass
    assert (tmp_path / "home" / ".profile").read_text() == "mine"


def test_a_file_that_is_a_link_is_written_anew(small, documents, same):
    manifest = small.build(documents)
    for file in manifest.files:
        path = small.folder / file.path
        path.rename(small.folder / "lock")
        path.symlink_to(small.folder / "lock")
        with pytest.raises(InputError, match="is no file"):
            small.open()
        small.build(documents)
        same(small.open(check_all=True), documents)


def test_no_folder_can_be_made(small, tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputError, match=r"no index can be written there .Not a directory.; .* name another folder"),
        small.writer(tmp_path / "file" / "index"),
    ):
        pass


@pytest.mark.parametrize("most", [150, 700, 1500])
def test_a_full_disk_is_one_line_and_the_same_command_goes_on(small, documents, same, most):
    import resource

    small.build(documents[:4])
    longer = [(identity, text * 40) for identity, text in documents]
    _, hard = limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        with pytest.raises(InputError, match=r"could not be written \(File too large, .* free\). Segments that"):
            small.build(longer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    same(small.open(check_all=True), documents[:4])
    assert not list(small.folder.glob("**/.*"))
    small.build(longer)
    same(small.open(check_all=True), longer)


def test_what_an_encoder_fails_with_is_not_taken_for_the_disk(small, documents):
    def fails():
        raise PermissionError(13, "no right to the weights")
        yield {}

    with small.writer() as writer, pytest.raises(PermissionError, match="no right to the weights"):
        writer.segment(segment_of(small, documents)[0], fails)
    assert not list(small.folder.glob("segments/*"))


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ({"vectors": np.zeros((3, 2), np.float32)}, "'vectors' has 3 rows of 2 documents; expected 2"),
        (
            {"tokens": np.zeros((3, 2), np.int8), "tokens.lengths": np.array([1, 1], np.int32)},
            "'tokens' has 3 rows of 2 documents; expected 2",
        ),
        ({"vectors": np.array([object(), object()])}, "cannot be kept in an index"),
        ({"../vectors": np.zeros((2, 2), np.float32)}, "cannot be kept in an index"),
    ],
)
def test_arrays_that_do_not_fit_the_documents_are_refused(small, documents, kept, message):
    with small.writer() as writer, pytest.raises(ValueError, match=message):
        writer.segment(segment_of(small, documents[:2])[0], lambda: iter([{"a1" * 32: kept}]))


def test_an_array_that_goes_on_as_another_is_refused(small, documents):
    blocks = [{"a1" * 32: {"vectors": np.zeros((1, 2), kind)}} for kind in (np.float32, np.float16)]
    with small.writer() as writer, pytest.raises(ValueError, match=r"began as float32 .2. and goes on as float16 .2."):
        writer.segment(segment_of(small, documents[:2])[0], lambda: iter(blocks))


def test_a_reader_throughout_sees_one_state_or_the_next(small, documents):
    """Documents come and go in pairs: a reader never sees one of a pair."""
    small.build(documents[:4])
    errors: list[BaseException] = []
    seen: set[int] = set()
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                ids, whole = used(small.folder, what_is_there)
                assert sorted(ids) == whole
                assert len(ids) % 2 == 0
                seen.add(len(ids))
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(4):
        for pair in ((documents[4:6]), documents[6:8]):
            small.add(pair)
        small.compact()
        small.remove([one[0] for one in documents[4:8]])
    done.set()
    for reader in readers:
        reader.join()
    assert errors == []
    assert seen <= {4, 6, 8}
    assert len(seen) > 1


def what_is_there(index: Index) -> tuple[list[str], list[str]]:
    """All ids, and those of the file that is opened by its place."""
    whole = index.whole("c3" * 32)
    assert whole is not None
    ids = (whole / "ids.txt").read_text(encoding="utf-8").split("\n")
    vectors = index.arrays("a1" * 32)
    assert vectors is not None
    everything = np.arange(len(index.corpus))
    assert len(vectors.at("vectors", everything)) == len(index.corpus.texts_at(everything)) == len(ids)
    return index.corpus.ids_at(everything), ids


CHANGES = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from conftest import Small
small = Small(Path(sys.argv[2]), rows=2)
pairs = [[(f"{row}x", "text"), (f"{row}y", "text")] for row in range(40)]
print("begun", flush=True)
small.build([one for pair in pairs[:10] for one in pair])
while True:
    for pair in pairs[10:]:
        small.add(pair)
    small.compact()
    for pair in pairs[10:]:
        small.remove([one[0] for one in pair])
"""


def test_a_killed_writer_leaves_the_old_or_the_new_state(small):
    """Killed at any moment: pairs of documents are whole, none stands twice, and the next writer goes on."""
    writer = subprocess.Popen(
        [sys.executable, "-c", CHANGES, str(Path(__file__).parent), str(small.folder)], stdout=subprocess.PIPE
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"begun\n"
    try:
        wait_for_changes(small.folder, random.randrange(1, 40), writer)
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    ids = small.open(check_all=True).corpus.ids.to_pylist()
    assert len(ids) == len(set(ids))
    assert {identity[:-1] + other for identity in ids for other in "xy"} == set(ids)
    assert len(ids) >= 20
    small.remove(ids[:2])
    assert small.open(check_all=True).corpus.ids.to_pylist() == ids[2:]
    assert not list(small.folder.glob("**/.*"))


def wait_for_changes(folder: Path, steps: int, writer: subprocess.Popen[bytes]) -> None:
    """Until the manifest was replaced, and then the folders below looked otherwise so many times."""
    seen: set[frozenset[Path]] = set()
    while len(seen) < steps or not (folder / "manifest.json").exists():
        assert writer.poll() is None
        seen.add(frozenset(folder.glob("*/*")))
