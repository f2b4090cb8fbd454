"""Scored (query, document) pairs as a file holds them: columns of any ids in any order, checked once."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from mteb_cascade.corpora.candidate_sets import Provenance
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.values.run import PAD, Run


@dataclass(frozen=True, eq=False, repr=False)
class Rankings:
    """The n pairs of a run file, query by query.

    Args:
        path: The file, for messages.
        query_ids: Arrow strings [Q], each id once.
        document_ids: Arrow strings [D], each id once.
        queries: int32 [n], ascending: which of `query_ids`.
        documents: int32 [n], which of `document_ids`.
        scores: float32 [n].
        made: Who made the file and for what, where it says.
    """

    path: Path
    query_ids: pa.Array
    document_ids: pa.Array
    queries: NDArray[np.int32]
    documents: NDArray[np.int32]
    scores: NDArray[np.float32]
    made: Provenance | None = None

    @classmethod
    def checked(
        cls,
        path: Path,
        ids: tuple[Sequence[str] | pa.Array, Sequence[str] | pa.Array],
        pairs: tuple[NDArray[np.int32], NDArray[np.int32]],
        scores: NDArray[np.floating],
        place: Callable[[int], str],
        made: Provenance | None = None,
    ) -> Rankings:
        """Rankings from columns in the order of the file.

        Args:
            path: The file.
            ids: Query ids and document ids, each id once.
            pairs: int32 [n] twice: which query and which document.
            scores: [n].
            place: Where pair number i stands in the file, for messages.
            made: Who made the file and for what.

        Raises:
            InputError: A pair stands there twice, or a score is no number; the first of them is named.
        """
        query_ids, document_ids = (pa.array(one, pa.large_string()) for one in ids)
        queries, documents = pairs
        wrong = np.flatnonzero(np.isnan(scores))
        if len(wrong):
            at = int(wrong[0])
            query, document = query_ids[int(queries[at])], document_ids[int(documents[at])]
            raise InputError(
                f"{path}: {place(at)}: the score of query '{query}' and document '{document}' is no number"
            )
        keys = queries.astype(np.int64) * len(document_ids) + documents
        again = repeated(keys)
        if again is not None:
            query, document = query_ids[int(queries[again])], document_ids[int(documents[again])]
            raise InputError(f"{path}: {place(again)}: document '{document}' of query '{query}' stands there twice")
        if (np.diff(queries) < 0).any():
            order = np.argsort(queries, kind="stable")
            queries, documents, scores = queries[order], documents[order], scores[order]
        with np.errstate(over="ignore"):
            return cls(path, query_ids, document_ids, queries, documents, scores.astype(np.float32), made)

    def run(self, queries: Queries, corpus: Corpus) -> Run:
        """These queries' lists as a run; queries without one and documents that the corpus lacks are warned of.

        Raises:
            InputError: The file says that it was made for another corpus, or has no document of this one.
        """
        if self.made is not None:
            self.made.refuse_other(corpus, self.path)
        rows = corpus.rows(self.document_ids)
        if len(rows) and (rows == PAD).all():
            raise InputError(
                f"{self.path}: none of its {len(rows):,} documents is in the corpus, whose {len(corpus):,} ids are "
                f"like '{corpus.ids[0]}'; the file's are like '{self.document_ids[0]}'. Expected a run on this corpus"
            )
        asked = pc.index_in(pa.array(queries.ids, pa.large_string()), value_set=self.query_ids)
        asked = np.asarray(pc.fill_null(asked, -1).to_numpy(zero_copy_only=False), np.int64)
        self._warn_of_queries(queries, asked < 0)
        # The last count is that of the queries that the file does not have: index -1.
        counts = np.bincount(self.queries, minlength=len(self.query_ids) + 1)
        starts, lengths = (np.cumsum(counts) - counts)[asked], counts[asked]
        docs = np.full((len(queries), int(lengths.max(initial=0))), PAD, np.int32)
        scores = np.full(docs.shape, -np.inf, np.float32)
        cells = np.arange(docs.shape[1]) < lengths[:, None]
        pairs = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(lengths.sum())
        docs[cells] = rows[self.documents[pairs]]
        scores[cells] = self.scores[pairs]
        strangers = np.unique(self.documents[pairs[docs[cells] == PAD]])
        if len(strangers):
            example = self.document_ids[int(strangers[0])]
            warnings.warn(
                f"{self.path}: {len(strangers):,} of its documents are not in the corpus and left out, such as "
                f"'{example}'",
                stacklevel=2,
            )
        return Run.ranked(queries.ids, corpus, docs, scores)

    def _warn_of_queries(self, queries: Queries, missing: NDArray[np.bool_]) -> None:
        if self.made is not None and self.made.queries_digest == queries.digest:
            return  # What the maker found nothing for has no row.
        count = int(missing.sum())
        if count:
            example = queries.ids[int(np.argmax(missing))]
            made_for = f"; it was made for {self.made.asked}" if self.made else ""
            warnings.warn(
                f"{self.path}: {count:,} of {len(queries):,} queries are not in it, such as '{example}'{made_for}",
                stacklevel=3,
            )
        elif self.made is not None and self.made.queries == len(queries):
            warnings.warn(
                f"{self.path}: has these query ids, but was made for other texts of them or in another order: "
                f"{self.made.asked} (digest {self.made.queries_digest[:12]}, here {queries.digest[:12]})",
                stacklevel=3,
            )


def repeated(keys: NDArray[np.int64]) -> int | None:
    """Position of the first key that stood before; None where each stands once.

    >>> repeated(np.array([5, 3, 9, 3, 5])), repeated(np.array([2, 1]))
    (3, None)
    """
    in_order = np.sort(keys)
    if not (in_order[1:] == in_order[:-1]).any():
        return None
    order = np.argsort(keys, kind="stable")
    again = np.append(False, keys[order][1:] == keys[order][:-1])
    return int(order[again].min())
