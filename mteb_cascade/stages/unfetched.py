"""A hub model that is not on this disk yet: its kind is not known before it is fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.download import Download
from mteb_cascade.stages.weights import cached_snapshots
from mteb_cascade.values.run import Run


@dataclass(kw_only=True, eq=False, repr=False)
class Unfetched(Stage):
    """Stands for a hub model where nothing may be fetched: while mteb lists its models, and before a prefetch.

    Args:
        model: Its hub id.
    """

    kind: ClassVar[str] = "unfetched"

    model: str

    def downloads(self) -> Sequence[Download]:
        """The model, and what it turns out to need."""
        return [Download(f"weights of {self.model}", self._fetch, cached_snapshots(self.model))]

    def _fetch(self) -> None:
        from mteb_cascade.stages.load import load

        for download in load(self.model).downloads():
            download.fetch()

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """Not before it is fetched."""
        raise InputError(f"'{self.model}' is not on this disk; load the model again to fetch it")
