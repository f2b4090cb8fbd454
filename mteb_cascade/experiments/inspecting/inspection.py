"""Queries through a cascade one by one: the ranking after each stage, answers, outcomes and phantoms."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.errors import InputError, suggestion
from mteb_cascade.experiments.inspecting.inspected import Answer, Candidate, Inspected, Passed, Place
from mteb_cascade.experiments.inspecting.trail import Trail
from mteb_cascade.experiments.inspecting.way import way
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.base import Stage, candidates_of
from mteb_cascade.stages.cascade import Step
from mteb_cascade.stages.load import load
from mteb_cascade.values.curves import OUTCOMES
from mteb_cascade.values.fusion import rerank
from mteb_cascade.values.qrels import UNJUDGED
from mteb_cascade.values.run import PAD, Run
from mteb_cascade.values.words import words

SIMILAR = 20_000
"""Query ids among which a similar one is looked for."""


@dataclass(frozen=True, eq=False)
class Inspection:
    """A model on a split, ready to be looked at query by query; a query is reranked when it is looked at.

    Args:
        label: The model's.
        first: The stage that found the candidates, or ranked those that a Reranking task brings.
        steps: What reranked them.
        collection: With the split.
        split: Its name.
        queries: Q queries, with their context in mteb's words.
        received: [Q, K], what the first stage handed on.
        found: [Q, K], the same documents with what it said of them, -inf where it said nothing.
    """

    label: str
    first: Stage
    steps: tuple[Step, ...]
    collection: Collection
    split: str
    queries: Queries
    received: Run
    found: Run

    @property
    def part(self) -> Split:
        """The split."""
        return self.collection.split(self.split)

    @property
    def title(self) -> str:
        """The collection and its split."""
        return f"{self.collection.title} {self.split}"

    @property
    def stages(self) -> list[Stage]:
        """All stages, the first one first."""
        return [self.first, *(step.stage for step in self.steps)]

    def trail(self, rows: Sequence[int], progress: Progress = silent) -> Trail:
        """The queries at these rows, through every step."""
        at = np.asarray(rows, np.intp)
        return Trail.of(
            self.steps,
            self.queries.rows(rows),
            self.received.rows(at),
            self.found.rows(at),
            self.part.qrels,
            ignore_identical_ids=self.collection.ignore_identical_ids,
            progress=progress,
        )

    def row_of(self, asked: str) -> int:
        """Row of a query by its id, or by its place in the split as `#17`.

        Raises:
            InputError: There is no such query.
        """
        if asked in self.queries.ids:
            return self.queries.ids.index(asked)
        if asked.startswith("#") and asked[1:].isdecimal() and 1 <= int(asked[1:]) <= len(self.queries):
            return int(asked[1:]) - 1
        close = difflib.get_close_matches(asked, islice(self.queries.ids, SIMILAR), n=1)
        meant = f"Did you mean '{close[0]}'?" if close else "Give a query's id, or its place in the split as '#1'."
        raise InputError(f"{self.title} has no query '{asked}' among its {len(self.queries):,}. {meant}")

    def selected(
        self, outcome: str | None = None, *, phantoms: bool = False, text: str = "", progress: Progress = silent
    ) -> list[int]:
        """Rows of the queries that pass every filter, in the split's order; `outcome` and `phantoms` rerank them all.

        Args:
            outcome: One of `OUTCOMES`, by the last step.
            phantoms: Only queries with a phantom.
            text: Words that the query has, each of them.
            progress: Told of the pairs scored.

        Raises:
            InputError: `outcome` is unknown, or no query is left; says how many there are of each class.
        """
        refuse_unknown(outcome)
        wanted = {*words(text)}
        if text.strip() and not wanted:
            raise InputError(f"--text: expected words, got '{text}', which has neither letters nor digits")
        rows = [row for row, asked in enumerate(self.queries.texts) if wanted <= {*words(asked)}]
        if not rows:
            raise InputError(f"--text: no query of {self.title} has the words '{text}'; give fewer")
        if outcome is None and not phantoms:
            return rows
        trail = self.trail(rows, progress)
        kept, has_phantom = np.ones(len(rows), bool), trail.phantoms.any(axis=1)
        if outcome is not None:
            kept &= trail.outcomes[-1] == OUTCOMES.index(outcome)
        if phantoms:
            kept &= has_phantom
        if not kept.any():
            counts = np.bincount(trail.outcomes[-1], minlength=len(OUTCOMES)).tolist()
            listed = ", ".join(f"{name} {count:,}" for name, count in zip(OUTCOMES, counts, strict=True))
            raise InputError(
                f"no query of {self.title} is left by these filters; of {len(rows):,} there are: {listed}; "
                f"with phantoms {int(has_phantom.sum()):,}"
            )
        return [row for row, stays in zip(rows, kept.tolist(), strict=True) if stays]

    def of(self, row: int, top: int = 10, also: str | None = None) -> Inspected:
        """One query.

        Args:
            row: Its row.
            top: Candidates shown from the top of the last ranking; the first of every stage and all answers in the
                lists are shown too.
            also: Id of a document that is shown, wherever it stands.

        Raises:
            InputError: `also` is no document of the corpus.
        """
        trail, corpus, query = self.trail([row]), self.collection.corpus, self.queries.ids[row]
        places = [places_of(run, said) for run, said in zip(trail.runs, trail.said, strict=True)]
        answers, level = self._answers(query, places), self.part.qrels.relevance_level
        in_lists = {doc for one in places for doc in one}
        shown = {doc for doc, place in places[-1].items() if place.rank <= top}
        shown |= {doc for one in places for doc, place in one.items() if place.rank == 1}
        shown |= in_lists & {*corpus.rows([answer.document for answer in answers]).tolist()}
        if also is not None:
            shown.add(self.document(also))
        last = places[-1]
        order = sorted(shown, key=lambda doc: (last[doc].rank if doc in last else len(last) + 1, doc))
        phantoms = {*trail.runs[-1].docs[trail.phantoms].tolist()}
        judged = self.part.qrels.of(query)
        candidates = [
            Candidate(name, text, judged.get(name), judged.get(name, UNJUDGED) >= level, doc in phantoms, of_stages)
            for doc, name, text, of_stages in zip(
                order,
                corpus.ids_at(np.array(order, np.int64)),
                corpus.texts_at(np.array(order, np.int64)),
                [tuple(one.get(doc) for one in places) for doc in order],
                strict=True,
            )
        ]
        depths, blends = [None, *(step.depth for step in self.steps)], [0.0, *(step.blend for step in self.steps)]
        became = [None, *(OUTCOMES[int(one[0])] for one in trail.outcomes)] if self.steps else [None]
        stages = tuple(
            Passed(stage.label, depth, blend, one, int(run.lengths[0]))
            for stage, depth, blend, one, run in zip(self.stages, depths, blends, became, trail.runs, strict=True)
        )
        whole = OUTCOMES[int(trail.whole[0])]
        return Inspected(query, self.queries.texts[row], row + 1, stages, whole, tuple(candidates), answers)

    def document(self, document: str) -> int:
        """Row of a document of the corpus.

        Raises:
            InputError: There is none.
        """
        row = int(self.collection.corpus.rows([document])[0])
        if row == PAD:
            raise InputError(f"--document: {self.collection.title} has no document '{document}'; give a document's id")
        return row

    def _answers(self, query: str, places: Sequence[dict[int, Place]]) -> tuple[Answer, ...]:
        """The relevant documents of a query, the best-placed first."""
        level = self.part.qrels.relevance_level
        graded = {name: grade for name, grade in self.part.qrels.of(query).items() if grade >= level}
        found = []
        for (name, grade), row in zip(graded.items(), self.collection.corpus.rows(list(graded)).tolist(), strict=True):
            ranks = [one[row].rank if row in one else None for one in places]
            found.append(Answer(name, grade, row != PAD, tuple(ranks)))
        return tuple(sorted(found, key=lambda answer: [rank or np.inf for rank in reversed(answer.ranks)]))


def refuse_unknown(outcome: str | None) -> None:
    """Raise InputError where this is no class of `OUTCOMES`."""
    if outcome is not None and outcome not in OUTCOMES:
        raise InputError(f"--class: unknown class '{outcome}'. {suggestion(outcome, OUTCOMES)}")


def places_of(run: Run, said: NDArray[np.float64]) -> dict[int, Place]:
    """{row of the corpus: where it stands} of the one query of a run [1, K]; `said` [1, K] is the stage's own score."""
    return {
        doc: Place(rank, score if own > -np.inf else None, own if own > -np.inf else None)
        for rank, (doc, score, own) in enumerate(
            zip(run.docs[0].tolist(), run.scores[0].tolist(), said[0].tolist(), strict=True), start=1
        )
        if doc != PAD
    }


def inspect(
    name: str | Stage,
    task: str | Path | Collection,
    *,
    first: str | Stage | None = None,
    depth: int | None = None,
    k: int = 1000,
    split: str | None = None,
    subset: str | None = None,
    relevance_level: int | None = None,
    allow_empty: bool = False,
) -> Inspection:
    """Make a model ready to be looked at on a split: its first stage's run, from the store where it is there.

    Args:
        name: A model by name, folder or hub id, or a stage.
        task: PythonDocs, a BEIR folder, or a task of mteb; or a collection, taken as it is.
        first: Who finds the candidates of a model that is no cascade; of one that only reranks, BM25 by default.
        depth: Candidates that such a model reranks, 100 by default.
        k: Documents of each list that are looked at, at least every depth.
        split: Split of the queries; the collection's default split where none is named.
        subset: Subset of a task that has several.
        relevance_level: A grade of at least this is relevant.
        allow_empty: Accept documents without text.

    Raises:
        InputError: The model, the task or the split is unknown, weights are missing, or an option does not go with it.
    """
    stage = load(name)
    begin, steps = way(stage, None if first is None else load(first), depth)
    for one in (begin, *(step.stage for step in steps)):
        one.fetch_missing()
    collection = (
        task
        if isinstance(task, Collection)
        else load_collection(task, split, subset=subset, relevance_level=relevance_level, allow_empty=allow_empty)
    )
    split = split or collection.default_split
    part, context = collection.split(split), collection.context(split)
    if not len(part.queries):
        raise InputError(f"{collection.title} {split} has no queries; give another split")
    queries = part.queries.within(**context)
    begin.index(collection.corpus, **context)
    if part.candidates is None:
        received = found = begin.retrieved(queries, max([k, *(step.depth for step in steps)]))
    else:
        pool = candidates_of(queries, collection.corpus, part.candidates)
        found = replace(pool, scores=begin.scored(queries, pool))
        received = rerank(pool, found.scores, pool.depth)
    return Inspection(stage.label, begin, steps, collection, split, queries, received, found)
