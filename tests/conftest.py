"""Where the tests find real data."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("ours", deadline=None)
settings.load_profile("ours")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real collections; a test that needs it is skipped, with a reason, where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("MTEB_CASCADE_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real collections in {folder}; MTEB_CASCADE_TEST_DATA names another folder")
    return folder
