"""A run file as a stage: what somebody else's system retrieved or scored, or a candidate set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.rankings import Rankings
from mteb_cascade.corpora.run_files import prediction_file, prediction_files, read
from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.download import Download
from mteb_cascade.values.lookup import looked_up
from mteb_cascade.values.run import PAD, Run


@dataclass(kw_only=True, eq=False, repr=False)
class RunFile(Stage):
    """Retrieves and scores what its file says, by query id and document id.

    A candidate set of `mteb-cascade candidates` is refused for another corpus than its own.

    Args:
        file: A TREC run, a Parquet run, mteb's prediction JSON, or a folder that `mteb run --prediction-folder` wrote,
            where the task's name chooses the file; relative to the spec's folder.
        subset: Subset of an mteb file; by default the task's, or the only one.
        split: Split of an mteb file; by default the task's, or the only one.
        pointwise: Whether the scores in the file depend on their pair alone. A listwise reordering's do not.
    """

    kind: ClassVar[str] = "run"
    stored: ClassVar[bool] = False

    file: str
    subset: str | None = None
    split: str | None = None
    pointwise: bool = False  # type: ignore[misc]
    _read: dict[tuple[Path, str | None, str | None], Rankings] = field(
        default_factory=dict, init=False, repr=False, metadata={"serving": True}
    )

    @property
    def label(self) -> str:
        """The spec's short name, or else the file's own."""
        return super().label if self.spec else (self.name.removeprefix("local/") or self.path.stem)

    @property
    def path(self) -> Path:
        """Where the file is."""
        return (self.spec.path.parent if self.spec else Path.cwd()) / Path(self.file).expanduser()

    def prepare(self) -> None:
        """Refuse a file that is not there, and a folder without predictions."""
        if self.path.is_dir() and not prediction_files(self.path):
            raise InputError(
                f"{self.label}: {shown(self.path)} holds no <Task>_predictions.json; expected a folder that "
                "`mteb run --prediction-folder` wrote"
            )
        if not self.path.exists():
            raise InputError(f"{self.label}: there is no run file {shown(self.path)}")

    def downloads(self) -> Sequence[Download]:
        """The file, which nothing can fetch."""
        return [Download(f"run file {shown(self.path)}", self.prepare, self.path)]

    def rankings(self, queries: Queries) -> Rankings:
        """What the file says of the queries' task, subset and split."""
        subset = self.subset or queries.context.get("hf_subset")
        split = self.split or queries.context.get("hf_split")
        file = prediction_file(self.path, queries.task) if self.path.is_dir() else self.path
        with self._lock:
            if (file, subset, split) not in self._read:
                self._read[file, subset, split] = read(file, subset, split)
            return self._read[file, subset, split]

    def lists(self, queries: Queries, corpus: Corpus, depth: int) -> Run:
        """The file's lists for these queries; says so where fewer than `depth` candidates a query are in it."""
        rankings = self.rankings(queries)
        if rankings.made is not None:
            rankings.made.warn_if_deeper(depth, rankings.path)
        return rankings.run(queries, corpus)

    def retrieve(self, queries: Queries, k: int) -> Run:
        """The first k of each query's list."""
        return self.lists(queries, self.corpus, k).cut(k)

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """The file's score of every candidate; -inf where the file does not have the pair."""
        run = self.lists(queries, candidates.corpus, candidates.depth)
        found = looked_up(run, candidates, np.full(len(queries), -np.inf))
        return np.where(candidates.docs == PAD, -np.inf, found).astype(np.float32)

    def store_key(self, queries: Queries) -> None:
        """None: it is stored already."""

    def files(self) -> Sequence[Path]:
        """The run file, or every prediction file of the folder."""
        if self.path.is_dir():
            return prediction_files(self.path)
        return [self.path] if self.path.is_file() else []

    def described(self) -> dict[str, Any]:
        """The options; the file stands for its content, wherever it lies."""
        return {**super().described(), "file": Path(self.file).name}
