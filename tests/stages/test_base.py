from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from datasets import Dataset
from table_stage import Table

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.evaluate import evaluate_stage
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.hybrid import Hybrid
from mteb_cascade.values.run import Run

CORPUS = Corpus.of(["a", "b", "c"], ["red fox", "blue whale", "red whale"])
QUERIES = Queries(("q", "p"), ("red fox", "green tree"))


@dataclass(kw_only=True, eq=False)
class Broken(Stage):
    kind: ClassVar[str] = "broken"

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        scores = np.ones(candidates.docs.shape, np.float32)
        scores[candidates.corpus.rows(["b"])[0] == candidates.docs] = np.nan
        return scores


def test_what_cannot_be_scored_is_not_retrieved() -> None:
    stage = Table(scores={"red fox": {"red whale": -3.0}})
    stage.index(CORPUS)
    assert stage.search(QUERIES, top_k=5) == {"q": {"c": -3.0}, "p": {}}


def test_candidates_that_cannot_be_scored_stand_below_the_scored_ones_in_old_order() -> None:
    stage = Table(scores={"red fox": {"red whale": -3.0}})
    candidates = Run.ranked(["q"], CORPUS, np.array([[0, 1, 2]], np.int32), np.array([[9.0, 8.0, 7.0]]))
    ranked = stage.rank(QUERIES.rows([0]), candidates)
    assert ranked.ids(0) == ["c", "a", "b"]
    assert ranked.scores[0, 0] == -3.0
    assert (np.diff(ranked.scores[0]) < 0).all()


def test_top_ranked_is_searched_instead_of_the_corpus() -> None:
    stage = Table(scores={"red fox": {"red fox": 1.0, "blue whale": 2.0, "red whale": 3.0}})
    stage.index(
        Dataset.from_dict(
            {"id": ["a", "b", "c"], "title": ["red", "", ""], "text": ["fox", *CORPUS.texts.to_pylist()[1:]]}
        )
    )
    queries = Dataset.from_dict({"id": ["q", "p"], "text": list(QUERIES.texts)})
    assert stage.search(queries, top_k=2, top_ranked={"q": ["a", "b", "a"]}) == {"q": {"b": 2.0, "a": 1.0}, "p": {}}
    assert stage.search(queries, top_k=1, top_ranked={"q": ["a", "b"]}) == {"q": {"b": 2.0}, "p": {}}
    with pytest.raises(InputError, match="candidate 'gone' of query 'q' is not in the corpus"):
        stage.search(queries, top_k=2, top_ranked={"q": ["a", "gone"]})


def test_too_many_pairs_are_refused_and_can_be_allowed() -> None:
    stage = Table(scores={"red fox": {"red fox": 1.0}}, pair_limit=5, name="mine/table")
    stage.index(CORPUS)
    with pytest.raises(
        InputError, match=r"mine/table .* 2 queries x 3 documents = 6 pairs, over the limit of 5\. .* pair_limit = 6"
    ):
        stage.retrieve(QUERIES, 1)
    stage.pair_limit = 6
    assert stage.retrieve(QUERIES, 1).as_dict() == {"q": {"a": 1.0}, "p": {}}


def test_retrieving_without_a_corpus_says_what_to_call() -> None:
    with pytest.raises(InputError, match="bm25 has no corpus yet: call index"):
        BM25().retrieve(QUERIES, 1)


@pytest.mark.parametrize(
    "stage",
    [
        Broken(name="local/broken"),
        Cascade(BM25(), Step(Broken(), 3), name="local/broken"),
        Hybrid(BM25(), Broken(), name="local/broken"),
        Cascade(Hybrid(BM25(), BM25(k1=0.9)), Step(Hybrid(BM25(), Broken()), 3, 0.5), name="local/broken"),
    ],
    ids=["alone", "in a cascade", "in a hybrid", "in a hybrid in a cascade"],
)
def test_nan_names_the_pair_wherever_it_arises(stage: Stage) -> None:
    stage.index(CORPUS)
    with pytest.raises(ValueError, match="query 'w' and document 'b' is NaN"):
        stage.retrieve(Queries(("q", "w"), ("fox", "whale")), 3) if stage.kind == "cascade" else stage.retrieve(
            Queries(("w",), ("whale",)), 3
        )


def test_nan_reaches_the_user_as_one_line_that_names_the_stage(tiny_collection) -> None:
    with pytest.raises(InputError, match=r"^local/broken: the score of query 'q1' and document 'b' is NaN"):
        evaluate_stage(Broken(name="local/broken"), tiny_collection, "test")


def test_pair_limit_is_named_once(tiny_collection) -> None:
    with pytest.raises(InputError, match=r"^local/broken would have to score the whole corpus"):
        evaluate_stage(Broken(name="local/broken", pair_limit=1), tiny_collection, "test")


def test_a_registered_meta_does_not_change_the_revision() -> None:
    stage = BM25(name="mine/bm25")
    meta = stage.mteb_model_meta
    assert meta.name == "mine/bm25"
    assert meta.revision == stage.fingerprint
    assert meta.loader_kwargs["pipeline"]["k1"] == 1.5
    stage.mteb_model_meta = meta.model_copy(update={"revision": "stale"})
    assert stage.mteb_model_meta.revision == stage.fingerprint
