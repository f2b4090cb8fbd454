"""Runs in and out: TREC run files, Parquet, and mteb's prediction JSON."""

from __future__ import annotations

import gzip
import json
import zlib
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mteb_cascade.atomic import replaced
from mteb_cascade.corpora.candidate_sets import Provenance
from mteb_cascade.corpora.rankings import Rankings
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.values.run import PAD, Run

COLUMNS = ("query_id", "document_id", "score")

RUN_ENDINGS = (".trec", ".run", ".txt", ".tsv", ".gz", ".parquet", ".json")
"""How the names of run files end; one with any other ending is read as a TREC run."""

LINES = 500_000
"""Lines of a TREC run that are text in memory at once."""

PREDICTIONS = "_predictions.json"
"""How mteb ends the name of a task's file in a prediction folder."""


def read(path: Path, subset: str | None = None, split: str | None = None) -> Rankings:
    """Read a run file; `.json` is mteb's, `.parquet` ours, all else TREC's six columns.

    Args:
        path: The file.
        subset: Subset of an mteb file that has several.
        split: Split of an mteb file that has several.

    Raises:
        InputError: It is missing, malformed (the line is named), or holds a pair twice or a score that is no number.
    """
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such run file; expected a TREC run, a .parquet or mteb's predictions .json"
        )
    if path.suffix == ".parquet":
        return parquet_rankings(path)
    if path.suffix == ".json":
        lists = predictions(path, subset, split)
        return collected(path, json_rows(path, lists), "pair", lists)
    return collected(path, trec_rows(path), "line")


def prediction_file(folder: Path, task: str | None) -> Path:
    """A task's file in a folder that `mteb run --prediction-folder` wrote; without a task, the only one there is.

    A task and its cascade task have the same queries and documents: the file of either serves the other.

    Raises:
        InputError: The folder has none of that task; says which it has.
    """
    tasks = [path.name.removesuffix(PREDICTIONS) for path in prediction_files(folder)]
    if task is None and len(tasks) == 1:
        (task,) = tasks
    if task is not None and task not in tasks:
        twin = task.removesuffix("Cascade") if task.endswith("Cascade") else f"{task}Cascade"
        task = twin if twin in tasks else task
    if task not in tasks:
        asked = f"of task '{task}'" if task else "of one task only: name its file"
        raise InputError(f"{folder}: holds no predictions {asked}. {suggestion(task or '', tasks, 'It has')}")
    return folder / f"{task}{PREDICTIONS}"


def prediction_files(folder: Path) -> list[Path]:
    """The prediction files of mteb in a folder, in a fixed order."""
    return sorted(folder.glob(f"*{PREDICTIONS}"))


def collected(
    path: Path, rows: Iterable[tuple[int, str, str, float]], noun: str, queries: Iterable[str] = ()
) -> Rankings:
    """Rankings from rows of text.

    Args:
        path: The file.
        rows: (number, query, document, score).
        noun: What the number counts.
        queries: Queries that stand in the file even where they have no pair.
    """
    query_codes = {query: code for code, query in enumerate(queries)}
    document_codes: dict[str, int] = {}
    numbers, asked, found, scores = array("q"), array("i"), array("i"), array("d")
    for number, query, document, score in rows:
        numbers.append(number)
        asked.append(query_codes.setdefault(query, len(query_codes)))
        found.append(document_codes.setdefault(document, len(document_codes)))
        scores.append(score)
    return Rankings.checked(
        path,
        (list(query_codes), list(document_codes)),
        (np.array(asked, np.int32), np.array(found, np.int32)),
        np.array(scores, np.float64),
        lambda at: f"{noun} {numbers[at]}",
    )


def trec_rows(path: Path) -> Iterator[tuple[int, str, str, float]]:
    """(line, query, document, score) of a TREC run, as text or gzipped: `query Q0 document rank score tag`."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                parts = line.split()
                if not parts:
                    continue
                try:
                    query, _, document, _, score, *_ = parts
                    yield number, query, document, float(score)
                except ValueError:
                    expected = "expected 'query Q0 document rank score tag'"
                    raise InputError(f"{path}: line {number}: {expected}, got {line.strip()[:80]!r}") from None
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error):
        raise InputError(f"{path}: is no TREC run, which is text in UTF-8, or that gzipped whole") from None


def parquet_rankings(path: Path) -> Rankings:
    """The columns of a Parquet run, never as Python objects: 7M pairs are read in seconds."""
    try:
        # A single file: pq.read_table would take `key=value` folders on the way for columns.
        table = pq.ParquetFile(path).read()
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: is not a readable Parquet file: {error}") from None
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}")
    made = Provenance.from_metadata(table.schema.metadata, path)
    queries, documents = (coded(table, name, path) for name in COLUMNS[:2])
    scores = column(table, "score", pa.float64(), "a number", path).to_numpy()
    ids, pairs = zip(queries, documents, strict=True)
    return Rankings.checked(path, ids, pairs, scores, lambda at: f"row {at + 1}", made)


def coded(table: pa.Table, name: str, path: Path) -> tuple[pa.Array, NDArray[np.int32]]:
    """A column of ids as its different ids and, int32 [n], which of them each row has."""
    encoded = column(table, name, pa.large_string(), "an id", path).dictionary_encode().unify_dictionaries()
    if not encoded.num_chunks:
        return pa.array([], pa.large_string()), np.empty(0, np.int32)
    return encoded.chunk(0).dictionary, np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])


def column(table: pa.Table, name: str, wanted: pa.DataType, what: str, path: Path) -> pa.ChunkedArray:
    """A column as a type; an empty cell or one that is none of that type is named."""
    values = table[name]
    if values.null_count:
        at = pc.index(values.is_null(), True).as_py()
        raise InputError(f"{path}: row {at + 1}: expected {what} as {name}, got None")
    try:
        return values.cast(wanted)
    except pa.ArrowException as error:
        raise InputError(f"{path}: column {name}: expected {what} in each row: {error}") from None


def json_rows(path: Path, lists: Mapping[str, Any]) -> Iterator[tuple[int, str, str, float]]:
    """(number, query, document, score) of one subset and split of mteb's predictions."""
    number = count(1)
    for query, scored in lists.items():
        if not isinstance(scored, dict) or not all(type(score) in (int, float) for score in scored.values()):
            raise InputError(f"{path}: query '{query}': expected {{document: score}}, got {str(scored)[:80]}")
        for document, score in scored.items():
            yield next(number), query, document, score


def predictions(path: Path, subset: str | None, split: str | None) -> dict[str, Any]:
    """{query: {document: score}}, not yet checked, of one subset and split of mteb's prediction JSON."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from None
    if not isinstance(content, dict) or "mteb_model_meta" not in content:
        raise InputError(f"{path}: expected mteb's prediction file, an object with 'mteb_model_meta' and subsets")
    content.pop("mteb_model_meta")
    return chosen_of(chosen_of(content, subset, "subset", path), split, "split", path)


def chosen_of(content: dict[str, Any], name: str | None, what: str, path: Path) -> dict[str, Any]:
    """The part of that name, or the only part there is."""
    if name is None and len(content) == 1:
        name = next(iter(content))
    if name is None:
        raise InputError(f"{path}: holds several of them; say which {what}. {suggestion('', content)}")
    if name not in content:
        raise InputError(f"{path}: {what} '{name}' is not in it. {suggestion(name, content)}")
    part = content[name]
    if not isinstance(part, dict):
        raise InputError(f"{path}: {what} '{name}': expected an object, got {str(part)[:80]}")
    return part


def write(
    run: Run,
    path: Path,
    *,
    name: str = "mteb-cascade",
    subset: str = "default",
    split: str = "test",
    made: Provenance | None = None,
) -> None:
    """Write a run in the form that the file's ending names: `.json`, `.parquet`, or else a TREC run, `.gz` gzipped.

    A TREC run and a Parquet file keep every float32 bit. Only a JSON keeps a query that found nothing, only a Parquet
    file what it was made of and for (`made`).

    Raises:
        InputError: An id with white space cannot stand in a TREC run.
    """
    with replaced(path) as beside:
        if path.suffix == ".json":
            meta = {"model_name": name, "revision": None}
            beside.write_text(json.dumps({"mteb_model_meta": meta, subset: {split: run.as_dict()}}), encoding="utf-8")
            return
        found = run.docs != PAD
        rows, _ = np.nonzero(found)
        queries = pa.array(run.query_ids, pa.large_string()).take(pa.array(rows))
        documents = run.corpus.ids.take(pa.array(run.docs[found]))
        scores = run.scores[found]
        if path.suffix == ".parquet":
            table = pa.table([queries, documents, pa.array(scores)], names=list(COLUMNS))
            if made is not None:
                table = table.replace_schema_metadata(made.as_metadata())
            pq.write_table(table, beside, compression="zstd")
            return
        ranks = np.cumsum(found, axis=1)[found]
        spaced = next((i for i in [*run.query_ids, *documents.unique().to_pylist()] if len(i.split()) != 1), None)
        if spaced is not None:
            raise InputError(f"{path}: a TREC run cannot hold the id {spaced!r}; write a .parquet or a .json")
        # Without a time in it: the same run is the same bytes.
        packed = gzip.GzipFile(beside, "wb", compresslevel=1, mtime=0) if path.suffix == ".gz" else beside.open("wb")
        with cast(BinaryIO, packed) as file:
            for start in range(0, len(ranks), LINES):
                block = slice(start, start + LINES)
                columns = [queries[block], "Q0", documents[block], pa.array(ranks[block]), pa.array(scores[block])]
                file.write(joined_lines([*columns, f"{'_'.join(name.split())}\n"]))


def joined_lines(columns: Sequence[pa.Array | str]) -> memoryview:
    """Columns [n] with spaces between them, as the bytes of n lines; a text stands in each line.

    No line becomes a Python object. A float32 is written as the shortest number that reads back as the same bits.
    """
    texts = [
        pa.scalar(one, pa.large_string()) if isinstance(one, str) else one.cast(pa.large_string()) for one in columns
    ]
    lines = pc.binary_join_element_wise(*texts, pa.scalar(" ", pa.large_string()))
    ends = np.frombuffer(lines.buffers()[1], np.int64)[lines.offset : lines.offset + len(lines) + 1]
    return memoryview(lines.buffers()[2])[ends[0] : ends[-1]]
