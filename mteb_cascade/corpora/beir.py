"""A BEIR folder as a collection: corpus.jsonl, queries.jsonl, qrels/<split>.tsv."""

from __future__ import annotations

import gzip
import json
import re
import warnings
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import TEXTS, Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.values.qrels import Qrels

SURROGATE = re.compile("[\ud800-\udfff]")
"""What JSON can escape and UTF-8 cannot hold."""

SHOWN = 5
"""Mistakes of one file that are spelled out; the rest are counted."""


def load(folder: Path, *, relevance_level: int = 1, allow_empty: bool = False) -> Collection:
    """Read a BEIR folder; every split that `qrels/` has.

    Judgements of documents or queries that the files do not hold are kept, counted and warned of: such documents stay
    in denominators and ideal gains.

    Args:
        folder: Holds corpus.jsonl, queries.jsonl (each may end in .gz) and qrels/<split>.tsv.
        relevance_level: A grade of at least this is relevant.
        allow_empty: Accept documents and queries without text.

    Raises:
        InputError: A file is missing, a line does not parse, an id stands twice, or a text is empty: file and line
            are named.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder; expected one with corpus.jsonl, queries.jsonl and qrels/")
    corpus = Corpus.of_tables(tables(rows(one_file(folder, "corpus.jsonl"), allow_empty)))
    if not len(corpus):
        raise InputError(f"{folder / 'corpus.jsonl'}: the corpus is empty; expected one JSON object a line")
    text_of = {query: text for query, text, _ in rows(one_file(folder, "queries.jsonl"), allow_empty)}
    files = sorted((folder / "qrels").glob("*.tsv"))
    if not files:
        raise InputError(
            f"{folder / 'qrels'}: holds no <split>.tsv; expected query-id, corpus-id and score, tab-separated"
        )
    splits = {}
    for path in files:
        grades = judgements(path)
        warn_of_strangers(path, grades, text_of, corpus)
        kept = tuple(query for query in text_of if query in grades)
        if not kept:
            raise InputError(f"{path}: judges no query of {folder / 'queries.jsonl'}; do the two belong together?")
        splits[path.stem] = Split(
            Queries(kept, tuple(text_of[query] for query in kept)), Qrels(grades, relevance_level)
        )
    return Collection(folder.absolute().name, corpus, splits, revision=corpus.digest)


def one_file(folder: Path, name: str) -> Path:
    """The file of this name, or its .gz.

    Raises:
        InputError: Neither is there.
    """
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise InputError(
        f"{folder / name}: is missing; a BEIR folder holds corpus.jsonl, queries.jsonl and qrels/<split>.tsv"
    )


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(line number, line) of a text file, unpacked where it ends in .gz; empty lines are left out.

    Raises:
        InputError: It cannot be read, is no UTF-8, or not packed as its name says.
    """
    for number, line in lines_as_they_are(path):
        if fault := undecoded(line):
            raise InputError(at_line(path, number, fault))
        yield number, line


def undecoded(line: str) -> str:
    """What is wrong with a line that is no UTF-8; "" where nothing is."""
    found = None if line.isascii() else SURROGATE.search(line)
    return f"is no UTF-8 (byte {ord(found[0]) - 0xDC00:#04x}); mend or remove the line" if found else ""


def lines_as_they_are(path: Path) -> Iterator[tuple[int, str]]:
    """As `numbered_lines`, but a byte that is no UTF-8 is half of a surrogate pair in its line.

    Raises:
        InputError: It cannot be read, or not be unpacked.
    """
    number = 0
    form: dict[str, Any] = {"mode": "rt", "encoding": "utf-8-sig", "errors": "surrogateescape"}
    try:
        with gzip.open(path, **form) if path.suffix == ".gz" else path.open(**form) as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line
    except (EOFError, OSError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"{path}: cannot be read ({error.strerror}); expected a text file") from None
        raise InputError(
            f"{path}: cannot be read beyond line {number}: {error}; mend or fetch the file again"
        ) from None


def tables(rows: Iterator[tuple[str, str, str]]) -> Iterator[pa.Table]:
    """Ids, texts and titles as Arrow tables, so that few of them are Python strings at once."""
    while block := list(islice(rows, TEXTS)):
        columns = [pa.array(column, pa.large_string()) for column in zip(*block, strict=True)]
        yield pa.table(columns, ["id", "text", "title"])


def rows(path: Path, allow_empty: bool) -> Iterator[tuple[str, str, str]]:
    """Id, text and title of each line of a JSONL file.

    Raises:
        InputError: At the end, with all its mistakes.
    """
    first_line: dict[str, int] = {}
    mistakes = []
    for number, row in numbered_documents(path, allow_empty):
        if isinstance(row, str):
            mistakes.append(at_line(path, number, row))
            continue
        if row[0] in first_line:
            mistakes.append(at_line(path, number, repeated(row[0], first_line[row[0]])))
        first_line.setdefault(row[0], number)
        yield row
    if mistakes:
        raise all_of(path, mistakes)


def numbered_documents(path: Path, allow_empty: bool) -> Iterator[tuple[int, tuple[str, str, str] | str]]:
    """(line number, (id, text, title)) of a JSONL file; of a line that holds no document, what is wrong with it."""
    for number, line in lines_as_they_are(path):
        if undecoded(line):
            yield number, undecoded(line)
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            why = f"{error.msg}, character {error.pos + 1}" if isinstance(error, json.JSONDecodeError) else error
            yield number, f"is not valid JSON ({why}); mend or remove the line"
            continue
        if not isinstance(row, dict) or not (
            isinstance(row.get("_id"), str | int | float) and isinstance(row.get("text"), str)
        ):
            yield number, "expected an object with '_id' and a string 'text'"
            continue
        document = str(row["_id"]), row["text"], str(row.get("title") or "")
        yield number, fault(*document, allow_empty) or document


def fault(identity: str, text: str, title: str, allow_empty: bool) -> str:
    """What is wrong with a document; "" where nothing is."""
    if any(SURROGATE.search(part) for part in (identity, text, title)):
        return "holds half of a surrogate pair; mend or remove the line"
    if not allow_empty and not text.strip() and not title.strip():
        return (
            f"'{identity}' has neither title nor text; remove it, or allow it "
            "(--allow-empty, in Python allow_empty=True)"
        )
    return ""


def repeated(identity: str, line: int) -> str:
    """What is wrong with a line whose id stands on an earlier one already."""
    return f"id '{identity}' stands on line {line} already; ids must be unique"


def at_line(path: Path, number: int, fault: str) -> str:
    """A mistake with its place."""
    return f"{path}: line {number}: {fault}"


def all_of(path: Path, mistakes: Sequence[str], count: int | None = None) -> InputError:
    """The mistakes of a file as one error: some spelled out, the rest counted.

    Args:
        path: The file.
        mistakes: At least one; perhaps the first few only.
        count: How many there are; as many as `mistakes` by default.
    """
    rest = (len(mistakes) if count is None else count) - SHOWN
    more = [f"{path}: and {rest:,} more"] if rest > 0 else []
    return InputError("\n".join([*mistakes[:SHOWN], *more]))


def judgements(path: Path) -> dict[str, dict[str, int]]:
    """{query: {document: grade}} of a qrels file, with or without a header line."""
    grades: dict[str, dict[str, int]] = {}
    for number, (query, document, grade) in numbered_rows(path):
        known = grades.setdefault(query, {})
        if known.get(document, grade) != grade:
            raise InputError(
                f"{path}: line {number}: query '{query}' and document '{document}' are judged {known[document]} "
                f"and {grade}; keep one"
            )
        known[document] = grade
    if not grades:
        raise InputError(f"{path}: holds no judgement; expected lines of query-id, corpus-id and score")
    return grades


def numbered_rows(path: Path) -> Iterator[tuple[int, tuple[str, str, int]]]:
    """(line number, (query, document, grade)); BEIR's three columns or TREC's four."""
    for number, line in numbered_lines(path):
        parts = line.rstrip("\n").split("\t") if "\t" in line else line.split()
        if len(parts) == 4:
            parts = [parts[0], parts[2], parts[3]]
        try:
            query, document, grade = parts
            if not float(grade).is_integer():
                raise ValueError(grade)
            yield number, (query, document, int(float(grade)))
        except ValueError:
            if number == 1 and len(parts) == 3 and parts[2].strip().isalpha():
                continue
            raise InputError(
                f"{path}: line {number}: expected query-id, corpus-id and a whole number, tab-separated; "
                f"got {line.strip()[:80]!r}"
            ) from None


def warn_of_strangers(path: Path, grades: dict[str, dict[str, int]], queries: dict[str, Any], corpus: Corpus) -> None:
    """Say how many judged queries and documents the other files do not hold."""
    documents = list(dict.fromkeys(document for judged in grades.values() for document in judged))
    unknown = [documents[i] for i in (corpus.rows(documents) < 0).nonzero()[0]]
    for what, strangers in (("queries", [query for query in grades if query not in queries]), ("documents", unknown)):
        if strangers:
            warnings.warn(
                f"{path}: names {len(strangers):,} {what} that the folder does not hold (such as '{strangers[0]}'); "
                "their judgements are kept",
                stacklevel=3,
            )
