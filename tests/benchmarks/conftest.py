"""The folder of the benchmarks, which is no package, on the path that modules are looked for on."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture(autouse=True)
def benchmarks_importable(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    if not FOLDER.is_dir():
        pytest.skip("the folder benchmarks is not part of this copy")
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(FOLDER))
    yield
    # A name as short as theirs may be another test's.
    for name in set(sys.modules) - before:
        file = getattr(sys.modules[name], "__file__", None)
        if file and Path(file).is_relative_to(FOLDER):
            del sys.modules[name]
