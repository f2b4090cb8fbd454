"""Queries without judgements: a file of one's own, or the first words of documents."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mteb_cascade.corpora import beir
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown

DRAWN = 50
"""Documents whose first words stand for queries where nobody gives any."""

WORDS = 8

OF_DOCUMENTS = f"the first {WORDS} words of documents, drawn with seed 0"
"""What `of_documents` gives, in words."""


def read(path: Path) -> Queries:
    """The queries of a file, in its order.

    `.jsonl` holds an object with `_id` and `text` a line, `.tsv` an id and a text, separated by a tab; any other file a
    query a line, whose number is its id. Each may end in .gz; empty lines are left out.

    Raises:
        InputError: It is missing, holds no query, or a line is none that can be meant: file and line are named.
    """
    if not path.is_file():
        raise InputError(
            f"{shown(path)}: there is no such file; expected queries: JSONL with _id and text, TSV of id and text, or "
            "a query a line"
        )
    ending = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if ending == ".jsonl":
        pairs = [(name, text) for name, text, _ in beir.rows(path, allow_empty=False)]
    elif ending == ".tsv":
        pairs = list(columns(path))
    else:
        pairs = [(str(number), line.strip()) for number, line in beir.numbered_lines(path)]
    if not pairs:
        raise InputError(f"{shown(path)}: holds no query; expected one a line")
    ids, texts = zip(*pairs, strict=True)
    return Queries(ids, texts)


def columns(path: Path) -> Iterator[tuple[str, str]]:
    """Id and text of each line of a TSV file.

    Raises:
        InputError: A line has another form, or an id stands twice.
    """
    first: dict[str, int] = {}
    for number, line in beir.numbered_lines(path):
        name, _, text = line.rstrip("\r\n").partition("\t")
        if not name or not text.strip():
            raise InputError(
                f"{shown(path)}: line {number}: expected an id, a tab and a text, got {line.strip()[:80]!r}"
            )
        if name in first:
            raise InputError(f"{shown(path)}: line {number}: id '{name}' stands on line {first[name]} already")
        first[name] = number
        yield name, text.strip()


def first_of(given: Queries | None, corpus: Corpus, count: int = DRAWN) -> Queries:
    """The first queries that were given, or as many made of documents where none were."""
    return of_documents(corpus, count) if given is None else given.first(count)


def described(file: Path | None) -> str:
    """What `first_of` gives, in words: of the queries in a file, or of none."""
    return OF_DOCUMENTS if file is None else f"the first of {shown(file)}"


def of_documents(corpus: Corpus, count: int = DRAWN, seed: int = 0) -> Queries:
    """The first words of some documents, as queries: always the same for the same documents.

    Args:
        corpus: N documents; those drawn without a text give no query.
        count: Documents drawn; all where there are fewer.
        seed: Of the drawing.
    """
    drawn = np.random.default_rng(seed).choice(len(corpus), min(count, len(corpus)), replace=False)
    rows = np.sort(drawn).astype(np.int32)
    starts = [" ".join(text.split()[:WORDS]) for text in corpus.texts_at(rows)]
    asked = [(str(row), text) for row, text in zip(rows.tolist(), starts, strict=True) if text]
    return Queries(tuple(row for row, _ in asked), tuple(text for _, text in asked))
