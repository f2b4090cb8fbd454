"""Figures of every query as a Parquet file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mteb_cascade.atomic import replaced

ENDING = ".queries.parquet"
"""How the names of these files end."""

BESIDE = "provenance"
"""The folder beside mteb's results that holds them, the runs, and the records of how the results came about."""


def write(
    path: Path,
    query_ids: Sequence[str],
    figures: Mapping[str, NDArray[np.floating]],
    clusters: Sequence[str] | None = None,
) -> None:
    """Write one row a query: `query_id`, `cluster` where queries have one, and a column of each measure.

    Args:
        path: The file.
        query_ids: Q ids.
        figures: {measure: [Q]}, NaN where a query has no positive; a float64 column each.
        clusters: Q names.
    """
    columns = {"query_id": pa.array(query_ids, pa.large_string())}
    if clusters is not None:
        columns["cluster"] = pa.array(clusters, pa.large_string())
    columns |= {name: pa.array(np.asarray(values, np.float64)) for name, values in figures.items()}
    with replaced(path) as beside:
        pq.write_table(pa.table(columns), beside, compression="zstd")
