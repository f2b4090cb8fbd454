"""A working folder with models that are ready to be published: specs, weights, the hub's cache and mteb's results."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from ready_specs import COMMIT, SPECS


@pytest.fixture(scope="session")
def evaluated(tiny_static: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder, made once: mteb evaluates each model, and the cascade once more at another depth."""
    import mteb
    from small_scifact import SmallSciFact

    import mteb_cascade
    from mteb_cascade.mteb_plugin.loader import loaded

    folder = tmp_path_factory.mktemp("ready") / "house"
    (folder / "models").mkdir(parents=True)
    for name, text in SPECS.items():
        (folder / "models" / f"{name}.toml").write_text(text)
    shutil.copytree(tiny_static, folder / "models" / "tiny")
    snapshot = folder / "hub" / "models--our-org--tiny" / "snapshots" / COMMIT
    shutil.copytree(tiny_static, snapshot)
    before = Path.cwd()
    os.chdir(folder)
    try:
        cascade = mteb_cascade.load("funnel")
        other = cascade.mteb_model_meta.model_copy(update={"loader": loaded}).load_model(depths=[2])
        for model in (*map(mteb_cascade.load, SPECS), other):
            mteb.evaluate(model, SmallSciFact(), cache=mteb.ResultCache(folder), show_progress_bar=False)
    finally:
        os.chdir(before)
    return folder


@pytest.fixture
def ready(evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it, in which the test stands; the hub's client knows its cache and nothing else."""
    folder = tmp_path / "house"
    shutil.copytree(evaluated, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("MTEB_CASCADE_MODELS", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder / "hub"))
    yield folder
