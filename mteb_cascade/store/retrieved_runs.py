"""What a stage retrieved for a set of queries; a deeper run serves a shallower wish, by the prefix law."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.store import shards
from mteb_cascade.values.run import Run

COLUMNS = b"mteb_cascade.columns"
"""Key of the run's width in a Parquet file's schema metadata."""


@dataclass(frozen=True)
class RetrievedRuns:
    """The stored runs of one stage for one corpus and one list of queries.

    Args:
        folder: Where the stage's runs lie, or will.
        corpus: N documents.
        queries: Q queries.
    """

    folder: Path
    corpus: Corpus
    queries: Queries

    @property
    def of(self) -> str:
        """How the names of these runs begin."""
        return f"{self.corpus.digest}-{self.queries.digest}"

    def find(self, k: int) -> Run | None:
        """The first k columns of a stored run that is deep enough; None where there is none."""
        name = re.compile(rf"{self.of}-(\d+)\.[0-9a-f]{{32}}\.parquet")
        stored = [(int(found[1]), found[0]) for found in map(name.fullmatch, shards.names(self.folder)) if found]
        for depth, file in sorted(stored):
            if depth >= min(k, len(self.corpus)):
                run = self.read(self.folder / file)
                if run is not None:
                    return run.cut(k)
        return None

    def read(self, path: Path) -> Run | None:
        """A stored run; None where it is damaged or gone."""
        data = shards.read(path, "and its queries are searched again")
        if data is None:
            return None
        try:
            table = pq.read_table(pa.BufferReader(data), use_threads=False)
            shape = len(self.queries), int(table.schema.metadata[COLUMNS])
            docs, scores = (table[name].to_numpy().reshape(shape) for name in ("doc", "score"))
            return Run(self.queries.ids, self.corpus, docs, scores)
        except (pa.ArrowException, OSError, KeyError, TypeError, ValueError) as error:
            shards.set_aside(path, f"is no run of these queries ({error})", "and its queries are searched again")
            return None

    def write(self, run: Run, k: int) -> None:
        """Store a run, pads and all, of which k documents a query were asked.

        Raises:
            OSError: The disk is full, or the folder cannot be written; nothing is left of it.
        """
        docs = np.ascontiguousarray(run.docs, np.int32).ravel()
        scores = np.ascontiguousarray(run.scores, np.float32).ravel()
        table = pa.table({"doc": docs, "score": scores}).replace_schema_metadata({COLUMNS: str(run.depth).encode()})
        data = io.BytesIO()
        pq.write_table(table, data, compression="zstd", use_dictionary=False)
        shards.write(self.folder, data.getvalue(), ".parquet", what=f"{self.of}-{k}")
