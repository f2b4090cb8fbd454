"""Changes of the index on disk reach a running service by themselves."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.retriever.retriever import Retriever

SECONDS = 1.0
"""Between two looks at the index."""


@dataclass(frozen=True)
class Searched:
    """What is searched now.

    Args:
        model: What it is called.
        fingerprint: SHA-256 of what determines its scores.
        documents: In the index.
        generation: Digest of what the index holds.
    """

    model: str
    fingerprint: str
    documents: int
    generation: str

    @classmethod
    def by(cls, retriever: Retriever) -> Searched:
        """What a retriever searches."""
        now = retriever.snapshot
        manifest = now.index.manifest
        return cls(retriever.label, now.stage.fingerprint, manifest.documents, manifest.name)


class Refreshing:
    """Looks at the index again and again, in a thread of its own; searches go on meanwhile.

    Args:
        retriever: What searches; its index is open.
        say: Told, in one line and once, why the index cannot be read any more.
        seconds: Between two looks.
    """

    def __init__(self, retriever: Retriever, say: Callable[[str], object], *, seconds: float = SECONDS) -> None:
        self.retriever = retriever
        self.say = say
        self.seconds = seconds
        self.searched = Searched.by(retriever)
        self.problem = ""
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="refreshing", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def stop(self) -> None:
        """Look no more; returns when the last look has ended."""
        self._end.set()
        self._thread.join()

    def look(self) -> None:
        """Take in what has changed; an index that cannot be read leaves the searches with what was read before."""
        try:
            if self.retriever.refresh():
                self.searched = Searched.by(self.retriever)
            problem = ""
        except (InputError, OSError) as error:
            problem = in_one_line(error)
        if problem and problem != self.problem:
            self.say(f"{problem}; searches go on with the index as it was")
        self.problem = problem

    def _run(self) -> None:
        while not self._end.wait(self.seconds):
            self.look()
