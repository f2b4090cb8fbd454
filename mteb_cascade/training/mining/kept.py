"""Mined lists on the disk: whole or not there, and mined anew where they are damaged."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mteb_cascade.atomic import replaced
from mteb_cascade.store import shards
from mteb_cascade.store.folder import full
from mteb_cascade.training.lists import Lists

REPORT = "report.json"
REMEDY = "and the negatives are mined anew"


def read(folder: Path, lists: Lists) -> tuple[Lists, dict[str, Any]] | None:
    """The kept lists and their report.

    Args:
        folder: Named after everything that decides them.
        lists: The same queries and corpus, not mined.

    Returns:
        None where nothing whole is kept.
    """
    for name in shards.names(folder):
        data = shards.read(folder / name, REMEDY)
        if data is None:
            continue
        try:
            table = pq.read_table(pa.BufferReader(data), use_threads=False)
            report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
            rows = len(lists), -1
            docs, labels, relevant = (
                np.array(table[column].combine_chunks().values.to_numpy(zero_copy_only=False)).reshape(rows)
                for column in ("docs", "labels", "relevant")
            )
            return replace(lists, docs=docs, labels=labels, relevant=relevant, scored=False), report
        except (pa.ArrowException, OSError, KeyError, AttributeError, ValueError) as error:
            shards.set_aside(folder / name, f"is no mined list of these queries ({error})", REMEDY)
    return None


def write(folder: Path, lists: Lists, report: dict[str, Any]) -> None:
    """Keep lists: `query`, and one value a document of `docs` (rows of the corpus), `labels` and `relevant`.

    Raises:
        InputError: The disk is full, or the folder cannot be written.
    """
    width = lists.docs.shape[1]
    columns = {"docs": lists.docs, "labels": lists.labels, "relevant": lists.relevant}
    table = pa.table(
        {
            "query": pa.array(lists.queries.ids, pa.large_string()),
            **{
                name: pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).ravel()), width)
                for name, values in columns.items()
            },
        }
    )
    data = io.BytesIO()
    pq.write_table(table, data, compression="zstd")
    try:
        # The report first: where the lists are, it is too.
        with replaced(folder / REPORT) as beside:
            beside.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        shards.write(folder, data.getvalue(), ".parquet")
    except OSError as error:
        kept = f"The negatives of {len(lists):,} queries are not kept; runs and pair scores are"
        raise full(folder, error, kept) from None
