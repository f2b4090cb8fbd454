from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.corpora.run_files import read, write
from mteb_cascade.errors import InputError
from mteb_cascade.values.run import Run

IDS = ("d2", "d10", "é", "𝒶", "a", "ﬁ")
CORPUS = Corpus.of(IDS, ["text"] * len(IDS))
ENDINGS = ("trec", "run", "parquet", "json")


@settings(max_examples=60)
@given(st.data())
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_round_trip_keeps_every_bit(
    ending: str, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    queries = ("q1", "ü", "q3")
    scores = st.floats(width=32, allow_nan=False, allow_infinity=False)
    lists = [data.draw(st.dictionaries(st.integers(0, len(IDS) - 1), scores)) for _ in queries]
    width = max(map(len, lists))
    docs = np.full((3, width), -1, np.int32)
    values = np.full((3, width), -np.inf, np.float32)
    for row, drawn in enumerate(lists):
        docs[row, : len(drawn)] = list(drawn)
        values[row, : len(drawn)] = list(drawn.values())
    run = Run.ranked(queries, CORPUS, docs, values)
    path = tmp_path_factory.getbasetemp() / f"drawn.{ending}"
    write(run, path, name="org/model")
    again = read(path).run(queries, CORPUS)
    np.testing.assert_array_equal(again.docs, run.docs)
    np.testing.assert_array_equal(again.scores.view(np.int32), run.scores.view(np.int32))
    assert [one.name for one in path.parent.glob(".drawn*")] == []


def test_the_forms_are_those_of_trec_and_mteb(tmp_path: Path) -> None:
    run = Run.ranked(("q", "p"), CORPUS, np.array([[4, 0], [-1, -1]], np.int32), np.array([[0.1, 2.0], [0, 0]]))
    write(run, tmp_path / "run.trec", name="mine")
    assert (tmp_path / "run.trec").read_text() == "q Q0 d2 1 2 mine\nq Q0 a 2 0.100000001 mine\n"
    write(run, tmp_path / "run.json", name="mine", subset="en", split="dev")
    assert json.loads((tmp_path / "run.json").read_text()) == {
        "mteb_model_meta": {"model_name": "mine", "revision": None},
        "en": {"dev": {"q": {"d2": 2.0, "a": float(np.float32(0.1))}, "p": {}}},
    }


def test_ranks_in_the_file_count_for_nothing_scores_and_ids_do(tmp_path: Path) -> None:
    path = tmp_path / "theirs.trec"
    path.write_text("q\tQ0\td2\t1\t1.0\tx\n\nq Q0 d10 2 1.0\nq Q0 a 3 3e0 two words\n")
    assert read(path).run(("q",), CORPUS).ids(0) == ["a", "d2", "d10"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q Q0 a 1 1 x\nq Q0 b\n", "line 2: expected 'query Q0 document rank score tag', got 'q Q0 b'"),
        ("q Q0 a 1 one x\n", "line 1: expected 'query Q0"),
        ("q Q0 a 1 1 x\n\nq Q0 a 2 0.5 x\n", "line 3: document 'a' of query 'q' stands there twice"),
        ("q Q0 a 1 nan x\n", "line 1: the score of query 'q' and document 'a' is no number"),
    ],
)
def test_a_malformed_line_of_a_trec_run_is_named(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "bad.trec").write_text(content)
    with pytest.raises(InputError, match=f"bad.trec: {message}"):
        read(tmp_path / "bad.trec")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[]", "expected mteb's prediction file"),
        ({"default": {"test": {}}}, "expected mteb's prediction file"),
        ({"mteb_model_meta": {}, "default": []}, "subset 'default': expected an object"),
        ({"mteb_model_meta": {}, "default": {"test": {"q": ["a"]}}}, "query 'q': expected {document: score}"),
        ({"mteb_model_meta": {}, "default": {"test": {"q": {"a": "1"}}}}, "query 'q': expected {document: score}"),
        ({"mteb_model_meta": {}, "default": {"test": {"q": {"a": float("nan")}}}}, "document 'a' is no number"),
        ({"mteb_model_meta": {}, "en": {}, "de": {}}, "holds several of them; say which subset. Known: de, en"),
    ],
)
def test_a_malformed_prediction_file_is_named(tmp_path: Path, content: object, message: str) -> None:
    (tmp_path / "bad.json").write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(InputError, match=f"bad.json: .*{message}"):
        read(tmp_path / "bad.json")


def test_subset_and_split_of_a_prediction_file(tmp_path: Path) -> None:
    content = {"mteb_model_meta": {}, "en": {"test": {"q": {"a": 1}}, "dev": {"q": {"a": 2}}}, "de": {"test": {}}}
    (tmp_path / "two.json").write_text(json.dumps(content))
    assert read(tmp_path / "two.json", "en", "dev").scores == {"q": {"a": 2.0}}
    assert read(tmp_path / "two.json", "de").scores == {}
    with pytest.raises(InputError, match=r"split 'tset' is not in it. Known: dev, test. Did you mean 'test'?"):
        read(tmp_path / "two.json", "en", "tset")


def test_a_bad_parquet_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.parquet"
    path.write_text("no parquet")
    with pytest.raises(InputError, match=r"bad.parquet: is not a readable Parquet file"):
        read(path)
    pq.write_table(pa.table({"query_id": ["q"], "score": [1.0]}), path)
    with pytest.raises(
        InputError, match=r"bad.parquet: has no column document_id; expected query_id, document_id, score"
    ):
        read(path)
    pq.write_table(pa.table({"query_id": ["q", "q"], "document_id": ["a", "b"], "score": [1.0, None]}), path)
    with pytest.raises(InputError, match=r"bad.parquet: row 2: expected a number as score, got None"):
        read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone.trec: there is no such run file"):
        read(tmp_path / "gone.trec")


def test_an_id_with_a_space_does_not_make_a_broken_file(tmp_path: Path) -> None:
    corpus = Corpus.of(["a b"], ["text"])
    run = Run.ranked(("q",), corpus, np.zeros((1, 1), np.int32), np.ones((1, 1)))
    with pytest.raises(InputError, match=r"run.trec: a TREC run cannot hold the id 'a b'; write a .parquet or a .json"):
        write(run, tmp_path / "run.trec")
    assert list(tmp_path.iterdir()) == []
    for ending in ("parquet", "json"):
        write(run, tmp_path / f"run.{ending}")
        assert read(tmp_path / f"run.{ending}").scores == {"q": {"a b": 1.0}}
