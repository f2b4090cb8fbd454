"""What a provenance record says, and what it must never say."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages import provenance
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.load import load
from mteb_cascade.values.qrels import Qrels

TREE = {
    "first": 'kind = "bm25"\nk1 = 0.9\n',
    "dense": 'kind = "bi-encoder"\nmodel = "{}"\n',
    "both": 'kind = "hybrid"\n[[member]]\nmodel = "first"\nweight = 0.5\n[[member]]\nmodel = "dense"\n',
    "whole": 'kind = "cascade"\n[[stage]]\nmodel = "both"\n[[stage]]\nmodel = "dense"\ndepth = 7\nblend = 0.5\n',
}


def tiny(grades: dict[str, dict[str, int]]) -> Collection:
    corpus = Corpus.of(["a", "b"], ["red fox", "blue whale"])
    split = Split(Queries(("q", "p"), ("red", "whale")), Qrels(grades))
    return Collection("tiny", corpus, {"test": split}, revision="7")


@pytest.fixture
def whole(write_spec: Callable[[str, str], Path], tiny_static: Path) -> Cascade:
    for name, text in TREE.items():
        write_spec(name, text.format(tiny_static))
    stage = load("whole")
    assert isinstance(stage, Cascade)
    return stage


def test_the_tree_is_told_depth_first_with_the_digest_of_every_file(whole: Cascade, tiny_static: Path) -> None:
    record = provenance.record_of(whole, tiny({"q": {"a": 1}}), "test")
    assert [one["label"] for one in record["stages"]] == ["whole", "both", "first", "dense", "dense"]
    assert record["fingerprint"] == record["stages"][0]["fingerprint"] == whole.fingerprint
    weights = (tiny_static / "model.safetensors").read_bytes()
    assert record["stages"][3]["files"]["model.safetensors"] == hashlib.sha256(weights).hexdigest()
    assert record["stages"][2]["options"]["k1"] == 0.9
    assert record["stages"][1]["options"]["member"] == [
        {"weight": 0.5, "stage": "local/first"},
        {"weight": 1.0, "stage": "local/dense"},
    ]
    assert record["stages"][0]["options"]["stage"][1] == {"stage": "local/dense", "depth": 7, "blend": 0.5}
    assert record["spec"] == {
        "file": "whole.toml",
        "sha256": hashlib.sha256(TREE["whole"].encode()).hexdigest(),
    }
    assert (record["task"], record["split"], record["dataset_revision"]) == ("tiny", "test", "7")
    assert record["hardware"]["cores"] >= 1 and record["hardware"]["device"] == "cpu"
    assert record["versions"]["numpy"] == __import__("numpy").__version__
    assert record["date"].endswith("+00:00")
    assert record["overrides"] is None
    assert provenance.record_of(whole.at(3), tiny({}), "test")["overrides"] == {"depths": [3], "blends": [0.5]}
    written = json.dumps(record)
    assert str(tiny_static.parent) not in written and str(Path.cwd()) not in written


def test_judgements_have_a_digest_that_follows_them_and_not_their_order() -> None:
    def digest(grades: dict[str, dict[str, int]]) -> str:
        return provenance.qrels_digest(tiny(grades).split("test"))

    one = digest({"q": {"a": 1, "b": 2}, "p": {"b": 1}})
    assert one == digest({"p": {"b": 1}, "q": {"b": 2, "a": 1}, "stranger": {"a": 1}})
    assert len({one, digest({"q": {"a": 2, "b": 2}, "p": {"b": 1}}), digest({"q": {"a": 1, "b": 2}})}) == 3


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["/usr/bin/mteb-cascade", "sweep", "our-cascade", "--expect", "peak(x) < 5"], None),
        (["/x/site-packages/mteb/__main__.py", "run", "-m", "our-org/a"], "mteb run -m our-org/a"),
        (["/x/mteb_cascade/__main__.py", "models"], "mteb-cascade models"),
        (["mteb-cascade", "evaluate", "a", "-t", "/home/anna/data/scifact"], "mteb-cascade evaluate a -t scifact"),
        (["mteb-cascade", "sweep", "-o=/home/anna/x y/out", "~/run.trec"], "mteb-cascade sweep -o=out run.trec"),
        (["/home/anna/secret/study.py", "--token", "x"], "python study.py"),
        (["-c"], "python"),
    ],
)
def test_the_command_names_no_folder_of_this_machine(
    arguments: list[str], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", arguments)
    assert provenance.command() == (expected or "mteb-cascade sweep our-cascade --expect 'peak(x) < 5'")


def test_a_path_below_the_working_folder_is_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert provenance.without_folders(f"--output={tmp_path}/results/a") == "--output=results/a"
    assert (
        provenance.without_folders("recall@10/2 and https://example.org/a") == "recall@10/2 and https://example.org/a"
    )


def test_the_commit_of_the_specs_folder(tmp_path: Path) -> None:
    assert provenance.commit_of(tmp_path) is None
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]

    def run(*arguments: str) -> str:
        return subprocess.run([*git, *arguments], check=True, capture_output=True, text=True).stdout.strip()

    run("init", "-q")
    assert provenance.commit_of(tmp_path) is None
    (tmp_path / "a.toml").write_text("x")
    run("add", ".")
    run("commit", "-qm", "x")
    (tmp_path / "untracked").write_text("y")
    assert provenance.commit_of(tmp_path) == {"commit": run("rev-parse", "HEAD"), "dirty": False}
    (tmp_path / "a.toml").write_text("z")
    assert provenance.commit_of(tmp_path) == {"commit": run("rev-parse", "HEAD"), "dirty": True}


def test_without_git_there_is_no_commit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance.commit_of(tmp_path) is None
    assert provenance.record_of(BM25(), tiny({}), "test")["git"] is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *[("fingerprint", 3), ("versions", []), ("hardware", "x"), ("git", [1]), ("stages", 3), ("stages", [{}])],
        *[
            ("stages", [{"label": "x", "fingerprint": "y", "files": {"a": 1}}]),
            ("parts", [{"split": 3}]),
            ("parts", "x"),
        ],
    ],
)
def test_what_has_another_shape_is_no_record(whole: Cascade, key: str, value: object) -> None:
    record = json.loads(json.dumps(provenance.record(whole, {"task": "x"})))
    assert provenance.is_record(record)
    assert not provenance.is_record({**record, key: value})


def test_several_parts_and_one() -> None:
    record = provenance.record_of(BM25(), tiny({"q": {"a": 1}}), "test")
    (part,) = provenance.parts_of(record)
    assert provenance.with_parts(record, [part]) == record
    both = provenance.with_parts(record, [part, part | {"split": "dev"}])
    assert (both["splits"], both["subsets"]) == (["test", "dev"], ["default"])
    assert "corpus_digest" not in both
    assert provenance.parts_of(both) == [part, part | {"split": "dev"}]
