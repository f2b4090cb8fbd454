"""What is examined: a stage in its place, with the candidates that it receives there."""

from __future__ import annotations

import copy
from collections.abc import Collection as Some
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.stages.model_stage import ModelStage
from mteb_cascade.stages.own_code import is_ours
from mteb_cascade.values.lookup import looked_up
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import PAD, Run

DEPTH = 6
"""Candidates a query that a stage is examined on."""

POOL = 100
"""Candidates a query that are found for a stage which nothing stands before."""

OTHERS = 3
"""Documents that an answer is compared with."""

SWAPPED_FIRST = 2
"""Queries that tell whether a stage is symmetric."""

CLOSE = 20
"""Queries of which answers are compared with close candidates, both ways round."""


@dataclass(frozen=True, repr=False, eq=False)
class Subject:
    """A stage in its place.

    Args:
        stage: What is examined; the collection's corpus is indexed.
        collection: What its candidates are of.
        split: Name of the split.
        part: Q sampled queries of it, each with a relevant document in the corpus.
        received: What the stage before hands on, [Q, K], K >= 1 columns; of a first stage what BM25 finds.
        sender: Label of that stage.
        whole: The model that was asked about; the stage itself, or what it is a part of.
        parts: Of a cascade or a hybrid, its stages; each is a subject of its own.
    """

    stage: Stage
    collection: Collection
    split: str
    part: Split
    received: Run
    sender: str
    whole: Stage
    parts: tuple[Subject, ...] = ()

    @property
    def queries(self) -> Queries:
        """The Q queries, with their context in mteb's words."""
        return self.part.queries.within(**self.collection.context(self.split))

    @property
    def qrels(self) -> Qrels:
        """Their judgements."""
        return self.part.qrels

    @property
    def reads_texts(self) -> bool:
        """Whether a score follows from two texts alone: of a pointwise model, or of such a class of the user's own."""
        return self.stage.pointwise and (isinstance(self.stage, ModelStage) or not is_ours(type(self.stage)))

    @cached_property
    def candidates(self) -> Run:
        """The first `DEPTH` of what it receives, [Q, DEPTH]."""
        return self.received.cut(DEPTH)

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """The stage's scores of the candidates, float32 [Q, DEPTH], -inf at pads; computed anew, never stored.

        Raises:
            InputError: The stage gives another shape, or no number.
        """
        return checked(self.stage, self.candidates, self.stage.score(self.queries, self.candidates))

    @cached_property
    def relevant(self) -> NDArray[np.bool_]:
        """Which candidates are relevant, bool [Q, DEPTH]."""
        rows = [relevant_rows(self.qrels, query, self.collection) for query in self.part.queries.ids]
        found = [np.isin(docs, answers) for docs, answers in zip(self.candidates.docs, rows, strict=True)]
        return np.array(found, bool).reshape(self.candidates.docs.shape)

    @cached_property
    def probes(self) -> Run:
        """An answer of each query and `OTHERS` documents that are none, [Q, 1 + OTHERS]; the answer comes first.

        Any reranker that works at all scores the answer above them, however bad it is among close candidates. The
        others answer other queries, as far as there are so many: a liking for long documents, say, gains nothing.
        """
        rng = np.random.default_rng(0)
        relevant = [relevant_rows(self.qrels, query, self.collection) for query in self.part.queries.ids]
        answers = np.unique([rows[0] for rows in relevant])
        everything = np.arange(len(self.collection.corpus))
        found = np.full((len(relevant), 1 + OTHERS), PAD, np.int32)
        for row, own in enumerate(relevant):
            drawn = np.concatenate([rng.permutation(answers), rng.permutation(everything)[: OTHERS + len(own)]])
            others = list(dict.fromkeys(drawn[~np.isin(drawn, own)].tolist()))[:OTHERS]
            found[row, : 1 + len(others)] = [own[0], *others]
        return unranked(self.part.queries.ids, self.collection.corpus, found)

    @cached_property
    def probe_scores(self) -> NDArray[np.float32]:
        """The stage's scores of the probes, float32 [Q, 1 + OTHERS], -inf at pads; computed anew.

        Raises:
            InputError: As `scores`.
        """
        return checked(self.stage, self.probes, self.stage.score(self.queries, self.probes))

    @cached_property
    def close(self) -> Run:
        """An answer and the first `OTHERS` candidates that are none of C = min(Q, `CLOSE`) queries, [C, 1 + OTHERS]."""
        answers = self.probes.docs[:CLOSE, :1]
        wrong = self.candidates.without(self.relevant).widened(OTHERS).docs[:CLOSE, :OTHERS]
        return unranked(self.part.queries.ids[:CLOSE], self.collection.corpus, np.hstack([answers, wrong]))

    @property
    def close_part(self) -> Split:
        """Their queries."""
        return self.part.take(np.arange(min(CLOSE, len(self.part.queries))))

    @cached_property
    def close_scores(self) -> NDArray[np.float32]:
        """The stage's scores of these, float32 [C, 1 + OTHERS]; of a pointwise stage nothing is computed again.

        Raises:
            InputError: As `scores`.
        """
        queries, count = self.queries.rows(range(len(self.close.docs))), len(self.close.docs)
        if not self.stage.pointwise:
            return checked(self.stage, self.close, self.stage.score(queries, self.close))
        scores = np.hstack([self.probe_scores[:count, :1], self.scores[:count]])
        docs = np.hstack([self.probes.docs[:count, :1], self.candidates.docs[:count]])
        known = Run(self.close.query_ids, self.close.corpus, docs, scores)
        return looked_up(known, self.close, np.full(count, -np.inf)).astype(np.float32)

    @cached_property
    def symmetric(self) -> bool:
        """Whether the stage reads queries and documents alike, told from a few pairs that are scored both ways."""
        few = self.close.rows(slice(0, SWAPPED_FIRST))
        scores = swapped(self.stage, self.queries.rows(range(len(few.docs))), few)
        return bool(np.allclose(scores, self.close_scores[: len(few.docs)], rtol=1e-3, atol=1e-4))

    @cached_property
    def swapped_scores(self) -> NDArray[np.float32]:
        """Scores of `close` with query and document in each other's place, float32 [C, 1 + OTHERS].

        Raises:
            InputError: As `scores`.
        """
        if self.symmetric:
            return self.close_scores
        return swapped(self.stage, self.queries.rows(range(len(self.close.docs))), self.close)


def swapped(stage: Stage, queries: Queries, run: Run) -> NDArray[np.float32]:
    """Scores of candidates [Q, K] where the stage is asked for the queries, by the documents; -inf at pads."""
    documents = np.unique(run.docs[run.docs != PAD])
    lists = [np.flatnonzero((run.docs == document).any(axis=1)) for document in documents]
    rows = np.full((len(lists), max(map(len, lists))), PAD, np.int32)
    for row, asking in zip(rows, lists, strict=True):
        row[: len(asking)] = asking
    ids, texts = run.corpus.ids_at(documents), run.corpus.texts_at(documents)
    asked = Queries(tuple(ids), tuple(texts), queries.context)
    turned = unranked(asked.ids, Corpus.of(queries.ids, queries.texts), rows)
    scores = checked(stage, turned, afresh(stage).score(asked, turned))
    found = np.full(run.docs.shape, -np.inf, np.float32)
    for document, asking, given in zip(documents, lists, scores, strict=True):
        for query, score in zip(asking, given, strict=False):
            found[query, run.docs[query] == document] = score
    return found


def unranked(ids: tuple[str, ...], corpus: Corpus, docs: NDArray[np.int32]) -> Run:
    """Documents [Q, K] in no order, each with score 0."""
    return Run(ids, corpus, docs, np.where(docs == PAD, -np.inf, 0).astype(np.float32))


def checked(stage: Stage, candidates: Run, scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """The scores [Q, K], -inf at pads.

    Raises:
        InputError: They have not the candidates' shape, or one is NaN or +inf.
    """
    scores = np.asarray(scores, np.float32)
    if scores.shape != candidates.docs.shape:
        raise InputError(
            f"{stage.label}: score gives an array of shape {scores.shape} for candidates of shape "
            f"{candidates.docs.shape}; expected one score a candidate, in its place"
        )
    real = candidates.docs != PAD
    wrong = int((real & (np.isnan(scores) | np.isposinf(scores))).sum())
    if wrong:
        raise InputError(f"{stage.label}: {wrong} of {int(real.sum())} scores are NaN or infinite")
    return np.where(real, scores, np.float32(-np.inf))


def afresh(stage: Stage) -> Stage:
    """The same stage without the vectors that it holds, so that every text is encoded anew; nothing is stored."""
    if not isinstance(stage, ModelStage):
        return copy.copy(stage)
    options = {f.name: getattr(stage, f.name) for f in fields(stage) if f.init}
    other = type(stage).around(stage.network, **options)
    if stage._corpus is not None:
        other.index(stage._corpus)
    return other


def relevant_rows(qrels: Qrels, query: str, collection: Collection) -> list[int]:
    """Rows of the corpus that are relevant to a query, ascending."""
    ids = [document for document, grade in qrels.of(query).items() if grade >= qrels.relevance_level]
    rows = collection.corpus.rows_of_lists([ids])[0]
    return sorted(int(row) for row in rows if row != PAD)


def sampled(collection: Collection, split: str, count: int) -> Split:
    """At most `count` queries that have an answer in the corpus, drawn with seed 0, in the split's order."""
    part = collection.split(split)
    able = [row for row, query in enumerate(part.queries.ids) if relevant_rows(part.qrels, query, collection)]
    drawn = np.random.default_rng(0).permutation(able)[:count]
    return part.take(np.sort(drawn).astype(np.int64))


def subjects(
    whole: Stage,
    collection: Collection,
    split: str,
    part: Split,
    first: Stage | None = None,
    refused: Some[Stage] = (),
) -> list[Subject]:
    """Every stage of a model in its place, in the order that queries pass them; a composition after its parts.

    Args:
        whole: The model that was asked about.
        collection: With the split.
        split: Its name.
        part: The sampled queries.
        first: Who finds the candidates of a stage that nothing stands before; BM25 by default.
        refused: Stages that cannot be loaded. Neither they are examined, nor what they are a part of or hand on to.
    """
    queries = part.queries.within(**collection.context(split))
    first = first or BM25()
    for stage in (first, whole):
        stage.index(collection.corpus, **collection.context(split))

    def placed(stage: Stage, received: Run, sender: str, parts: list[Subject]) -> Subject:
        return Subject(stage, collection, split, part, received, sender, whole, tuple(parts))

    def of(stage: Stage, received: Run, sender: str) -> list[Subject]:
        if stage in refused:
            return []
        if isinstance(stage, Hybrid):
            members = [of(member.stage, received, sender) for member in stage.members]
            below = [subject for several in members for subject in several]
            own = [several[-1] for several in members if several]
            complete = [subject.stage for subject in own] == [member.stage for member in stage.members]
            return [*below, placed(stage, received, sender, own)] if complete else below
        if isinstance(stage, Cascade):
            below = of(stage.first, received, sender)
            own = below[-1:]
            if not own or own[0].stage is not stage.first:
                return below
            sound = list(takewhile(lambda step: step.stage not in refused, stage.steps))
            runs = Cascade(stage.first, *sound).trace(queries, DEPTH)
            for step, before, giver in zip(sound, runs, stage, strict=False):
                inside = of(step.stage, before.cut(step.depth), giver.label)
                below, own = below + inside, own + inside[-1:]
            if len(own) <= len(stage.steps):
                return below
            return [*below, placed(stage, runs[0], stage.first.label, own)]
        return [placed(stage, received, sender, [])]

    return of(whole, first.retrieved(queries, POOL), first.label)
