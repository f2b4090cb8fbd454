"""Two scorings of the user's own never share what is stored."""

from __future__ import annotations

import functools
import importlib
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.values.run import Run

ASKED = Queries(("q",), ("red fox",))

PART = """
FACTOR = 2.0

def scaled(value):
    return value * FACTOR
"""

WHOLE = """
import functools, re
import numpy as np
from numpy import exp
import mteb_cascade as mc
import own_part
from own_part import scaled

STOP = {"the", "of", "a", "in", "and"}
WORD = re.compile("[a-z]+")
UNRELATED = object()
TABLE = {"fox": 1.0, "whale": [1, 2]}

@functools.lru_cache
def weight(word):
    return TABLE.get(word, 0.5)

class Mixed:
    def bonus(self):
        return float(exp(0.0)) + 1

class Own(Mixed, mc.Stage):
    kind = "own"
    level = 1

    def __init__(self, scale, *, shift=0.0, **base):
        super().__init__(**base)
        self._scale = scale
        self.shift = shift

    @property
    def words(self):
        return lambda text: [w for w in WORD.findall(text) if w not in STOP and w not in {"x", "y", "z"}]

    def score(self, queries, candidates):
        rows, columns = mc.cells(candidates)
        texts = candidates.corpus.texts_at(candidates.docs[rows, columns])
        found = [own_part.scaled(sum(map(weight, self.words(text)))) + self.bonus() for text in texts]
        return mc.scattered(candidates, np.array(found) * self._scale)
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Imports the two modules as they are now, changed as told."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def made(old: str = "", new: str = "") -> ModuleType:
        for name, text in (("own_part", PART), ("own_whole", WHOLE)):
            monkeypatch.delitem(sys.modules, name, raising=False)
            (tmp_path / f"{name}.py").write_text(text.replace(old, new) if old else text)
        importlib.invalidate_caches()
        return importlib.import_module("own_whole")

    return made


def key(stage: Stage) -> str | None:
    return stage.store_key(ASKED)


def test_the_same_code_has_the_same_key_in_another_process(made: Callable[..., ModuleType], tmp_path: Path) -> None:
    expected = key(made().Own(1))
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import own_whole; from mteb_cascade.corpora.corpus import Queries\n"
        "print(own_whole.Own(1).store_key(Queries((), ())))"
    )
    for seed in ("1", "2", "3", "4"):
        told = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, env={"PYTHONHASHSEED": seed}, check=True
        )
        assert told.stdout.strip() == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("FACTOR = 2.0", "FACTOR = 3.0"),
        ("value * FACTOR", "value + FACTOR"),
        ('"in", "and"', '"in"'),
        ("[a-z]+", "[a-z0-9]+"),
        ('"fox": 1.0', '"fox": 2.0'),
        ("[1, 2]", "[1, 3]"),
        ("(word, 0.5)", "(word, 0.25)"),
        ("exp(0.0)) + 1", "exp(0.0)) + 2"),
        ("level = 1", "level = 2"),
        ('"y", "z"', '"y"'),
    ],
)
def test_a_change_of_anything_that_is_read_is_another_key(made: Callable[..., ModuleType], old: str, new: str) -> None:
    before = key(made().Own(1))
    assert key(made(old, new).Own(1)) not in (None, before)


def test_what_is_loaded_counts_not_what_the_file_has_become(made: Callable[..., ModuleType], tmp_path: Path) -> None:
    module = made()
    before = key(module.Own(1))
    assert key(made("UNRELATED = object()", "UNRELATED = None").Own(1)) == before
    (tmp_path / "own_part.py").write_text(PART.replace("2.0", "5.0"))
    assert key(module.Own(1)) == before
    module.own_part.FACTOR = 5.0
    assert key(module.Own(1)) not in (None, before)


def test_attributes_count_however_they_came(made: Callable[..., ModuleType]) -> None:
    kind = made().Own
    changed = kind(1)
    changed.level = np.arange(3)
    changed.noted = ["what it was asked"]
    stages = [kind(1), kind(2), kind(1, shift=2.0), kind(BM25()), kind(BM25(k1=2.0)), kind((1, 2)), changed]
    assert len({key(stage) for stage in stages} - {None}) == len(stages)
    assert key(kind(1)) == key(kind(1, name="a/b", device="cpu"))


class Forgets(Stage):
    """Does not keep what it is given."""

    def __init__(self, scale: float, **base: Any) -> None:
        super().__init__(**base)
        self.doubled = 2 * scale

    def score(self, queries: Queries, candidates: Any) -> np.ndarray:
        return np.full(candidates.docs.shape, self.doubled, np.float32)


LOCK = threading.Lock()


class Reads(Stage):
    """Reads a thing that nothing can stand for."""

    def score(self, queries: Queries, candidates: Any) -> np.ndarray:
        return np.full(candidates.docs.shape, LOCK.locked(), np.float32)


class Plain(Stage):
    """Reads an attribute of the class or of its own."""

    level: Any = 1

    @functools.cached_property
    def half(self) -> float:
        return float(self.level) / 2

    def score(self, queries: Queries, candidates: Any) -> np.ndarray:
        return np.full(candidates.docs.shape, self.half, np.float32)


def test_what_cannot_be_told_is_not_stored() -> None:
    assert key(Forgets(1.0)) is None
    assert key(Reads()) is None
    loop: list[Any] = []
    loop.append(loop)
    held = Plain()
    before = key(held)
    assert (held.half, key(held)) == (0.5, before)
    held.level = [functools.partial(re.sub, "a", "b"), re.compile("x"), {1, 2}, loop]
    assert key(held) not in (None, key(Plain()))
    held.level, held.noted = None, LOCK  # type: ignore[attr-defined]
    assert key(held) not in (None, key(Plain()))


class Louder(Hybrid):
    """Fuses otherwise than the hybrid that it is made from, with the same members."""

    def _fused(self, queries: Queries, k: int) -> Run:
        run = super()._fused(queries, k)
        return replace(run, scores=run.scores * 2)


def test_a_composition_of_ones_own_is_not_taken_for_ours() -> None:
    ours, own = Hybrid(BM25(), BM25(k1=2.0)), Louder(BM25(), BM25(k1=2.0))
    for stage in (ours, own):
        stage.index(Corpus.of(["a", "b"], ["red fox", "whale"]))
    first, second = (stage.retrieved(ASKED, 1).scores for stage in (ours, own))
    np.testing.assert_array_equal(second, 2 * first)


def test_kinds_of_ours_have_their_fingerprint() -> None:
    assert key(BM25()) == BM25().fingerprint
