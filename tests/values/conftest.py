"""Small cascades drawn at random: heavy ties, grades, pads, unscored candidates, answers outside pool and corpus."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.values.qrels import Qrels
from mteb_cascade.values.run import Run

# Code-point order is not the order of rows, of numbers or of a dictionary.
IDS = ("d2", "d10", "d1", "D3", "é", "z", "𝒶", "ﬁ", "a")
CORPUS = Corpus.of(IDS, ["text"] * len(IDS))
OUTSIDE = ("outside1", "outside2")


@dataclass(frozen=True)
class Case:
    run: Run
    scores: NDArray[np.float32]
    blend: float
    qrels: Qrels


@st.composite
def cases(draw: st.DrawFn, unscored: bool = True) -> Case:
    queries = draw(st.integers(1, 3))
    columns = draw(st.integers(1, len(IDS)))
    docs = np.full((queries, columns), -1, np.int32)
    for row in range(queries):
        found = draw(st.lists(st.sampled_from(range(len(IDS))), max_size=columns, unique=True))
        docs[row, : len(found)] = found
    levels = st.sampled_from([-1.5, -1.0, 0.0, -0.0, 0.1, 1.0, 2.0])
    filled = st.lists(levels, min_size=docs.size, max_size=docs.size)
    query_ids = tuple(f"q{row}" for row in range(queries))
    run = Run.ranked(query_ids, CORPUS, docs, np.reshape(draw(filled), docs.shape))
    scores = np.reshape(draw(filled), docs.shape).astype(np.float32)
    if unscored:
        holes = draw(st.lists(st.sampled_from([False, False, True]), min_size=docs.size, max_size=docs.size))
        scores[np.reshape(holes, docs.shape)] = -np.inf
    grades = st.dictionaries(st.sampled_from(IDS + OUTSIDE), st.integers(0, 3), max_size=6)
    judged = {query: draw(grades) for query in query_ids if draw(st.booleans()) or query == "q0"}
    qrels = Qrels(judged, relevance_level=draw(st.integers(1, 2)))
    return Case(run, scores, draw(st.sampled_from([0.0, 0.5, 1.0, -1.0])), qrels)


@pytest.fixture(scope="session")
def any_case() -> st.SearchStrategy[Case]:
    return cases()
