"""Figures of each query that earlier evaluations left on this disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.corpora.query_figures import BESIDE, ENDING
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.json_file import parsed
from mteb_cascade.spec import shown
from mteb_cascade.stages.provenance import PART, is_record, parts_of, qrels_digest

NEEDED = (
    *("model", "fingerprint", "collection", "subset", "split", "corpus_digest", "queries_digest", "relevance_level"),
    "scores",
)
"""What the JSON of `evaluate -o` has."""

EXPECTED = "what `mteb-cascade evaluate -o` writes"


@dataclass(frozen=True, eq=False)
class Earlier:
    """One model on one split and subset.

    Args:
        path: The JSON.
        queries: The Parquet file with the figures of each query; it need not be there.
        model: The model's label, on one line.
        fingerprint: The model's.
        task: Name of the collection.
        source: What was typed for it: its name, or a folder's path.
        part: Split, subset, digests and relevance level.
        means: {measure: mean over queries}; {} where the JSON has none.
        latency: What it keeps of latencies.
        untrained: Whether the model's weights were never trained to score.
    """

    path: Path
    queries: Path
    model: str
    fingerprint: str
    task: str
    source: str
    part: Mapping[str, Any]
    means: Mapping[str, float] = field(default_factory=dict)
    latency: object = None
    untrained: bool = False

    @property
    def of(self) -> str:
        """What it was evaluated on, in words."""
        subset = "" if self.part["subset"] == "default" else f" ({self.part['subset']})"
        return f"{self.task}{subset}, {self.part['split']}, relevant: grade >= {self.part['relevance_level']}"

    def is_on(self, collection: Collection, split: str) -> bool:
        """Whether it is about these very documents, queries, judgements and relevance level."""
        held = collection.split(split)
        expected = {
            "split": split,
            "subset": collection.subset,
            "corpus_digest": collection.corpus.digest,
            "queries_digest": held.queries.digest,
            "relevance_level": held.qrels.relevance_level,
        }
        judged = self.part.get("qrels_digest")
        same = all(self.part[key] == value for key, value in expected.items())
        return same and (judged is None or judged == qrels_digest(held))

    def per_query(self, collection: Collection, split: str) -> dict[str, NDArray[np.float64]] | None:
        """{measure: float64 [Q]} in the order of the split's queries; None where the file is not there.

        Raises:
            InputError: The file cannot be read, or lacks a query.
        """
        if not self.queries.is_file():
            return None
        import pyarrow.parquet as pq

        try:
            columns = pq.read_table(self.queries).to_pydict()
            rows = {query: row for row, query in enumerate(columns["query_id"])}
            order = [rows[query] for query in collection.split(split).queries.ids]
            return {
                name: np.array(values, np.float64)[order]
                for name, values in columns.items()
                if name not in ("query_id", "cluster")
            }
        except KeyError as error:
            raise InputError(f"{shown(self.queries)}: lacks {error}; evaluate again to write it anew") from None
        except (OSError, ValueError) as error:
            reason = in_one_line(error)
            raise InputError(
                f"{shown(self.queries)}: cannot be read ({reason}); evaluate again to write it anew"
            ) from None


def read(path: Path) -> Earlier | None:
    """The evaluation that a JSON of `evaluate -o` holds; None where it is something else.

    Raises:
        InputError: It cannot be read.
    """
    found = parsed(path, EXPECTED)
    if not isinstance(found, dict) or any(key not in found for key in NEEDED) or not isinstance(found["scores"], dict):
        return None
    known = found.get("provenance")
    judged = known.get("qrels_digest") if isinstance(known, dict) else None
    return Earlier(
        path,
        path.with_name(path.stem + ENDING),
        in_one_line(found["model"]),
        str(found["fingerprint"]),
        in_one_line(found["collection"]),
        str(found.get("source") or found["collection"]),
        {**{key: found.get(key) for key in PART}, "qrels_digest": judged},
        {name: float(value) for name, value in found["scores"].items() if isinstance(value, int | float)},
        found.get("latency_ms"),
        bool(found.get("untrained")),
    )


def beside(path: Path) -> Iterator[Earlier]:
    """The evaluations of a record beside a result of mteb, one a split and subset; none where it is something else.

    Raises:
        InputError: It cannot be read.
    """
    record = parsed(path, EXPECTED)
    if not is_record(record) or "task" not in record:
        return
    for part in parts_of(record):
        subset = "" if part["subset"] == "default" else f".{part['subset']}"
        queries = path.with_name(f"{path.stem}.{part['split']}{subset}{ENDING}")
        model, task = in_one_line(record["model"]), in_one_line(record["task"])
        yield Earlier(path, queries, model, str(record["fingerprint"]), task, task, part)


def in_folder(folder: Path) -> list[Earlier]:
    """The evaluations below a folder that have figures of each query; what else lies there is left alone.

    Raises:
        InputError: There is no such folder, or none in it.
    """
    if not folder.is_dir():
        raise InputError(f"{shown(folder)}: is no folder; expected one with results")
    found: list[Earlier] = []
    for path in sorted(folder.rglob("*.json")):
        if path.parent.name == BESIDE:
            found += beside(path)
        elif path.with_name(path.stem + ENDING).is_file() and (one := read(path)) is not None:
            found.append(one)
    if not found:
        raise InputError(
            f"{shown(folder)}: holds no figures of each query; expected NAME.json and NAME{ENDING} as `mteb-cascade "
            f"evaluate -o` writes them, or mteb's results with their {BESIDE} folders"
        )
    return found
