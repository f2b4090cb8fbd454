from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from table_stage import Table

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.values.run import Run

CORPUS = Corpus.of(["a", "b", "c", "d"], ["red fox", "blue whale", "red whale", "green tree"])
QUERIES = Queries(("q", "p"), ("red fox", "blue whale"))


@pytest.fixture
def stage(tmp_path: Path) -> RunFile:
    (tmp_path / "other.trec").write_text("q Q0 b 1 2.5 x\nq Q0 d 2 2.5 x\nq Q0 a 3 -1 x\n")
    stage = RunFile(file=str(tmp_path / "other.trec"))
    stage.index(CORPUS)
    return stage


def test_it_retrieves_what_the_file_says_and_breaks_ties_as_everywhere(stage: RunFile) -> None:
    assert stage.search(QUERIES, top_k=2) == {"q": {"d": 2.5, "b": 2.5}, "p": {}}


def test_what_the_file_lacks_stands_below_what_it_has(stage: RunFile) -> None:
    found = stage.search(QUERIES, top_k=4, top_ranked={"q": ["c", "a", "b"], "p": ["c", "a"]})
    assert list(found["q"]) == ["b", "a", "c"]
    assert found["q"]["a"] == -1.0
    assert found["q"]["c"] < -1.0
    assert set(found["p"]) == {"c", "a"}


def test_as_a_step_it_leaves_unscored_candidates_in_old_order(stage: RunFile) -> None:
    first = Table(scores={"red fox": {"red whale": 4.0, "red fox": 3.0, "green tree": 2.0, "blue whale": 1.0}})
    cascade = Cascade(first, Step(stage, depth=3))
    cascade.index(CORPUS)
    run = cascade.retrieve(QUERIES, 4)
    assert run.ids(0) == ["d", "a", "c", "b"]
    assert run.scores[0, :2].tolist() == [2.5, -1.0]


def test_score_is_minus_infinity_where_the_file_has_no_pair(stage: RunFile) -> None:
    docs = np.array([[2, 1, -1], [0, 1, 2]], np.int32)
    scores = stage.score(QUERIES, Run(QUERIES.ids, CORPUS, docs, np.zeros((2, 3), np.float32)))
    assert scores.tolist() == [[-np.inf, 2.5, -np.inf], [-np.inf] * 3]


def test_documents_outside_the_corpus_are_left_out_and_counted(tmp_path: Path) -> None:
    (tmp_path / "wide.trec").write_text("q Q0 x 1 9 x\nq Q0 a 2 8 x\nq Q0 y 3 7 x\n")
    stage = RunFile(file=str(tmp_path / "wide.trec"))
    stage.index(CORPUS)
    with pytest.warns(UserWarning, match=r"wide.trec: 2 of its documents are not in the corpus .* 'x'"):
        assert stage.search(QUERIES, top_k=4) == {"q": {"a": 8.0}, "p": {}}


def test_a_missing_file_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no run file .*gone.trec"):
        RunFile(file=str(tmp_path / "gone.trec")).prepare()


def test_pointwise_only_where_the_user_says_so(tmp_path: Path) -> None:
    assert not RunFile(file="x").pointwise
    assert RunFile(file="x", pointwise=True).pointwise
