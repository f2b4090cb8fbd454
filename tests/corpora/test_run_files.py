from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.corpora.rankings import Rankings
from mteb_cascade.corpora.run_files import prediction_file, read, write
from mteb_cascade.errors import InputError
from mteb_cascade.values.run import Run

IDS = ("d2", "d10", "é", "𝒶", "a", "ﬁ")
CORPUS = Corpus.of(IDS, ["text"] * len(IDS))
ENDINGS = ("trec", "run", "trec.gz", "parquet", "json")
Q = Queries(("q",), ("text",))


def pairs(rankings: Rankings) -> dict[str, dict[str, float]]:
    """All that a file holds, as dictionaries."""
    found: dict[str, dict[str, float]] = {}
    for query, document, score in zip(rankings.queries, rankings.documents, rankings.scores, strict=True):
        of_query = found.setdefault(rankings.query_ids[int(query)].as_py(), {})
        of_query[rankings.document_ids[int(document)].as_py()] = float(score)
    return found


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
    asked = Queries(queries, queries)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # only a JSON keeps a query that found nothing
        again = read(path).run(asked, CORPUS)
    np.testing.assert_array_equal(again.docs, run.docs)
    np.testing.assert_array_equal(again.scores.view(np.int32), run.scores.view(np.int32))
    assert [one.name for one in path.parent.glob(".drawn*")] == []


def test_the_forms_are_those_of_trec_and_mteb(tmp_path: Path) -> None:
    run = Run.ranked(("q", "p"), CORPUS, np.array([[4, 0], [-1, -1]], np.int32), np.array([[0.1, 2.0], [0, 0]]))
    write(run, tmp_path / "run.trec", name="mine")
    assert (tmp_path / "run.trec").read_text() == "q Q0 d2 1 2 mine\nq Q0 a 2 0.1 mine\n"
    write(run, tmp_path / "run.json", name="mine", subset="en", split="dev")
    assert json.loads((tmp_path / "run.json").read_text()) == {
        "mteb_model_meta": {"model_name": "mine", "revision": None},
        "en": {"dev": {"q": {"d2": 2.0, "a": float(np.float32(0.1))}, "p": {}}},
    }


def test_ranks_in_the_file_count_for_nothing_scores_and_ids_do(tmp_path: Path) -> None:
    path = tmp_path / "theirs.trec"
    path.write_text("q\tQ0\td2\t1\t1.0\tx\n\nq Q0 d10 2 1.0\nq Q0 a 3 3e0 two words\n")
    assert read(path).run(Q, CORPUS).ids(0) == ["a", "d2", "d10"]


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
    assert pairs(read(tmp_path / "two.json", "en", "dev")) == {"q": {"a": 2.0}}
    assert pairs(read(tmp_path / "two.json", "de")) == {}
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
    for scores, message in [
        (["1", "high"], "column score: expected a number in each row: .*high"),
        ([[1.0], [2.0]], "column score: expected a number in each row: "),
        ([1.0, float("nan")], "row 2: the score of query 'q' and document 'b' is no number"),
    ]:
        pq.write_table(pa.table({"query_id": ["q", "q"], "document_id": ["a", "b"], "score": scores}), path)
        with pytest.raises(InputError, match=f"bad.parquet: {message}"):
            read(path)
    table = {"query_id": ["q", "p", "q", "p"], "document_id": ["a", "a", "b", "a"], "score": [1.0, 2.0, 3.0, 4.0]}
    pq.write_table(pa.table(table), path)
    with pytest.raises(InputError, match=r"bad.parquet: row 4: document 'a' of query 'p' stands there twice"):
        read(path)


def test_a_parquet_file_of_others_is_read_whatever_its_types_order_and_parts(tmp_path: Path) -> None:
    path = tmp_path / "theirs.parquet"
    corpus = Corpus.of(["7", "10", "9"], ["text"] * 3)
    table = pa.table(
        {
            "rank": [1, 1, 2, 3],
            "score": pa.array([3, 1, 2, 16_777_217], pa.int64()),
            "document_id": pa.array([7, 9, 10, 9], pa.int32()),
            "query_id": pa.array(["p", "q", "q", "p"]).dictionary_encode(),
        }
    )
    pq.write_table(table, path, row_group_size=1)
    run = read(path).run(Queries(("q", "p"), ("", "")), corpus)
    assert run.as_dict() == {"q": {"10": 2.0, "9": 1.0}, "p": {"9": 16_777_216.0, "7": 3.0}}
    pq.write_table(table.slice(0, 0), path)
    with pytest.warns(UserWarning, match="1 of 1 queries are not in it, such as 'q'"):
        assert read(path).run(Q, corpus).as_dict() == {"q": {}}


def test_a_query_that_is_asked_twice_is_answered_twice(tmp_path: Path) -> None:
    (tmp_path / "run.trec").write_text("p Q0 a 1 1 x\nq Q0 d2 1 5 x\np Q0 d2 2 0.5 x\n")
    run = read(tmp_path / "run.trec").run(Queries(("p", "q", "p"), ("", "", "")), CORPUS)
    assert [run.ids(row) for row in range(3)] == [["a", "d2"], ["d2"], ["a", "d2"]]


def test_queries_that_a_file_does_not_have_are_counted(tmp_path: Path) -> None:
    (tmp_path / "run.trec").write_text("q Q0 a 1 1 x\n")
    queries = Queries(("x", "q", "y"), ("", "", ""))
    with pytest.warns(UserWarning, match=r"run.trec: 2 of 3 queries are not in it, such as 'x'$") as warned:
        read(tmp_path / "run.trec").run(queries, CORPUS)
    assert len(warned) == 1
    (tmp_path / "run.json").write_text(
        '{"mteb_model_meta": {}, "default": {"test": {"q": {"a": 1}, "x": {}, "y": {}}}}'
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(tmp_path / "run.json").run(queries, CORPUS).lengths.tolist() == [0, 1, 0]


def test_the_task_chooses_its_file_in_a_prediction_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no predictions of task 'One'. It has: none."):
        prediction_file(tmp_path, "One")
    (tmp_path / "One_predictions.json").touch()
    (tmp_path / "results.json").touch()
    assert prediction_file(tmp_path, "One") == prediction_file(tmp_path, None) == tmp_path / "One_predictions.json"
    (tmp_path / "Other_predictions.json").touch()
    with pytest.raises(InputError, match=r"predictions of task 'Oen'. It has: One, Other. Did you mean 'One'?"):
        prediction_file(tmp_path, "Oen")
    with pytest.raises(InputError, match=r"predictions of one task only: name its file. It has: One, Other."):
        prediction_file(tmp_path, None)


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
        assert pairs(read(tmp_path / f"run.{ending}")) == {"q": {"a b": 1.0}}
