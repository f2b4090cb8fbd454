"""Runs in and out: TREC run files, Parquet, and mteb's prediction JSON."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mteb_cascade.atomic import replaced
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.values.run import PAD, Run

COLUMNS = ("query_id", "document_id", "score")


@dataclass(frozen=True, eq=False)
class Rankings:
    """Scored documents a query, as a file holds them: any ids, any order.

    Args:
        path: The file, for messages.
        scores: {query id: {document id: score}}.
    """

    path: Path
    scores: Mapping[str, Mapping[str, float]]

    def run(self, query_ids: tuple[str, ...], corpus: Corpus) -> Run:
        """These queries' lists as a run; documents that the corpus lacks are left out, counted and warned of."""
        lists = [self.scores.get(query, {}) for query in query_ids]
        docs = corpus.rows_of_lists([list(scored) for scored in lists])
        scores = np.full(docs.shape, -np.inf, np.float32)
        for row, scored in enumerate(lists):
            scores[row, : len(scored)] = list(scored.values())
        strangers = int(sum(map(len, lists)) - (docs != PAD).sum())
        if strangers:
            unknown = (
                list(scored)[place]
                for scored, row in zip(lists, docs, strict=True)
                for place in np.flatnonzero(row[: len(scored)] == PAD)
            )
            example = next(unknown)
            warnings.warn(
                f"{self.path}: {strangers:,} of its documents are not in the corpus and left out, such as '{example}'",
                stacklevel=2,
            )
        return Run.ranked(query_ids, corpus, docs, scores)


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
    scores: dict[str, dict[str, float]] = {}
    if path.suffix == ".json":
        rows = json_rows(path, predictions(path, subset, split))
    else:
        rows = parquet_rows(path) if path.suffix == ".parquet" else trec_rows(path)
    for place, query, document, score in rows:
        found = scores.setdefault(query, {})
        if document in found:
            raise InputError(f"{path}: {place}: document '{document}' of query '{query}' stands there twice")
        if math.isnan(score):
            raise InputError(f"{path}: {place}: the score of query '{query}' and document '{document}' is no number")
        found[document] = score
    return Rankings(path, scores)


def trec_rows(path: Path) -> Iterator[tuple[str, str, str, float]]:
    """(place, query, document, score) of a TREC run: `query Q0 document rank score tag`."""
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            parts = line.split()
            if not parts:
                continue
            try:
                query, _, document, _, score, *_ = parts
                yield f"line {number}", query, document, float(score)
            except ValueError:
                raise InputError(
                    f"{path}: line {number}: expected 'query Q0 document rank score tag', got {line.strip()[:80]!r}"
                ) from None


def parquet_rows(path: Path) -> Iterator[tuple[str, str, str, float]]:
    """(place, query, document, score) of a Parquet run."""
    try:
        table = pq.read_table(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: is not a readable Parquet file: {error}") from None
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise InputError(f"{path}: has no column {', '.join(missing)}; expected {', '.join(COLUMNS)}")
    columns = (table[name].to_pylist() for name in COLUMNS)
    for number, (query, document, score) in enumerate(zip(*columns, strict=True), 1):
        try:
            yield f"row {number}", str(query), str(document), float(score)
        except (TypeError, ValueError):
            raise InputError(f"{path}: row {number}: expected a number as score, got {score!r}") from None


def json_rows(path: Path, lists: Mapping[str, Any]) -> Iterator[tuple[str, str, str, float]]:
    """(place, query, document, score) of one subset and split of mteb's predictions."""
    for query, scored in lists.items():
        if not isinstance(scored, dict) or not all(type(score) in (int, float) for score in scored.values()):
            raise InputError(f"{path}: query '{query}': expected {{document: score}}, got {str(scored)[:80]}")
        for document, score in scored.items():
            yield f"query '{query}'", query, document, score


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


def write(run: Run, path: Path, *, name: str = "mteb-cascade", subset: str = "default", split: str = "test") -> None:
    """Write a run in the form that the file's ending names: `.json`, `.parquet`, or else a TREC run.

    A TREC run and a Parquet file keep every float32 bit. Only a JSON keeps a query that found nothing.

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
        queries = [run.query_ids[row] for row in rows]
        documents = run.corpus.ids.take(pa.array(run.docs[found]))
        scores = run.scores[found]
        if path.suffix == ".parquet":
            columns = [pa.array(queries, pa.large_string()), documents, pa.array(scores)]
            pq.write_table(pa.table(columns, names=list(COLUMNS)), beside)
            return
        ranks = np.cumsum(found, axis=1)[found]
        lines = zip(queries, documents.to_pylist(), ranks.tolist(), scores.tolist(), strict=True)
        spaced = next((i for i in [*run.query_ids, *documents.unique().to_pylist()] if len(i.split()) != 1), None)
        if spaced is not None:
            raise InputError(f"{path}: a TREC run cannot hold the id {spaced!r}; write a .parquet or a .json")
        beside.write_text("".join(f"{q} Q0 {d} {r} {s:.9g} {name}\n" for q, d, r, s in lines), encoding="utf-8")
