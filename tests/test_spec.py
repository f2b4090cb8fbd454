from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mteb_cascade import spec as specs
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.spec import SpecError

Write = Callable[[str, str], Path]


def test_a_spec_says_what_its_file_says(write_spec: Write) -> None:
    path = write_spec("mine", 'kind = "bm25"\nk1 = 0.9\n[training]\nseed = 1\n[card]\nlicense = "mit"\n')
    spec = specs.required("mine")
    assert (spec.name, spec.kind, spec.short_name) == ("local/mine", "bm25", "mine")
    assert dict(spec.options) == {"k1": 0.9}
    assert dict(spec.training) == {"seed": 1}
    assert dict(spec.card) == {"license": "mit"}
    assert spec.weights == path.with_suffix("")


def test_it_is_found_under_both_names(write_spec: Write) -> None:
    write_spec("mine", 'name = "org/other"\nkind = "bm25"\n')
    write_spec("plain", 'name = "flat"\nkind = "bm25"\n')
    assert specs.find("mine") == specs.find("org/other")
    assert specs.find("local/flat") == specs.find("plain")
    assert specs.find("org/mine") is None
    assert specs.find("flat") is None


def test_a_toml_without_kind_is_left_alone(write_spec: Write) -> None:
    write_spec("pyproject", '[project]\nname = "../x"\n')
    assert specs.find("pyproject") is None
    assert specs.catalogue() == ({}, [])


def test_further_folders_come_after_models(write_spec: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_spec("both", 'kind = "bm25"\nk1 = 1.0\n')
    for number, folder in enumerate(["one", "two"], 2):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "both.toml").write_text(f'kind = "bm25"\nk1 = {number}.0\n')
        (tmp_path / folder / f"{folder}.toml").write_text(f'kind = "bm25"\nk1 = {number}.0\n')
    monkeypatch.setenv("MTEB_CASCADE_MODELS", os.pathsep.join([str(tmp_path / "one"), "", "gone", "two"]))
    found, errors = specs.catalogue()
    assert {name: spec.options["k1"] for name, spec in found.items()} == {"both": 1.0, "one": 2.0, "two": 3.0}
    assert errors == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("kind = bm25\nk1 = 1", "models/mine.toml: is not valid TOML: .*line 1.*Mend the file"),
        ("kind = 3", "models/mine.toml: kind: expected a string, got 3"),
        ('kind = "bm25"\nname = "../x"', "models/mine.toml: name: expected 'organisation/name' .*got '../x'"),
        ('kind = "bm25"\nname = "a/b/c"', "got 'a/b/c'"),
        ('kind = "bm25"\nname = "a/.."', "got 'a/..'"),
        ('kind = "bm25"\ncard = 3', r"\[card\]: expected a table, got 3"),
        ('kind = "bm25"\n[[training]]\nseed = 1', r"\[training\]: expected a table"),
    ],
)
def test_a_mistake_names_file_and_key(write_spec: Write, content: str, message: str) -> None:
    write_spec("mine", content)
    with pytest.raises(SpecError, match=message):
        specs.find("mine")
    assert [str(error) for error in specs.catalogue()[1]]


def test_bytes_that_are_no_text_and_what_is_no_file_are_mistakes_of_that_file(write_spec: Write) -> None:
    write_spec("binary", "").write_bytes(b"\xff\xfe\x00")
    write_spec("folder", "").unlink()
    Path("models/folder.toml").mkdir()
    write_spec("fine", 'kind = "bm25"\n')
    assert specs.required("fine").kind == "bm25"
    with pytest.raises(SpecError, match=r"models/binary.toml: is not valid TOML"):
        specs.find("binary")
    with pytest.raises(SpecError, match=r"models/folder.toml: cannot be read: Is a directory"):
        specs.find("folder")


def test_a_broken_spec_does_not_hide_the_others(write_spec: Write) -> None:
    write_spec("broken", "kind =")
    write_spec("fine", 'kind = "bm25"\n')
    found, errors = specs.catalogue()
    assert list(found) == ["fine"]
    assert [error.path.name for error in errors] == ["broken.toml"]
    assert specs.required("fine").kind == "bm25"


def test_all_mistakes_of_a_file_are_told_together(write_spec: Write) -> None:
    path = write_spec("mine", 'kind = 3\nname = "../x"\ncard = 1\ntraining = 2\n')
    with pytest.raises(SpecError) as raised:
        specs.read(path)
    lines = str(raised.value).splitlines()
    assert len(lines) == len(raised.value.mistakes) == 4
    assert all(line.startswith("models/mine.toml: ") for line in lines)


@pytest.mark.parametrize("name", ["../x", "..", "/x", "a/../b", "", "a b", "a/b/c", ".hidden", "x\n"])
def test_a_name_never_leaves_its_folder(write_spec: Write, name: str) -> None:
    write_spec("mine", 'kind = "bm25"\n')
    Path("x.toml").write_text('kind = "bm25"\n')
    with pytest.raises(InputError, match="is no model name: expected NAME or ORGANISATION/NAME"):
        specs.find(name)


def test_an_unknown_name_lists_what_is_known(write_spec: Write) -> None:
    write_spec("our-bm25", 'kind = "bm25"\n')
    write_spec("our-reranker", 'kind = "cross-encoder"\n')
    with pytest.raises(InputError) as raised:
        specs.required("our-rerankr")
    assert str(raised.value) == (
        "unknown model 'our-rerankr'. Known here: our-bm25, our-reranker. Did you mean 'our-reranker'?"
    )
    assert suggestion("x", []) == "Known: none."
