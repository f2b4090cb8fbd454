"""Every fault of an index is named in one line, with the file and the remedy."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mteb_cascade.errors import InputError
from mteb_cascade.store.index import manifest as manifests
from mteb_cascade.store.index.index import Index
from mteb_cascade.store.index.manifest import StoredFile

REMEDY = "Run the same `mteb-cascade index` command again"


@pytest.fixture
def built(small, documents):
    """Three segments, one of which has lost a document."""
    small.build(documents)
    small.remove([documents[5][0]])
    return small


def flip(path: Path, at: int = -1, *, keep_time: bool = False) -> None:
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + (0 if keep_time else 1_000_000)))


def fault(folder: Path, **options) -> str:
    with pytest.raises(InputError) as caught:
        Index.open(folder, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


KINDS = (
    r"segments/\w+/documents.arrow",
    r"segments/\w+/\w+.vectors.npy",
    r"segments/\w+/\w+.tokens.npy",
    r"segments/\w+/\w+.tokens.lengths.npy",
    r"segments/\w+/files.json",
    r"removed/\w+.\w+.npy",
    r"whole/\w+/tie.npy",
    r"whole/\w+/order.npy",
    r"whole/\w+/\w+/ids.txt",
)


def test_every_kind_of_file_is_tried_below(built):
    assert {file.path for file in built.open().manifest.files} == {
        path for kind in KINDS for path in paths(built, kind)
    } | set(paths(built, r"segments/.*tokens.scales.npy|whole/\w+/files.json"))


def paths(built, kind: str) -> list[str]:
    return [file.path for file in built.open().manifest.files if re.fullmatch(kind, file.path)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [0, -1])
def test_a_flipped_byte_is_named(built, kind, place):
    path = paths(built, kind)[0]
    flip(built.folder / path, place)
    message = fault(built.folder)
    assert f"index: the index is damaged: {path}: is damaged, its checksum is another. {REMEDY}" in message


@pytest.mark.parametrize("kind", KINDS)
def test_verifying_reads_what_has_its_old_time(built, kind):
    path = paths(built, kind)[-1]
    flip(built.folder / path, keep_time=True)
    assert f"{path}: is damaged, its checksum is another" in fault(built.folder, check_all=True)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_and_a_cut_file_are_named(built, kind):
    path = paths(built, kind)[0]
    data = (built.folder / path).read_bytes()
    (built.folder / path).write_bytes(data[:-1])
    assert f"{path}: has {len(data) - 1:,} bytes, {len(data):,} were written" in fault(built.folder)
    (built.folder / path).unlink()
    assert f"the index is damaged: {path}: is missing. {REMEDY}" in fault(built.folder)


def test_all_faults_are_named_together(built):
    first, second, third = paths(built, r"segments/\w+/documents.arrow")
    flip(built.folder / first)
    (built.folder / second).unlink()
    (built.folder / third).write_bytes(b"")
    message = fault(built.folder)
    assert [message.count(path) for path in (first, second, third)] == [1, 1, 1]


def test_a_flip_that_is_not_noticed_at_open_does_not_end_the_process(built):
    # Whichever byte of the documents is another: an error, or another text, and nothing worse.
    path = built.folder / paths(built, r"segments/\w+/documents.arrow")[0]
    for at in range(0, path.stat().st_size, 7):
        flip(path, at, keep_time=True)
        try:
            corpus = built.open().corpus
            corpus.texts_at(np.arange(len(corpus)))
            corpus.ids.to_pylist()
        except (InputError, ValueError, IndexError) as error:
            assert not isinstance(error, InputError) or "documents.arrow" in str(error)
        flip(path, at, keep_time=True)
    built.open(check_all=True)


@pytest.mark.parametrize("share", [0, 0.3, 0.6, 1])
def test_a_flipped_byte_of_the_manifest_is_named(built, share):
    path = built.folder / manifests.FILE
    flip(path, int(share * (path.stat().st_size - 3)))
    assert fault(built.folder).startswith(f"{path}: is damaged, or no manifest of an index. {REMEDY}")


@pytest.mark.parametrize("content", ["", "[]", "null", "{}", '{"format": 1}', '{"a": "\\u001b[31m"}', "[" * 100_000])
def test_foreign_json_is_no_manifest(built, content):
    (built.folder / manifests.FILE).write_text(content, encoding="utf-8")
    assert "is damaged, or no manifest of an index" in fault(built.folder)


def rewritten(folder: Path, **changes) -> None:
    """A manifest with other values, and the checksum that belongs to them."""
    path = folder / manifests.FILE
    content = {**json.loads(path.read_text()), **changes}
    content.pop("checksum")
    path.write_text(json.dumps({**content, "checksum": manifests.checksum_of(content)}))


def test_another_version_of_the_format_is_named(built):
    rewritten(built.folder, format=2)
    message = fault(built.folder)
    assert "is an index of format 2; this version reads format 1. Build it again with this version" in message


@pytest.mark.parametrize(
    "changes",
    [{"segments": 3}, {"name": "../.."}, {"whole": [{"path": "whole/a", "size": "1", "checksum": "", "mtime_ns": 0}]}],
)
def test_a_manifest_of_other_values_is_refused(built, changes):
    rewritten(built.folder, **changes)
    assert "is damaged, or no manifest of an index" in fault(built.folder)


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../x", "segments/../../x", "segments", "whole/a/.b", "other/a", "whole//a"]
)
def test_no_path_leads_out_of_the_folder(path):
    with pytest.raises(ValueError, match="is no path of a file of an index"):
        StoredFile(path, 1, "", 0)


def test_a_link_out_of_the_folder_is_named(built, tmp_path):
    (built.folder / "segments").rename(tmp_path / "elsewhere")
    (built.folder / "segments").symlink_to(tmp_path / "elsewhere")
    assert "is a link that leads out of the index" in fault(built.folder)


def test_a_folder_that_is_none_and_one_without_an_index(tmp_path):
    assert "there is no such folder; expected an index, which `mteb-cascade index NAME" in fault(tmp_path / "none")
    (tmp_path / "file").write_text("")
    assert "is a file; expected the folder of an index" in fault(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "is no index, it has no manifest.json" in fault(tmp_path / "empty")


def test_an_unfinished_build_is_named(small, documents):
    with small.writer() as writer:
        small.written(writer, documents[:8])
    assert f"the build of this index was not finished (2 of its segments are there). {REMEDY}" in fault(small.folder)


def test_files_that_cannot_be_read_are_named(built, monkeypatch):
    path = paths(built, r"whole/\w+/tie.npy")[0]
    os.utime(built.folder / path)
    opened = Path.open

    def refused(self, *rest, **options):
        if self == built.folder / path:
            raise PermissionError(13, "Permission denied", str(self))
        return opened(self, *rest, **options)

    monkeypatch.setattr(Path, "open", refused)
    assert f"{path}: cannot be read (Permission denied)" in fault(built.folder)
    monkeypatch.setattr(Path, "open", lambda self, *rest: refused(built.folder / path))
    assert "manifest.json: cannot be read (Permission denied); expected a file, and the right to read it" in fault(
        built.folder
    )


def test_a_copied_index_is_read_through_once(built, tmp_path):
    copy = shutil.copytree(built.folder, tmp_path / "copy", copy_function=shutil.copyfile)
    told = []
    Index.open(copy, progress=lambda done, total, note="": told.append(total))
    assert set(told) == {Index.open(copy).manifest.bytes}
    told.clear()
    Index.open(copy, progress=lambda done, total, note="": told.append(total))
    assert set(told) == {0}


def test_many_faults_are_counted(small, documents):
    small.rows = 1
    small.build([*documents, *((f"more {row}", "text") for row in range(20))])
    for path in paths(small, r"segments/\w+/documents.arrow"):
        (small.folder / path).unlink()
    message = fault(small.folder)
    assert message.count("is missing") == 20
    assert "; and 10 more. " in message
