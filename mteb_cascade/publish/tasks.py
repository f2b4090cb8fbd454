"""The tasks that the public leaderboard has: mteb's own, none of ours."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mteb.abstasks import AbsTask


def published_tasks() -> dict[str, type[AbsTask]]:
    """{name: class} of every task that mteb itself brings; what we register is not among them."""
    import mteb.get_tasks  # noqa: F401

    # `mteb.get_tasks` is also a function that hides the module.
    module: Any = sys.modules["mteb.get_tasks"]
    return {task.metadata.name: task for task in module.TASK_LIST}


def known_tasks() -> set[str]:
    """Names by which mteb knows training data."""
    return set(published_tasks())


def nearest(name: str, known: Iterable[str]) -> list[str]:
    """The names that a misspelt one is close to."""
    return difflib.get_close_matches(name, list(known), n=3)
