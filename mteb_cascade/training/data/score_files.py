"""The score store's export as training lists."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.training.data.listed import listed
from mteb_cascade.training.lists import Lists

COLUMNS = ("query_id", "query", "document_id", "document", "logit")


def read_scores(path: Path) -> Lists:
    """The lists of `mteb-cascade scores export`: each query with the documents that a model scored for it, best first.

    Which of them are relevant is not in the file, so `relevant` is false throughout: losses that need a positive take
    the first document, the teacher's best.

    Raises:
        InputError: It is no Parquet file, lacks a column, is empty, or an id stands for two texts or a score is none.
    """
    try:
        missing = [name for name in COLUMNS if name not in pq.read_schema(path).names]
        if missing:
            raise InputError(
                f"{path}: lacks {', '.join(missing)}; expected {', '.join(COLUMNS)}, as `scores export` writes"
            )
        table = pq.read_table(path, columns=list(COLUMNS), read_dictionary=list(COLUMNS[:4]), memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: cannot be read as Parquet: {in_one_line(error)}; fetch or export it again") from None
    if not table.num_rows:
        raise InputError(f"{path}: is empty; expected a row for each scored pair")
    asked, query_ids, queries = distinct(table, "query_id", "query", path)
    docs, document_ids, documents = distinct(table, "document_id", "document", path)
    if not pa.types.is_floating(table["logit"].type):
        raise InputError(f"{path}: column 'logit': expected numbers, got {table['logit'].type}")
    logits = table["logit"].to_numpy().astype(np.float32)
    if not np.isfinite(logits).all():
        row = int(np.flatnonzero(~np.isfinite(logits))[0])
        raise InputError(f"{path}: row {row + 1}: 'logit' is no finite number; leave such pairs out")
    return listed(
        Queries(tuple(query_ids.to_pylist()), tuple(queries.to_pylist())),
        Corpus(document_ids, pc.utf8_trim_whitespace(documents)),
        asked,
        docs,
        logits,
        np.zeros(len(asked), bool),
        scored=True,
    )


def distinct(table: pa.Table, id_name: str, text_name: str, path: Path) -> tuple[NDArray[np.int32], pa.Array, pa.Array]:
    """Distinct texts, without making Python strings of them.

    Returns:
        int32 [M], the place of each row's text among the distinct ones; their ids, each as first met; the texts.

    Raises:
        InputError: A value is missing or no text, or two texts have one id.
    """
    for name in (id_name, text_name):
        column = table[name]
        if not pa.types.is_dictionary(column.type) or column.null_count:
            raise InputError(f"{path}: column '{name}': expected a text in each row")
    texts, ids = (table[name].unify_dictionaries().combine_chunks() for name in (text_name, id_name))
    rows = texts.indices.to_numpy().astype(np.int32)
    _, first = np.unique(rows, return_index=True)
    names = ids.take(pa.array(first)).dictionary_decode().cast(pa.large_string())
    corpus = Corpus(names, texts.dictionary.cast(pa.large_string()))
    if (repeated := corpus.repeated_id()) is not None:
        raise InputError(f"{path}: {id_name} '{repeated}' stands for two texts; ids must be unique")
    return rows, corpus.ids, corpus.texts
