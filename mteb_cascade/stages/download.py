"""Something that a run needs from elsewhere, and how it gets onto this disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Download:
    """One thing to have on this disk: a model's weights, a dataset, an index.

    Args:
        what: What messages call it; of two with one `what`, one is fetched.
        fetch: Fetches what is not here; where all is here it needs no network. Raises InputError where it cannot.
        place: Folder or file where it lies once it is here; None where that is not known beforehand.
    """

    what: str
    fetch: Callable[[], object]
    place: Path | None = None

    @property
    def size(self) -> int:
        """Bytes on this disk so far; 0 where its place is not known."""
        if self.place is None or not self.place.exists():
            return 0
        files = self.place.rglob("*") if self.place.is_dir() else [self.place]
        # A hub snapshot links to its blobs: each file counts once.
        return sum(path.stat().st_size for path in {path.resolve() for path in files} if path.is_file())
