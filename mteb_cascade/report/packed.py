"""Queries, documents and candidates of a task in one compressed block, which the page unpacks when somebody looks."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.errors import InputError
from mteb_cascade.report import candidates
from mteb_cascade.report.candidates import Candidates
from mteb_cascade.report.results import Result
from mteb_cascade.report.texts import Texts, texts_of

TOP = 20
"""Candidates of each query that are kept of a page that would be too large."""

CHARACTERS = 600
"""Characters that are kept of a text where that was not enough."""


@dataclass(frozen=True, eq=False)
class TaskQueries:
    """What the page shows of the queries of one task.

    Args:
        results: The results whose candidates are here.
        query_ids: Q ids.
        document_ids: N ids in code-point order.
        texts: The collection; None where it is not here.
        shortlists: The candidates of each result.
        problems: One line for each thing that is missing.
    """

    results: Sequence[Result]
    query_ids: Sequence[str]
    document_ids: Sequence[str]
    texts: Texts | None
    shortlists: Sequence[Candidates]
    problems: Sequence[str]

    @classmethod
    def of(cls, results: Sequence[Result]) -> TaskQueries:
        """The candidates and texts behind results on one task; what is missing is said, not raised."""
        problems: list[str] = []
        texts = None
        try:
            texts = texts_of(results[0])
        except InputError as error:
            problems.append(f"{results[0]['title']}: shown without texts. {error}")
        query_ids = None if texts is None else list(texts.queries)
        found = []
        for result in results:
            try:
                found.append((result, *candidates.read(result, query_ids)))
            except InputError as error:
                problems.append(str(error))
        if query_ids is None:
            query_ids = list(dict.fromkeys(query for _, ids, _, _ in found for query in ids))
            rows = {query: row for row, query in enumerate(query_ids)}
            found = [
                (result, ids, documents, one.of_queries(np.array([rows[query] for query in ids], np.int32)))
                for result, ids, documents, one in found
            ]
        answers = [doc for docs in texts.answers.values() for doc in docs] if texts and found else []
        ids = sorted({doc for _, _, documents, _ in found for doc in documents}.union(answers))
        number = {doc: row for row, doc in enumerate(ids)}
        shortlists = [
            one.numbered(np.array([number[doc] for doc in documents], np.int32)) for _, _, documents, one in found
        ]
        return cls([result for result, *_ in found], query_ids, ids, texts, shortlists, problems)

    def top(self, first: int) -> TaskQueries:
        """The first few candidates before and after reranking, and the answers."""
        level = int(self.results[0]["relevance_level"]) if self.results else 1
        shortlists = [
            one.top(first, result.lines, level) for result, one in zip(self.results, self.shortlists, strict=True)
        ]
        return TaskQueries(self.results, self.query_ids, self.document_ids, self.texts, shortlists, self.problems)

    def packed(self, characters: int | None = None) -> str:
        """The block as base64 of gzip: a header's length, the header as JSON, and arrays with their bytes in planes."""
        block = _Block()
        answers = self._answers()
        used = np.zeros(len(self.document_ids), bool)
        for one in self.shortlists:
            used[one.document] = True
        used[answers["document"]] = True
        number = np.cumsum(used, dtype=np.int32) - 1
        ids = [name for name, is_used in zip(self.document_ids, used, strict=True) if is_used]
        header = {
            "queries": {"ids": list(self.query_ids), "texts": self._query_texts(characters)},
            "documents": {"ids": ids, "texts": self._document_texts(ids, characters)},
            "answers": {
                "lengths": block.add(answers["lengths"]),
                "document": block.add(number[answers["document"]]),
                "grade": block.add(answers["grade"]),
            },
            "sweeps": [
                self._sweep(result, one.numbered(number), block)
                for result, one in zip(self.results, self.shortlists, strict=True)
            ],
        }
        return block.closed(header)

    def _sweep(self, result: Result, one: Candidates, block: _Block) -> dict[str, Any]:
        return {
            "pipeline": result.pipeline,
            "received": "first stage" if len(result["steps"]) == 1 else "received",
            "blends": result.lines,
            "depth": int(result["depth"]),
            "top": TOP,
            "depths": _depths(result, bool(one.after)),
            "level": int(result["relevance_level"]),
            "lengths": block.add(np.bincount(one.query, minlength=len(self.query_ids)).astype(np.int32)),
            "after": {line: block.add(ranks) for line, ranks in one.after.items()},
            **{name: block.add(getattr(one, name)) for name in ("rank", "document", "before", "score", "grade")},
        }

    def _answers(self) -> dict[str, NDArray[np.int32]]:
        """All relevant documents of each query, among the candidates or not."""
        number = {doc: row for row, doc in enumerate(self.document_ids)}
        of = [self.texts.answers.get(query, {}) if self.texts and self.results else {} for query in self.query_ids]
        return {
            "lengths": np.array([len(docs) for docs in of], np.int32),
            "document": np.array([number[doc] for docs in of for doc in docs], np.int32),
            "grade": np.array([grade for docs in of for grade in docs.values()], np.int32),
        }

    def _query_texts(self, characters: int | None) -> list[str] | None:
        if self.texts is None:
            return None
        return [shortened(self.texts.queries[query], characters) for query in self.query_ids]

    def _document_texts(self, ids: list[str], characters: int | None) -> list[str | None] | None:
        """A judged document that the corpus does not have is None."""
        if self.texts is None:
            return None
        rows = self.texts.corpus.rows(ids)
        found = iter(self.texts.corpus.texts_at(rows[rows >= 0]))
        return [shortened(next(found), characters) if row >= 0 else None for row in rows]


@dataclass
class _Block:
    """Arrays, each kept once."""

    arrays: list[bytes] = field(default_factory=list)
    numbers: dict[bytes, int] = field(default_factory=dict)

    def add(self, array: NDArray[np.generic]) -> int:
        """The array's number; its bytes are sorted by significance, which compresses better."""
        planes = np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).view(np.uint8).reshape(-1, 4).T
        data = planes.tobytes()
        if data not in self.numbers:
            self.numbers[data] = len(self.arrays)
            self.arrays.append(data)
        return self.numbers[data]

    def closed(self, header: Mapping[str, Any]) -> str:
        text = json.dumps({**header, "arrays": [len(data) for data in self.arrays]}).encode("ascii")
        whole = b"".join([len(text).to_bytes(4, "little"), text, *self.arrays])
        return base64.b64encode(gzip.compress(whole, 6, mtime=0)).decode("ascii")


def _depths(result: Result, trimmed: bool) -> list[int]:
    """Depths at which the page can tell the ranking exactly."""
    deepest = int(result["depth"])
    if not result["pointwise"]:
        return [deepest]
    return sorted({*range(1, min(TOP, deepest) + 1), deepest}) if trimmed else list(range(1, deepest + 1))


def shortened(text: str, characters: int | None) -> str:
    """A text, or its beginning.

    >>> shortened("a red fox", 5), shortened("a red fox", None)
    ('a red…', 'a red fox')
    """
    return text if characters is None or len(text) <= characters else text[:characters] + "…"


def pack(tasks: Sequence[TaskQueries], limit: int) -> tuple[list[str], str]:
    """The blocks of all tasks, small enough for one page.

    Args:
        tasks: What could be shown.
        limit: Bytes that all blocks may take together, as base64.

    Returns:
        One block a task, and what was left out, in words; empty where nothing was.
    """
    blocks = [task.packed() for task in tasks]
    if sum(map(len, blocks)) <= limit:
        return blocks, ""
    said = (
        f"With all candidates this page would take {sum(map(len, blocks)) / 1e6:.0f} MB, more than {limit / 1e6:.3g}: "
        f"of each query the first {TOP} before and after reranking and the answers are kept"
    )
    blocks = [task.top(TOP).packed() for task in tasks]
    if sum(map(len, blocks)) <= limit:
        return blocks, f"{said}."
    blocks = [task.top(TOP).packed(CHARACTERS) for task in tasks]
    said += f", and of each text the first {CHARACTERS} characters"
    taken = sum(map(len, blocks))
    return blocks, f"{said}." if taken <= limit else f"{said}; that still takes {taken / 1e6:.0f} MB."
