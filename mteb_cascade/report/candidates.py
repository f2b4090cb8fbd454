"""The candidates behind a result: who stood where before and after, query by query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from mteb_cascade.errors import InputError
from mteb_cascade.report.results import Result
from mteb_cascade.spec import shown
from mteb_cascade.values.fusion import blended
from mteb_cascade.values.qrels import UNJUDGED

COLUMNS = ("query", "rank", "document", "before", "score", "grade")


@dataclass(frozen=True, eq=False)
class Candidates:
    """Cells of Q queries, query by query, in the order of the received ranking.

    Args:
        query: int32 [C], number of the query.
        rank: int32 [C], from 0.
        document: int32 [C], number of the document, in code-point order of ids: what breaks ties.
        before: float32 [C], the score it was received with.
        score: float32 [C], the step's; -inf where it could not be scored.
        grade: int32 [C], `UNJUDGED` where nobody judged it.
        after: {line: int32 [C], its rank from 0 after the deepest reranking}; empty where all candidates are here, so
            that every depth can be worked out.
    """

    query: NDArray[np.int32]
    rank: NDArray[np.int32]
    document: NDArray[np.int32]
    before: NDArray[np.float32]
    score: NDArray[np.float32]
    grade: NDArray[np.int32]
    after: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)

    def taken(self, cells: NDArray[np.bool_] | NDArray[np.intp]) -> Candidates:
        """These cells alone, or in this order."""
        return Candidates(
            self.query[cells],
            self.rank[cells],
            self.document[cells],
            self.before[cells],
            self.score[cells],
            self.grade[cells],
            {line: ranks[cells] for line, ranks in self.after.items()},
        )

    def of_queries(self, queries: NDArray[np.int32]) -> Candidates:
        """The same cells, query i now bearing the number `queries[i]`, in the order of the new numbers."""
        query = queries[self.query]
        return replace(self, query=query).taken(np.lexsort((self.rank, query)))

    def numbered(self, documents: NDArray[np.int32]) -> Candidates:
        """The same cells, document i now bearing the number `documents[i]`."""
        return replace(self, document=documents[self.document])

    def reranked(self, blend: float) -> NDArray[np.int32]:
        """int32 [C], each cell's rank from 0 once all candidates have been reranked."""
        total = blended(self.score, self.before, blend)
        # What could not be scored stands below the others, in its old order.
        tie = np.where(np.isneginf(total), self.rank, -self.document)
        order = np.lexsort((tie, -total, self.query))
        starts = np.searchsorted(self.query, np.arange(self.query.max(initial=-1) + 1))
        ranks = np.empty(len(order), np.int32)
        ranks[order] = np.arange(len(order)) - starts[self.query]
        return ranks

    def top(self, first: int, lines: Mapping[str, float], relevance_level: int) -> Candidates:
        """What stands among the first few before or after the deepest reranking, and the relevant ones."""
        after = {line: self.reranked(blend) for line, blend in lines.items()}
        kept = (self.rank < first) | (self.grade >= relevance_level)
        for ranks in after.values():
            kept |= ranks < first
        return replace(self, after=after).taken(kept)


def read(result: Result, query_ids: list[str] | None) -> tuple[list[str], list[str], Candidates]:
    """The candidates of a result.

    Args:
        result: Its Parquet file is read.
        query_ids: Ids of all its queries; None where only the file knows them.

    Returns:
        Query ids, document ids in code-point order, and the candidates.

    Raises:
        InputError: The file is missing or damaged, or holds something else.
    """
    path = result.candidates
    try:
        table = pq.read_table(path, columns=list(COLUMNS))
    except FileNotFoundError:
        raise InputError(f"{shown(path)} is missing: no queries can be shown of {result.pipeline}") from None
    except (OSError, pa.ArrowException) as error:
        what = " ".join(str(error).split())
        raise InputError(
            f"{shown(path)}: cannot be read ({what}); expected the candidates that a sweep wrote"
        ) from None
    queries, documents = (table[name].cast(pa.large_string()).combine_chunks() for name in ("query", "document"))
    if query_ids is None:
        query_ids = pc.unique(queries).to_pylist()
    query = pc.index_in(queries, value_set=pa.array(query_ids, pa.large_string()))
    if query.null_count:
        raise InputError(f"{shown(path)}: holds queries that its task does not have; sweep again to write it anew")
    distinct = pc.unique(documents)
    ids = distinct.take(pc.sort_indices(distinct))
    found = Candidates(
        np.asarray(query.to_numpy(zero_copy_only=False), np.int32),
        np.asarray(table["rank"].to_numpy(), np.int32) - np.int32(1),
        np.asarray(pc.index_in(documents, value_set=ids).to_numpy(zero_copy_only=False), np.int32),
        np.asarray(pc.fill_null(table["before"], -np.inf).to_numpy(), np.float32),
        np.asarray(pc.fill_null(table["score"], -np.inf).to_numpy(), np.float32),
        np.asarray(pc.fill_null(table["grade"], int(UNJUDGED)).to_numpy(), np.int32),
    )
    return query_ids, ids.to_pylist(), found.of_queries(np.arange(len(query_ids), dtype=np.int32))
