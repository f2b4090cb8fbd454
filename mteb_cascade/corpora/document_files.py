"""Documents in files: JSON lines, tab-separated lines, Parquet; what is wrong with a line is told, not raised."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from mteb_cascade.corpora import beir
from mteb_cascade.errors import InputError, in_one_line

Numbered: TypeAlias = tuple[int, tuple[str, str, str] | str]
"""Line number, and id, text and title; of a line that holds no document, what is wrong with it."""

IDS = ("_id", "id")
COLUMNS = frozenset((*IDS, "title", "text"))

ROWS = 4_096
"""Rows of a Parquet file that are Python strings at once."""


def tab_separated(path: Path, allow_empty: bool) -> Iterator[Numbered]:
    """Lines of id and text, as MS MARCO's collection.tsv; with a header line that names them also titles."""
    names = ["id", "text"]
    for number, line in beir.lines_as_they_are(path):
        if fault := beir.undecoded(line):
            yield number, fault
            continue
        cells = line.rstrip("\n").split("\t")
        if number == 1 and is_header(cells):
            names = ["id" if cell.strip().lower() in IDS else cell.strip().lower() for cell in cells]
            continue
        if len(cells) != len(names):
            hint = "" if len(names) == 3 else "; with titles a first line 'id<TAB>title<TAB>text' says so"
            yield number, f"expected {' <TAB> '.join(names)}, got {len(cells)} columns{hint}"
            continue
        row = dict(zip(names, cells, strict=True))
        document = row["id"], row["text"], row.get("title", "")
        yield number, beir.fault(*document, allow_empty) or document


def is_header(cells: list[str]) -> bool:
    """Whether a first line names its columns, each once, an id and a text among them."""
    names = [cell.strip().lower() for cell in cells]
    return (
        COLUMNS.issuperset(names)
        and len(set(names)) == len(names)
        and "text" in names
        and sum(name in IDS for name in names) == 1
    )


def parquet(path: Path, allow_empty: bool) -> Iterator[Numbered]:
    """Rows of a Parquet file with columns `_id` or `id`, `text`, and perhaps `title`; rows are counted from 1.

    Raises:
        InputError: It is no Parquet file, lacks a column, or has one of another type.
    """
    from pyarrow.parquet import ParquetFile

    number = 0
    try:
        with ParquetFile(path) as file:
            schema = file.schema_arrow
            identity = next((name for name in IDS if name in schema.names), None)
            if identity is None or "text" not in schema.names:
                raise InputError(
                    f"{path}: has the columns {in_one_line(', '.join(schema.names))}; expected '_id' or 'id', 'text', "
                    "and perhaps 'title'"
                )
            names = [identity, "text", *(["title"] if "title" in schema.names else [])]
            for name in names:
                refuse_other_types(path, name, schema.field(name).type, whole_numbers=name == identity)
            for batch in file.iter_batches(ROWS, columns=names):
                columns = [batch.column(name).cast(pa.large_string()).to_pylist() for name in names]
                titles = columns[2] if len(columns) > 2 else [None] * len(batch)
                for row in zip(columns[0], columns[1], titles, strict=True):
                    number += 1
                    yield number, parquet_row(identity, *row, allow_empty)
    except (OSError, pa.ArrowException, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read beyond row {number}: {in_one_line(error)}; mend or fetch the file again"
        ) from None


def parquet_row(
    column: str, identity: str | None, text: str | None, title: str | None, allow_empty: bool
) -> tuple[str, str, str] | str:
    """The document of one row, or what is wrong with it."""
    if identity is None or text is None:
        return f"expected a value in '{column if identity is None else 'text'}', got null"
    return beir.fault(identity, text, title or "", allow_empty) or (identity, text, title or "")


def refuse_other_types(path: Path, name: str, kind: pa.DataType, whole_numbers: bool) -> None:
    """Raise InputError where a column holds something else than strings, or whole numbers where they are allowed."""
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    strings = pa.types.is_string(value) or pa.types.is_large_string(value) or pa.types.is_string_view(value)
    if not (strings or (whole_numbers and pa.types.is_integer(value)) or (name == "title" and pa.types.is_null(value))):
        raise InputError(f"{path}: column '{name}' is of type {in_one_line(kind)}; expected strings")


FORMATS: dict[str, Callable[[Path, bool], Iterator[Numbered]]] = {
    ".jsonl": beir.numbered_documents,
    ".tsv": tab_separated,
    ".parquet": parquet,
}
"""What is read, by the end of a file's name."""


def format_of(path: Path) -> Callable[[Path, bool], Iterator[Numbered]]:
    """What reads a file, by the end of its name; .gz may follow where lines are read.

    Raises:
        InputError: Nothing does.
    """
    packed = path.suffix == ".gz"
    suffix = Path(path.stem).suffix if packed else path.suffix
    if suffix not in FORMATS or (packed and suffix == ".parquet"):
        raise InputError(
            f"{path}: is of no known format; expected a BEIR folder, or a file that ends in {', '.join(FORMATS)}, "
            "or in .jsonl.gz or .tsv.gz"
        )
    return FORMATS[suffix]
