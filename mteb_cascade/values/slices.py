"""Groups of queries that a mean over all of them hides: by length, by form, by what the user knows of them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.errors import InputError
from mteb_cascade.values.measures import mean
from mteb_cascade.values.words import words

if TYPE_CHECKING:
    from mteb_cascade.corpora.corpus import Queries

OTHER = "(none)"
"""Slice of a query that a column of the user's does not name."""

KEYWORDS = 5
"""Words that a keyword query has at most."""

AUXILIARIES = {*words("is are was were am do does did has have had can could should would will shall must may might")}

ASKING = {*words("what who whom whose which when where why how")} | AUXILIARIES - {"may", "might", "must"}
"""First words of a question."""

SENTENCE = AUXILIARIES | {
    *words("a an the this that these those i you he she it we they me him her us them my your his its our their"),
    *words("be been being not no and or but if because so as than then there"),
}
"""Function words of sentences. Prepositions are none: "causes of migraine in children" is a topic, put as keywords."""


def slices(queries: Queries, own: Mapping[str, Mapping[str, str]] | None = None) -> dict[str, NDArray[np.str_]]:
    """What slice each query is in, by each way of slicing.

    Args:
        queries: Q queries.
        own: {column: {query id: slice}} of the user's; a query that a column does not name is in `OTHER`.

    Returns:
        {"length": labels, "form": labels, a column: labels}, Q labels each: see `lengths` and `form`.

    Raises:
        InputError: A column is called as one of ours.
    """
    counts = [len(words(text)) for text in queries.texts]
    found = {"length": lengths(counts), "form": np.array([form(text) for text in queries.texts], np.str_)}
    for column, labels in (own or {}).items():
        if column in found:
            raise InputError(f"a column of slices is called '{column}', as one of ours is; expected another name")
        found[column] = np.array([labels.get(query, OTHER) for query in queries.ids], np.str_)
    return found


def lengths(counts: Sequence[int]) -> NDArray[np.str_]:
    """Terciles of lengths, as "1-6 words"; fewer where few lengths occur, for one length is never split.

    Args:
        counts: Q numbers of words.

    Returns:
        Q labels, each with the shortest and the longest that occur in its slice.

    >>> lengths([9, 2, 3, 2, 4, 30]).tolist()
    ['9-30 words', '2 words', '3-4 words', '2 words', '3-4 words', '9-30 words']
    """
    table = np.asarray(counts, np.int64)
    if not len(table):
        return np.array([], np.str_)
    ends = np.unique(np.quantile(table, [1 / 3, 2 / 3, 1], method="inverted_cdf"))
    tercile = np.searchsorted(ends, table)
    labels = []
    for number in range(len(ends)):
        inside = table[tercile == number]
        low, high = int(inside.min()), int(inside.max())
        span = f"{low}" if low == high else f"{low}-{high}"
        labels.append(f"{span} {'word' if high == 1 else 'words'}")
    return np.array(labels, np.str_)[tercile]


def form(text: str) -> str:
    """How a query is put, by its English words.

    *question*: ends with "?", or starts with a word of `ASKING`; *keywords* (a "browsy" query): else, at most
    `KEYWORDS` words, none of them in `SENTENCE`, and no full stop at the end; *statement*: else.

    >>> [form(text) for text in ("how tall is it", "red shoes size 9", "Statins lower the risk of stroke.")]
    ['question', 'keywords', 'statement']
    """
    found = words(text)
    if text.rstrip().endswith("?") or (found and found[0] in ASKING):
        return "question"
    sentence = len(found) > KEYWORDS or SENTENCE.intersection(found) or text.rstrip().endswith((".", "!"))
    return "statement" if sentence else "keywords"


def figures(labels: NDArray[np.str_], lines: Mapping[str, Mapping[str, NDArray[np.floating]]]) -> list[dict[str, Any]]:
    """Means of each slice.

    Args:
        labels: Q slices.
        lines: {line: {measure: [Q]}}, NaN where a query has no positive (counted as 0).

    Returns:
        One dictionary a slice, in the order of the numbers in their names, then of the names: `slice`, `queries`, and
        {measure: mean} under each line's name.
    """
    found: list[dict[str, Any]] = []
    for label in sorted({*labels.tolist()}, key=_numbers_first):
        inside = labels == label
        means = {
            line: {name: float(mean(values[inside])) for name, values in measures.items()}
            for line, measures in lines.items()
        }
        found.append({"slice": label, "queries": int(inside.sum()), **means})
    return found


def _numbers_first(label: str) -> tuple[float, str]:
    """The number that a name begins with."""
    number = re.match(r"\d+", label)
    return (float(number[0]) if number else np.inf), label
