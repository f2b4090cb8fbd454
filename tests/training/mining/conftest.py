"""What the tests of mining and of teachers stand on."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and a store of the test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTEB_CASCADE_CACHE", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def models(tiny_bi_encoder: Path, tiny_cross_encoder: Path) -> tuple[str, str]:
    return str(tiny_bi_encoder), str(tiny_cross_encoder)
