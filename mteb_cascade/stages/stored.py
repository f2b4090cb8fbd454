"""A stage's scores and runs through the store: what was computed once is looked up, block by block."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.installed import version
from mteb_cascade.progress import Progress
from mteb_cascade.store import provenance
from mteb_cascade.store.folder import cache_folder, full, refuse_unwritable
from mteb_cascade.store.pair_scores import PairScores, WantedPairs, hashes_of
from mteb_cascade.store.retrieved_runs import RetrievedRuns
from mteb_cascade.store.switch import answers, is_on
from mteb_cascade.store.vectors import StoredVectors
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    from mteb_cascade.stages.base import Stage

BLOCK_TOKENS = 250_000
"""Estimated tokens of a block, the unit of work that a kill can lose: half a minute of a MiniLM on 2 cores."""

CHARACTERS = 4
"""Characters that count as a token."""

READ = 512
"""Tokens of a pair that count at most: what most rerankers read of it."""


class Pairs:
    """The pairs of a list of candidates, and what is known of their scores.

    Args:
        queries: Q queries.
        candidates: [Q, K].
    """

    def __init__(self, queries: Queries, candidates: Run) -> None:
        self.queries, self.candidates = queries, candidates
        self.rows, self.columns = np.nonzero(candidates.docs != PAD)
        docs, place = np.unique(candidates.docs[self.rows, self.columns], return_inverse=True)
        texts = candidates.corpus.texts_at(docs)
        self.lengths = np.fromiter(map(len, texts), np.int64, len(texts))[place]
        self.wanted = WantedPairs(hashes_of(queries.texts), hashes_of(texts), self.rows, place)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def missing(self) -> int:
        """Pairs, equal ones as often as they stand there, whose score is not known."""
        return len(self) - self.wanted.found

    def blocks(self, tokens: int) -> Iterator[slice]:
        """Runs of whole queries of about this many estimated tokens, by the candidate lists alone.

        Args:
            tokens: >= 1.

        Yields:
            Which of the pairs.
        """
        if not len(self):
            return
        asked = np.array([len(text) for text in self.queries.texts], np.int64)[self.rows]
        size = np.minimum((asked + self.lengths) / CHARACTERS, READ)
        ends = np.cumsum(np.bincount(self.rows, size, minlength=len(self.queries)))
        # A query belongs to the block in which it begins.
        of_query = np.concatenate([[0], ends[:-1]]) // tokens
        cuts = np.flatnonzero(np.diff(of_query[self.rows])) + 1
        for start, stop in zip([0, *cuts.tolist()], [*cuts.tolist(), len(self)], strict=True):
            yield slice(start, stop)

    def of(self, block: slice) -> NDArray[np.intp]:
        """Those of a block's pairs that have to be scored: not known, and equal ones once."""
        place = self.wanted.place[block]
        absent = np.flatnonzero(~self.wanted.known[place])
        _, first = np.unique(place[absent], return_index=True)
        return np.asarray(block.start + absent[np.sort(first)], np.intp)

    def score(self, stage: Stage, pairs: NDArray[np.intp]) -> NDArray[np.float32]:
        """float32 [len(pairs)], the stage's scores of these pairs alone, asked for in one call.

        Raises:
            InputError: A score is NaN; the pair is named.
        """
        rows, columns = self.rows[pairs], self.columns[pairs]
        asked, inside = np.unique(rows, return_inverse=True)
        candidates = self.candidates.rows(asked)
        taken = np.zeros(candidates.docs.shape, bool)
        taken[inside, columns] = True
        docs = np.where(taken, candidates.docs, PAD).astype(np.int32)
        before = np.where(taken, candidates.scores, np.float32(-np.inf))
        wanted = Run(candidates.query_ids, candidates.corpus, docs, before)
        found = np.asarray(stage.score(self.queries.rows(asked.tolist()), wanted), np.float32)[inside, columns]
        if np.isnan(found).any():
            at = int(np.argmax(np.isnan(found)))
            document = candidates.corpus.id_of(int(docs[inside[at], columns[at]]))
            raise InputError(
                f"{stage.label}: the score of query '{self.queries.ids[rows[at]]}' and document '{document}' is NaN; "
                "expected a number, or -inf for what cannot be scored"
            )
        return found

    def scores(self) -> NDArray[np.float32]:
        """float32 [Q, K], what is known; -inf at pads."""
        found = np.full(self.candidates.docs.shape, -np.inf, np.float32)
        found[self.rows, self.columns] = self.wanted.scores[self.wanted.place]
        return found


def scored(stage: Stage, queries: Queries, candidates: Run, progress: Progress) -> NDArray[np.float32]:
    """`stage.score` block by block; pairs that the store has are not scored, the others are stored when their block is.

    With the store off, or bypassed, the blocks are the same, and so is every bit of the scores.

    Args:
        stage: One that is worth storing and pointwise; any other scores all at once.
        queries: Q queries.
        candidates: [Q, K].
        progress: Told the pairs known, the pairs in all, and the pairs scored a second.

    Returns:
        float32 [Q, K], -inf at pads and at what cannot be scored.

    Raises:
        InputError: A score is NaN, or the store cannot be written: before any scoring, or when the disk is full.
    """
    if not stage.stored:
        return stage.score(queries, candidates)
    pairs = Pairs(queries, candidates)
    store = store_of(stage, queries) if answers() else None
    if store is not None:
        store.read(pairs.wanted)
    if pairs.missing:
        stage.prepare()
        if not stage.pointwise:
            return stage.score(queries, candidates)
        if store is not None:
            store = store_of(stage, queries)  # Loading may settle what the key depends on.
        score_missing(stage, pairs, store, progress)
    elif store is not None and len(pairs):
        provenance.used(store.folder, lambda: described(stage))
    return pairs.scores()


def score_missing(stage: Stage, pairs: Pairs, store: PairScores | None, progress: Progress) -> None:
    """Score what is not known, and store it block by block."""
    if store is not None:
        refuse_unwritable(store.folder)
        provenance.used(store.folder, lambda: described(stage))  # Not at the end, which a killed run never sees.
    total, spent, count = len(pairs), 0.0, 0
    progress(pairs.wanted.found, total, "")
    for block in pairs.blocks(stage.block_tokens):
        if store is not None:
            store.read(pairs.wanted)
        missing = pairs.of(block)
        if len(missing):
            begun = perf_counter()
            scores = pairs.score(stage, missing)
            spent, count = spent + perf_counter() - begun, count + len(missing)
            places = pairs.wanted.place[missing]
            if store is not None:
                try:
                    store.write(*pairs.wanted.hashes_at(places), scores)
                except OSError as error:
                    stored = f"{pairs.wanted.found:,} of {total:,} pairs are stored"
                    raise full(store.folder, error, stored) from None
            pairs.wanted.take(places, scores)
        progress(pairs.wanted.found, total, f"{count / spent:,.0f} pairs/s" if spent else "")


def retrieved(
    stage: Stage,
    queries: Queries,
    k: int,
    retrieve: Callable[[Queries, int], Run],
    prepare: Callable[[], None] | None = None,
) -> Run:
    """A stored run of the indexed corpus, else what is retrieved now, which is stored.

    Args:
        stage: A corpus is indexed.
        queries: Q queries.
        k: Columns wanted, >= 1.
        retrieve: Retrieves, where nothing is stored.
        prepare: Called before that.

    Raises:
        InputError: The store cannot be written: before anything is retrieved, or when the disk is full.
    """
    key = stage.store_key(queries) if answers() else None
    if key is None:
        return retrieve(queries, k)
    runs = RetrievedRuns(folder_of("runs", key), stage.corpus, queries)
    run = runs.find(k)
    if run is None:
        if prepare is not None:
            # Loading may settle what the key depends on.
            prepare()
            key = stage.store_key(queries)
            runs = replace(runs, folder=folder_of("runs", key or ""))
        if key is not None:
            refuse_unwritable(runs.folder)
        run = retrieve(queries, k)
        if key is None or stage.store_key(queries) != key:
            return run
        try:
            runs.write(run, k)
        except OSError as error:
            raise full(runs.folder, error, f"What {stage.label} retrieved is not stored") from None
    provenance.used(runs.folder, lambda: described(stage))
    return run


def stored_run(stage: Stage, queries: Queries, k: int) -> Run | None:
    """The run of the indexed corpus that `retrieved` would find, None where it would have to retrieve."""
    key = stage.store_key(queries) if answers() else None
    return None if key is None else RetrievedRuns(folder_of("runs", key), stage.corpus, queries).find(k)


def missing(stage: Stage, queries: Queries, candidates: Run) -> int:
    """Pairs of the candidates that `scored` would have to score: those that the store does not have."""
    if not stage.stored:
        return int((candidates.docs != PAD).sum())
    pairs = Pairs(queries, candidates)
    store = store_of(stage, queries) if answers() else None
    if store is not None:
        store.read(pairs.wanted)
    return pairs.missing


def store_of(stage: Stage, queries: Queries) -> PairScores | None:
    """The stored scores of a stage; None where its scores cannot be told apart from another's."""
    key = stage.store_key(queries)
    return None if key is None else PairScores(folder_of("scores", key))


def vectors_of(stage: Stage, corpus: Corpus) -> StoredVectors | None:
    """The stored vectors of a corpus by a loaded encoder; None where nothing is stored.

    They are what an index is, not an answer: bypassing the store leaves them.
    """
    key = stage.store_key(Queries((), ())) if is_on() else None
    if key is None:
        return None
    folder = folder_of("vectors", key)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        provenance.used(folder, lambda: described(stage))
    return StoredVectors(folder / corpus.digest)


def folder_of(what: str, key: str) -> Path:
    """The folder of a stage's scores, runs or vectors."""
    return cache_folder() / what / key


def described(stage: Stage) -> dict[str, Any]:
    """What the store says of a stage."""
    return {"label": stage.label, **stage.identified(), "mteb-cascade": version("mteb-cascade")}
