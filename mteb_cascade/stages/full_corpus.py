"""A reranker over the whole corpus: the last point of a depth sweep."""

from __future__ import annotations

import numpy as np

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.base import Stage
from mteb_cascade.values.run import Run


def ranked_in_full(stage: Stage, queries: Queries, corpus: Corpus, k: int, progress: Progress = silent) -> Run:
    """The k best documents of the whole corpus by a stage's score.

    A stage that searches by itself does; any other scores every pair, through the store.

    Raises:
        InputError: That would be more than the stage's `pair_limit`.
    """
    stage.index(corpus, **queries.context)
    if searches_by_itself(stage):
        return stage.retrieved(queries, k)
    refuse_in_full(stage, queries, corpus)
    docs = np.repeat(np.arange(len(corpus), dtype=np.int32)[None, :], len(queries), axis=0)
    everything = Run(queries.ids, corpus, docs, np.zeros(docs.shape, np.float32))
    return Run.ranked(queries.ids, corpus, docs, stage.scored(queries, everything, progress)).cut(k)


def refuse_in_full(stage: Stage, queries: Queries, corpus: Corpus) -> None:
    """Raise InputError where `ranked_in_full` would: asked before any other work is done."""
    if not searches_by_itself(stage):
        stage.index(corpus, **queries.context)
        stage.refuse_full_corpus(len(queries))


def searches_by_itself(stage: Stage) -> bool:
    """Whether it finds documents without scoring every pair."""
    return type(stage).retrieve is not Stage.retrieve
