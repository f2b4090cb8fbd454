"""A sweep's result as files: one JSON of figures, one Parquet of candidates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mteb_cascade.atomic import make_writable, replaced
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.swept import Swept
from mteb_cascade.spec import shown
from mteb_cascade.values.qrels import UNJUDGED, Qrels
from mteb_cascade.values.run import PAD


def refuse_unwritable(folder: Path) -> None:
    """Make the folder of results; raise InputError where nothing can be written to it."""
    try:
        make_writable(folder)
    except OSError as error:
        raise InputError(
            f"--output {shown(folder)}: cannot be written ({error.strerror}); expected a folder for results"
        ) from None


def write_result(result: Mapping[str, Any], path: Path) -> None:
    """Write the figures, whole or not at all."""
    with written(path) as beside:
        beside.write_text(json.dumps(result, indent=1, default=str) + "\n", encoding="utf-8")


def write_candidates(swept: Swept, qrels: Qrels, path: Path) -> None:
    """Write the candidates that were swept, sorted by query and rank.

    Columns: `query`, `rank` (from 1), `document`, `before` (the score it was received with), `score` (the step's; null
    where it could not be scored), `grade` (null where it is not judged).
    """
    run, scores = swept.received.cut(swept.depth), swept.deepest
    rows, columns = np.nonzero(run.docs != PAD)
    grades = qrels.of_run(run)[rows, columns]
    own = scores[rows, columns]
    table = pa.table(
        {
            "query": pa.array(run.query_ids, pa.large_string()).take(pa.array(rows)).dictionary_encode(),
            "rank": pa.array(columns + 1, pa.int32()),
            "document": run.corpus.ids.take(pa.array(run.docs[rows, columns])),
            "before": pa.array(run.scores[rows, columns], pa.float32()),
            "score": pa.array(own, pa.float32(), mask=np.isneginf(own)),
            "grade": pa.array(grades, pa.int32(), mask=grades == UNJUDGED),
        }
    )
    with written(path) as beside:
        pq.write_table(table, beside, compression="zstd")


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, as `replaced`.

    Raises:
        InputError: It cannot be written; the scores are stored all the same.
    """
    try:
        with replaced(path) as beside:
            yield beside
    except OSError as error:
        raise InputError(
            f"{shown(path)}: cannot be written: {error.strerror or error}. Make room, or give another folder with -o; "
            "scores that are stored are not computed again"
        ) from None
