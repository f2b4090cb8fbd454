from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mteb_cascade import spec as specs
from mteb_cascade.errors import InputError
from mteb_cascade.spec_edit import new_path, write_as, write_values

CASCADE = """# Why it is so.
name = "org/old"
kind = "cascade"

[[stage]]
model = "our-bm25"

[[stage]]
model = "our-reranker"  # the better one
depth = 100
blend = 8.0

[card]
license = "apache-2.0"
"""


@pytest.fixture
def old(write_spec: Callable[[str, str], Path]) -> specs.Spec:
    write_spec("old", CASCADE)
    return specs.required("old")


def test_a_new_spec_is_the_old_one_but_for_what_was_chosen(old: specs.Spec) -> None:
    path = write_as(old, "new", "stage", [{}, {"depth": 20, "blend": 0.5}], note="Chosen for 20 ms.")
    changed = CASCADE.replace("depth = 100", "depth = 20").replace("blend = 8.0", "blend = 0.5")
    assert path == old.path.with_name("new.toml")
    assert path.read_text() == "# Chosen for 20 ms.\n" + changed.replace("org/old", "org/new")
    assert old.path.read_text() == CASCADE
    made = specs.required("org/new")
    assert made.options["stage"][1] == {"model": "our-reranker", "depth": 20, "blend": 0.5}


def test_a_spec_without_a_name_or_a_blend(write_spec: Callable[[str, str], Path]) -> None:
    write_spec("old", 'kind = "cascade"\n[[stage]]\nmodel = "a"\n[[stage]]\nmodel = "b"\ndepth = 9\n')
    write_as(specs.required("old"), "new", "stage", [{}, {"depth": 3, "blend": 2.0}])
    made = specs.required("new")
    assert made.name == "local/new"
    assert made.options["stage"] == [{"model": "a"}, {"model": "b", "depth": 3, "blend": 2.0}]


def test_nothing_is_overwritten(old: specs.Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "more"
    elsewhere.mkdir()
    (elsewhere / "theirs.toml").write_text('kind = "bm25"\n')
    monkeypatch.setenv("MTEB_CASCADE_MODELS", str(elsewhere))
    for name, file in (("old", "models/old.toml"), ("theirs", "more/theirs.toml")):
        with pytest.raises(InputError, match=f"{file} exists already; choose another name"):
            write_as(old, name, "stage", [{}, {}])
    assert old.path.read_text() == CASCADE


@pytest.mark.parametrize("name", ["", "../x", "org/x", ".hidden", "a b"])
def test_what_is_no_file_name(name: str, old: specs.Spec) -> None:
    with pytest.raises(InputError, match="is no file name of a spec"):
        new_path(old, name)


def test_values_are_written_in_place_with_the_comments_kept(old: specs.Spec) -> None:
    assert write_values(old, "stage", 1, {"depth": 50, "blend": 8.0})
    assert old.path.read_text() == CASCADE.replace("depth = 100", "depth = 50")
    assert not write_values(old, "stage", 1, {"depth": 50})
