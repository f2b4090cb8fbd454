"""Stored pair scores as a distillation set: texts with a teacher's logits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mteb_cascade.atomic import replaced
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.load import load
from mteb_cascade.stages.stored import store_of
from mteb_cascade.store.pair_scores import hashes_of

Part = tuple[Queries, NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]
"""Queries, and of each pair which query, which document, and the score."""

ROWS = 100_000
"""Pairs that are written at once."""

SCHEMA = pa.schema(
    [
        ("query_id", pa.large_string()),
        ("query", pa.large_string()),
        ("document_id", pa.large_string()),
        ("document", pa.large_string()),
        ("logit", pa.float32()),
    ]
)


@dataclass(frozen=True)
class Exported:
    """What was written.

    Args:
        path: The file.
        pairs: Its rows.
        queries: Different queries in it.
        unscored: Stored pairs that the model could not score, which are left out.
    """

    path: Path
    pairs: int
    queries: int
    unscored: int

    @property
    def summary(self) -> str:
        """One line on what was written."""
        left = f"; {self.unscored:,} that could not be scored are left out" if self.unscored else ""
        return f"{shown(self.path)}: {self.pairs:,} pairs of {self.queries:,} queries{left}"


def export_scores(
    name: str | Stage,
    task: str | Path,
    output: Path | None = None,
    *,
    split: str | None = None,
    subset: str | None = None,
    allow_empty: bool = False,
) -> Exported:
    """Write what the store has of a model's scores on a task: query, document and logit, with their ids.

    Margin-MSE and KL distillation read such rows. Rows are ordered by query and document; of queries or documents with
    equal texts the first one stands for all.

    Args:
        name: The model whose scores they are.
        task: PythonDocs, a BEIR folder, or a task of mteb.
        output: The `.parquet` file; by default MODEL.TASK.scores.parquet in the working folder.
        split: Split of the queries; every split that the collection brings where none is named.
        subset: Subset of a task that has several.
        allow_empty: Accept documents without text.

    Raises:
        InputError: The model or the task is unknown, its scores are not stored, or the file is no `.parquet` or cannot
            be written.
    """
    stage = load(name)
    if not stage.stored:
        raise InputError(
            f"{stage.label}: scores of kind '{stage.kind}' are computed anew each time, not stored; export the reranker"
        )
    collection = load_collection(task, split, subset=subset, allow_empty=allow_empty)
    path = output or Path(f"{stage.label.replace('/', '__')}.{collection.name}.scores.parquet")
    if path.suffix != ".parquet":
        raise InputError(f"{path}: expected a .parquet file; write -o {path.with_suffix('.parquet').name}")
    documents, document_rows = np.unique(hashes_of(collection.corpus.texts.to_pylist()), return_index=True)
    parts, seen = [], np.empty(0, np.uint64)
    for one in [split] if split else list(collection.splits):
        queries = collection.split(one).queries.within(**collection.context(one))
        store = store_of(stage, queries)
        if store is None:
            raise InputError(f"{stage.label}: has no fingerprint for these queries, so its scores are not stored")
        hashes, rows = np.unique(hashes_of(queries.texts), return_index=True)
        new = ~np.isin(hashes, seen)
        seen = np.concatenate([seen, hashes[new]])
        asked, found, scores = store.among(hashes[new], documents)
        parts.append((queries, rows[new][asked], document_rows[found], scores))
    total = sum(len(scores) for *_, scores in parts)
    if not total:
        raise InputError(
            f"{stage.label}: no scores of {collection.title} are stored in {store.folder if store else ''}; score it "
            f"first: mteb-cascade sweep --first FIRST --rerank {stage.label} -t {task}"
        )
    try:
        kept, asked_queries = write(path, collection.corpus, parts)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written: {error.strerror or error}. Make room, or name another file with -o"
        ) from None
    return Exported(path, kept, asked_queries, total - kept)


def write(path: Path, corpus: Corpus, parts: Iterable[Part]) -> tuple[int, int]:
    """Write the pairs that could be scored, by query and document.

    Returns:
        Pairs written, and their queries.

    Raises:
        OSError: The file cannot be written; nothing is left of it.
    """
    kept = asked_queries = 0
    with replaced(path) as beside, pq.ParquetWriter(beside, SCHEMA, compression="zstd") as writer:
        for queries, asked, found, scores in parts:
            order = np.lexsort((found, asked))
            order = order[np.isfinite(scores[order])]
            kept, asked_queries = kept + len(order), asked_queries + len(np.unique(asked[order]))
            for start in range(0, len(order), ROWS):
                taken = order[start : start + ROWS]
                writer.write_table(table(queries, corpus, asked[taken], found[taken], scores[taken]))
    return kept, asked_queries


def table(
    queries: Queries, corpus: Corpus, asked: NDArray[np.intp], found: NDArray[np.intp], scores: NDArray[np.float32]
) -> pa.Table:
    """Rows of the file: the query, the document and the score of each pair."""
    rows, documents = pa.array(asked), pa.array(found)
    columns = [
        pa.array(queries.ids, pa.large_string()).take(rows),
        pa.array(queries.texts, pa.large_string()).take(rows),
        corpus.ids.take(documents),
        corpus.texts.take(documents),
        pa.array(scores, pa.float32()),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA)
