"""The hub's client itself, against a snapshot in its cache and against a server: which files a commit has."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_hub import DAY, SmallHub, served

from mteb_cascade.errors import InputError
from mteb_cascade.publish.commits import Commit, commit_of, differences, is_commit, is_read, snapshot_commit

SHA = "ab" * 20
FILES = {
    "model.safetensors": b"weights",
    "config.json": b"{}",
    "1_Pooling/config.json": b"[]",
    "README.md": b"# card",
    ".gitattributes": b"lfs",
    "pytorch_model.bin": b"pickle",
    "onnx/model.json": b"{}",
}
READ = {
    name: hashlib.sha256(FILES[name]).hexdigest()
    for name in ("model.safetensors", "config.json", "1_Pooling/config.json")
}


def put(folder: Path) -> Path:
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_offline_the_snapshot_in_the_cache_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    snapshot = put(tmp_path / "models--our-org--tiny" / "snapshots" / SHA)
    assert commit_of("our-org/tiny", SHA) == Commit("our-org/tiny", SHA, READ)
    assert snapshot_commit(snapshot) == ("our-org/tiny", SHA)
    assert snapshot_commit(tmp_path / "models" / "tiny") is None
    with pytest.raises(InputError, match="not in the hub's cache and HF_HUB_OFFLINE is set"):
        commit_of("our-org/tiny", "cd" * 20)


def test_online_large_files_are_told_by_their_hash_and_small_ones_are_fetched(tmp_path: Path) -> None:
    hub = SmallHub(FILES, SHA)
    code = (
        "import sys, json; from dataclasses import asdict; from mteb_cascade.errors import InputError\n"
        "from mteb_cascade.publish.commits import commit_of\n"
        f"print(json.dumps(asdict(commit_of('our-org/tiny', '{SHA}'))))\n"
        "try: commit_of('our-org/tiny', 'cd' * 20)\n"
        "except InputError as error: print(error)\n"
        "print('torch' in sys.modules, 'mteb' in sys.modules)"
    )
    with served(hub) as address:
        environment = {**os.environ, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "0"}
        environment |= {"no_proxy": "127.0.0.1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    told, refused, heavy = done.stdout.splitlines()
    assert json.loads(told) == {"repository": "our-org/tiny", "sha": SHA, "files": READ, "date": DAY}
    assert set(hub.downloaded) == {"config.json", "1_Pooling/config.json"}
    assert refused.startswith(f"our-org/tiny at {'cd' * 20}: the hub has no such commit of it; get it with `git ls-rem")
    assert heavy == "False False"


def test_every_difference_is_named() -> None:
    commit = Commit("o/n", SHA, {"a.json": "1", "b.json": "2", "extra.json": "3"})
    assert differences({"a.json": "1", "b.json": "9", "c.json": "4"}, commit) == [
        "b.json is another file there",
        "c.json is not there",
        "extra.json is there too, and loading would read it",
    ]
    assert differences(commit.files, commit) == []
    beside = dict.fromkeys(("LICENSE", "LICENCE.txt", "images/curve.PNG", "eval/results.csv"), "5")
    assert differences(commit.files, Commit("o/n", SHA, {**commit.files, **beside})) == []
    for name in ("licenses.json", "vocab.txt", "model.py"):
        (said,) = differences(commit.files, Commit("o/n", SHA, {**commit.files, name: "5"}))
        assert said.startswith(f"{name} is there too")


@pytest.mark.parametrize("text", ["main", "v1.0", SHA[:12], SHA.upper(), f"{SHA}0", None, 7])
def test_only_the_full_hash_is_a_commit(text: object) -> None:
    assert is_commit(SHA)
    assert not is_commit(text)


def test_what_loading_reads_is_what_the_fingerprint_reads(tmp_path: Path) -> None:
    from mteb_cascade.stages.files import model_files

    folder = put(tmp_path / "model")
    shutil.rmtree(folder / "onnx")
    (folder / "pytorch_model.bin").unlink()
    names = {path.relative_to(folder).as_posix() for path in model_files(folder)}
    assert names == {name for name in FILES if is_read(name)} == set(READ)
