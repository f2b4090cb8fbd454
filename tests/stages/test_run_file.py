from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from table_stage import Table

from mteb_cascade.corpora.candidate_sets import Provenance
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.run_files import write
from mteb_cascade.errors import InputError
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.stages.run_file import RunFile
from mteb_cascade.values.run import Run

CORPUS = Corpus.of(["a", "b", "c", "d"], ["red fox", "blue whale", "red whale", "green tree"])
QUERIES = Queries(("q", "p"), ("red fox", "blue whale"))

# "p" has no line in most files here, which is warned of; test_run_files.py holds that it is.
pytestmark = pytest.mark.filterwarnings("ignore:.*queries are not in it")


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


def test_a_document_outside_the_corpus_counts_once_however_many_queries_found_it(tmp_path: Path) -> None:
    (tmp_path / "wide.trec").write_text("q Q0 x 1 9 x\nq Q0 a 2 8 x\np Q0 x 1 9 x\np Q0 y 2 8 x\n")
    stage = RunFile(file=str(tmp_path / "wide.trec"))
    stage.index(CORPUS)
    with pytest.warns(UserWarning, match=r"wide.trec: 2 of its documents are not in the corpus and left out, .* 'x'"):
        stage.retrieve(QUERIES, 4)


def test_a_file_for_another_corpus_is_refused_as_first_stage_and_as_step(tmp_path: Path) -> None:
    (tmp_path / "other.trec").write_text("q Q0 x 1 9 x\np Q0 y 2 8 x\n")
    stage = RunFile(file=str(tmp_path / "other.trec"))
    stage.index(CORPUS)
    message = r"other.trec: none of its 2 documents is in the corpus, whose 4 ids are like 'a'; the file's are like 'x'"
    with pytest.raises(InputError, match=message):
        stage.retrieve(QUERIES, 4)
    with pytest.raises(InputError, match=message):
        stage.search(QUERIES, top_k=4, top_ranked={"q": ["a"], "p": ["a"]})
    (tmp_path / "empty.trec").write_text("")
    nothing = RunFile(file=str(tmp_path / "empty.trec"))
    nothing.index(CORPUS)
    assert nothing.search(QUERIES, top_k=4) == {"q": {}, "p": {}}


def test_a_gzipped_run_is_read_and_a_damaged_one_is_named(tmp_path: Path) -> None:
    packed = gzip.compress(b"q Q0 a 1 9 x\n")
    (tmp_path / "run.trec.gz").write_bytes(packed)
    stage = RunFile(file=str(tmp_path / "run.trec.gz"))
    stage.index(CORPUS)
    assert stage.retrieve(QUERIES, 4).as_dict()["q"] == {"a": 9.0}
    for number, content in enumerate((packed[:-9], b"q Q0 a 1 9 x\n", b"\x1f\x8b\x08" + b"\xff" * 20)):
        (tmp_path / f"{number}.gz").write_bytes(content)
        stage = RunFile(file=str(tmp_path / f"{number}.gz"))
        stage.index(CORPUS)
        with pytest.raises(InputError, match=r"\d.gz: is no TREC run, which is text in UTF-8, or that gzipped whole"):
            stage.retrieve(QUERIES, 4)


def test_tables_call_it_by_its_file_or_its_spec(tmp_path: Path) -> None:
    assert RunFile(file="runs/theirs.trec").label == "theirs"
    assert RunFile(file="runs/theirs.trec", name="org/system").label == "org/system"


def test_a_missing_file_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no run file .*gone.trec"):
        RunFile(file=str(tmp_path / "gone.trec")).prepare()


def test_pointwise_only_where_the_user_says_so(tmp_path: Path) -> None:
    assert not RunFile(file="x").pointwise
    assert RunFile(file="x", pointwise=True).pointwise


def candidates_of_bm25(folder: Path, depth: int) -> RunFile:
    """What BM25 retrieves at this depth, read back from a candidate set."""
    first = BM25()
    first.index(CORPUS)
    known = {"stage": first.identified(), "task": "Toy", "split": "test", "versions": {}}
    made = Provenance.of(CORPUS, QUERIES, depth=depth, **known)
    write(first.retrieve(QUERIES, depth), folder / "set.parquet", made=made)
    stage = RunFile(file=str(folder / "set.parquet"))
    stage.index(CORPUS)
    return stage


def test_a_candidate_set_retrieves_what_its_maker_did(tmp_path: Path) -> None:
    first = BM25()
    first.index(CORPUS)
    assert candidates_of_bm25(tmp_path, 3).search(QUERIES, top_k=3) == first.search(QUERIES, top_k=3)


def test_asking_for_more_than_a_candidate_set_holds_is_said(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    stage = candidates_of_bm25(tmp_path, 1)
    first = Table(scores={"red fox": {"red whale": 2.0, "red fox": 1.0}, "blue whale": {}})
    later = Cascade(first, Step(stage, depth=2))
    later.index(CORPUS)
    stage.retrieve(QUERIES, 1)
    assert not recwarn
    message = r"set.parquet: holds the first 1 candidates of a query; 2 were asked for, and what lies deeper is not in"
    for ask in (
        lambda: stage.retrieve(QUERIES, 2),
        lambda: Cascade(stage, Step(first, depth=2)).retrieve(QUERIES, 1),
        lambda: later.retrieve(QUERIES, 1),
    ):
        with pytest.warns(UserWarning, match=message):
            ask()


def test_a_set_that_holds_the_whole_corpus_is_never_too_shallow(
    tmp_path: Path, recwarn: pytest.WarningsRecorder
) -> None:
    candidates_of_bm25(tmp_path, len(CORPUS)).retrieve(QUERIES, 1000)
    assert not recwarn


def test_a_candidate_set_refuses_another_corpus_as_first_stage_and_as_step(tmp_path: Path) -> None:
    stage = candidates_of_bm25(tmp_path, 2)
    other = Corpus.of(["a", "b"], ["red fox", "blue whale"])
    stage.index(other)
    with pytest.raises(InputError, match=r"set.parquet: was made for another corpus: Toy with 4 documents"):
        stage.retrieve(QUERIES, 2)
    cascade = Cascade(BM25(), Step(stage, depth=2))
    cascade.index(other)
    with pytest.raises(InputError, match="was made for another corpus"):
        cascade.retrieve(QUERIES, 2)


def test_a_prediction_folder_answers_by_task_subset_and_split(tmp_path: Path) -> None:
    lists = {"en": {"test": {"q": {"a": 1.0}, "p": {}}, "dev": {"q": {"b": 1.0}}}, "de": {"test": {"q": {"c": 1.0}}}}
    (tmp_path / "One_predictions.json").write_text(json.dumps({"mteb_model_meta": {}, **lists}))
    (tmp_path / "Two_predictions.json").write_text('{"mteb_model_meta": {}, "x": {"y": {"q": {"d": 1}}}}')
    stage = RunFile(file=str(tmp_path))
    stage.index(CORPUS)

    def first(task: str | None, **context: str) -> list[str]:
        return stage.retrieve(QUERIES.within(task=task, **context), 1).ids(0)

    assert first("One", hf_subset="en", hf_split="test") == ["a"]
    assert first("One", hf_subset="en", hf_split="dev") == ["b"]
    assert first("One", hf_subset="de", hf_split="test") == ["c"]
    assert first("Two") == ["d"]
    with pytest.raises(InputError, match=r"holds no predictions of task 'Tow'. It has: One, Two. Did you mean 'Two'?"):
        first("Tow")
    with pytest.raises(InputError, match=r"of one task only: name its file. It has: One, Two"):
        first(None)


def test_every_file_of_a_prediction_folder_is_in_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "One_predictions.json").write_text('{"mteb_model_meta": {}}')
    (tmp_path / "notes.txt").write_text("one")
    stage = RunFile(file=str(tmp_path))
    before = stage.fingerprint
    (tmp_path / "notes.txt").write_text("two")
    assert stage.fingerprint == before
    (tmp_path / "Two_predictions.json").write_text('{"mteb_model_meta": {}}')
    with_two = stage.fingerprint
    (tmp_path / "Two_predictions.json").write_text('{"mteb_model_meta": {"x": 1}}')
    assert len({before, with_two, stage.fingerprint}) == 3


def test_a_folder_without_predictions_is_named_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no <Task>_predictions.json; expected a folder that `mteb run"):
        RunFile(file=str(tmp_path)).prepare()
