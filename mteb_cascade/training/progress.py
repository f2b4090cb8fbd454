"""How long work says where it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[int, int, str], None]
"""Called with the steps done, the steps in all, and a word on what is being done."""


def silent(done: int, total: int, note: str = "") -> None:
    """Say nothing."""
