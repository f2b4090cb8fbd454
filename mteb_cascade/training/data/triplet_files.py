"""Queries with positives and negatives, one line each: tab-separated, or JSON objects."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import xxhash

from mteb_cascade.corpora.beir import numbered_lines
from mteb_cascade.corpora.corpus import TEXTS, Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.training.data.listed import listed
from mteb_cascade.training.lists import Lists

QUERY = ("query", "anchor")
POSITIVE = ("pos", "positive")
NEGATIVE = ("neg", "negative")
"""Names of the fields; `negative_1`, `negative_2`, ... are negatives too."""

SCORES = ("pos_scores", "neg_scores")

Mistake = Callable[[str], InputError]


@dataclass(frozen=True)
class Example:
    """One line of a file.

    Args:
        query: The text.
        positives: Texts that answer it.
        negatives: Texts that do not.
        scores: A teacher's, of the positives and then the negatives; None where there are none.
    """

    query: str
    positives: Sequence[str]
    negatives: Sequence[str]
    scores: Sequence[float] | None = None


class Texts:
    """Distinct texts in the order in which they were first met, kept in Arrow."""

    def __init__(self) -> None:
        self._rows: dict[int, int] = {}
        self._new: list[str] = []
        self._blocks: list[pa.Array] = []

    def row(self, text: str) -> int:
        """The row of a text, which is stripped."""
        text = text.strip()
        known = len(self._rows)
        row = self._rows.setdefault(xxhash.xxh3_128_intdigest(text.encode()), known)
        if row == known:
            self._new.append(text)
            if len(self._new) == TEXTS:
                self._pack()
        return row

    def column(self) -> pa.Array:
        """All of them, Arrow strings."""
        self._pack()
        return pa.concat_arrays(self._blocks)

    def _pack(self) -> None:
        self._blocks.append(pa.array(self._new, pa.large_string()))
        self._new = []


def read_tabbed(path: Path) -> Lists:
    """Lines of query, positive and perhaps negative; a first line of their names is a header.

    Raises:
        InputError: A line has another number of columns, or the file is empty.
    """
    return gathered(tabbed(path), path)


def read_json_lines(path: Path) -> Lists:
    """Lines of an object: query or anchor, pos or positive, neg or negative (a text or several), and perhaps scores.

    Raises:
        InputError: A line is no such object, or some lines have scores and others none, or the file is empty.
    """
    return gathered(json_lines(path), path)


def tabbed(path: Path) -> Iterator[Example]:
    """The examples of a tab-separated file."""
    for number, line in numbered_lines(path):
        parts = line.rstrip("\r\n").split("\t")
        if len(parts) not in (2, 3):
            raise InputError(
                f"{path}: line {number}: expected query, positive and negative, tab-separated; got {len(parts)} columns"
            )
        if number > 1 or parts[0].strip().lower() not in QUERY or parts[1].strip().lower() not in POSITIVE:
            yield Example(parts[0], parts[1:2], parts[2:])


def json_lines(path: Path) -> Iterator[Example]:
    """The examples of a JSONL file."""
    with_scores: bool | None = None
    for number, line in numbered_lines(path):

        def mistake(text: str, number: int = number) -> InputError:
            return InputError(f"{path}: line {number}: {text}")

        try:
            row = json.loads(line)
        except ValueError as error:
            raise mistake(f"is not valid JSON ({error}); mend or remove the line") from None
        if not isinstance(row, dict):
            raise mistake(f"expected an object with query, pos and neg, got {type(row).__name__}")
        example = read_object(row, mistake)
        scored = example.scores is not None
        if with_scores not in (None, scored):
            raise mistake(f"has {'scores' if scored else 'no scores'}, unlike the lines before; give all or none")
        with_scores = scored
        yield example


def read_object(row: dict[str, Any], mistake: Mistake) -> Example:
    """An example from a line's object."""
    query = row.get(next((key for key in QUERY if key in row), ""))
    if not isinstance(query, str):
        raise mistake(f"expected a text under {' or '.join(map(repr, QUERY))}, got {query!r:.60}")
    positives = texts_under(row, [key for key in POSITIVE if key in row], mistake)
    if not positives:
        raise mistake(f"expected a text or several under {' or '.join(map(repr, POSITIVE))}")
    numbered = [key for key in row if key.startswith("negative_") and key.removeprefix("negative_").isdecimal()]
    negatives = texts_under(row, [key for key in NEGATIVE if key in row] + numbered, mistake)
    halves = [
        scores_under(row, key, len(texts), mistake) for key, texts in zip(SCORES, (positives, negatives), strict=True)
    ]
    if halves[0] is None and halves[1] is None:
        return Example(query, positives, negatives)
    if halves[0] is None or (halves[1] is None and negatives):
        raise mistake(f"expected both {SCORES[0]} and {SCORES[1]}, or neither")
    return Example(query, positives, negatives, [*halves[0], *(halves[1] or [])])


def texts_under(row: dict[str, Any], keys: Sequence[str], mistake: Mistake) -> list[str]:
    """The texts of these fields, each a text, several, or null."""
    found = []
    for key in keys:
        several = [row[key]] if isinstance(row[key], str) else row[key] or []
        if not isinstance(several, list) or not all(isinstance(text, str) for text in several):
            raise mistake(f"'{key}': expected a text or several, got {row[key]!r:.60}")
        found += several
    return found


def scores_under(row: dict[str, Any], key: str, count: int, mistake: Mistake) -> list[float] | None:
    """One finite number for each text; None where the field is missing, null or empty."""
    given = row.get(key)
    scores = [given] if isinstance(given, int | float) else given
    if not scores:
        return None
    if not isinstance(scores, list) or not all(
        isinstance(score, int | float) and not isinstance(score, bool) and math.isfinite(score) for score in scores
    ):
        raise mistake(f"'{key}': expected finite numbers, got {given!r:.60}")
    if len(scores) != count:
        raise mistake(f"'{key}': expected {count} scores, one a text, got {len(scores)}")
    return [float(score) for score in scores]


def gathered(examples: Iterator[Example], path: Path) -> Lists:
    """Examples as lists: one for each distinct query, whose document is relevant if a line says so.

    Raises:
        InputError: There are none, or a text holds half of a surrogate pair.
    """
    queries, documents = Texts(), Texts()
    asked: list[int] = []
    docs: list[int] = []
    labels: list[float] = []
    relevant: list[bool] = []
    scored = False
    try:
        for example in examples:
            row, texts = queries.row(example.query), [*example.positives, *example.negatives]
            answers = [True] * len(example.positives) + [False] * len(example.negatives)
            asked += [row] * len(texts)
            docs += map(documents.row, texts)
            relevant += answers
            labels += answers if example.scores is None else example.scores
            scored = scored or example.scores is not None
    except UnicodeEncodeError:
        raise InputError(f"{path}: a text holds half of a surrogate pair; mend or remove its line") from None
    if not asked:
        raise InputError(f"{path}: is empty; expected a query with its positive and negative on each line")
    asked_texts, column = queries.column().to_pylist(), documents.column()
    return listed(
        Queries(tuple(f"q{row}" for row in range(len(asked_texts))), tuple(asked_texts)),
        Corpus(pa.array([f"d{row}" for row in range(len(column))], pa.large_string()), column),
        np.array(asked),
        np.array(docs),
        np.array(labels, np.float32),
        np.array(relevant),
        scored=scored,
    )
