"""Sweeps of a small collection whose texts and ids are as nasty as markup can be."""

from __future__ import annotations

from pathlib import Path

import pytest
from nasty import Coarse, collection

from mteb_cascade.experiments.sweep import sweep
from mteb_cascade.report.results import Result, read_all


@pytest.fixture(scope="session")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a collection, `data`, and the results of two rerankers on it, `sweeps`."""
    folder = tmp_path_factory.mktemp("report")
    sweep(
        first=[Coarse(seed=0)],
        rerank=[Coarse(seed=1, gaps=True), Coarse(seed=2)],
        tasks=[collection(folder / "data")],
        depth=40,
        blend=0.7,
        measures=["success@1", "ndcg@10"],
        output=folder / "sweeps",
    )
    return folder


@pytest.fixture
def results(swept: Path) -> list[Result]:
    return read_all([swept / "sweeps"])
