"""A sweep's result as files: one JSON of figures, one Parquet of candidates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mteb_cascade.atomic import replaced
from mteb_cascade.experiments.swept import Swept
from mteb_cascade.values.qrels import UNJUDGED, Qrels
from mteb_cascade.values.run import PAD


def write_result(result: Mapping[str, Any], path: Path) -> None:
    """Write the figures, whole or not at all."""
    with replaced(path) as beside:
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
    with replaced(path) as beside:
        pq.write_table(table, beside, compression="zstd")
