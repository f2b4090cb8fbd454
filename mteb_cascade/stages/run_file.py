"""A run file as a stage: what somebody else's system retrieved or scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.run_files import Rankings, read
from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.values.lookup import looked_up
from mteb_cascade.values.run import PAD, Run


@dataclass(kw_only=True, eq=False, repr=False)
class RunFile(Stage):
    """Retrieves and scores what its file says, by query id and document id.

    Args:
        file: A TREC run, a Parquet run or mteb's prediction JSON; relative to the spec's folder.
        subset: Subset of an mteb file; by default the task's, or the only one.
        split: Split of an mteb file; by default the task's, or the only one.
        pointwise: Whether the scores in the file depend on their pair alone. A listwise reordering's do not.
    """

    kind: ClassVar[str] = "run"

    file: str
    subset: str | None = None
    split: str | None = None
    pointwise: bool = False  # type: ignore[misc]
    _read: dict[tuple[str | None, str | None], Rankings] = field(
        default_factory=dict, init=False, repr=False, metadata={"serving": True}
    )

    @property
    def path(self) -> Path:
        """Where the file is."""
        return (self.spec.path.parent if self.spec else Path.cwd()) / Path(self.file).expanduser()

    def prepare(self) -> None:
        """Refuse a file that is not there."""
        if not self.path.is_file():
            raise InputError(f"{self.label}: there is no run file {shown(self.path)}")

    def rankings(self, queries: Queries, corpus: Corpus) -> Run:
        """The file's lists for these queries."""
        subset = self.subset or queries.context.get("hf_subset")
        split = self.split or queries.context.get("hf_split")
        with self._lock:
            if (subset, split) not in self._read:
                self._read[subset, split] = read(self.path, subset, split)
            return self._read[subset, split].run(queries.ids, corpus)

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The first k of each query's list."""
        return self.rankings(queries, self.corpus).cut(k)

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """The file's score of every candidate; -inf where the file does not have the pair."""
        found = looked_up(self.rankings(queries, candidates.corpus), candidates, np.full(len(queries), -np.inf))
        return np.where(candidates.docs == PAD, -np.inf, found).astype(np.float32)

    def files(self) -> Sequence[Path]:
        """The run file."""
        return [self.path] if self.path.is_file() else []

    def described(self) -> dict[str, Any]:
        """The options; the file stands for its content, wherever it lies."""
        return {**super().described(), "file": Path(self.file).name}
