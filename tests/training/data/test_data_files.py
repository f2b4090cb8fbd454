from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.experiments.score_export import write as export
from mteb_cascade.training.data.training_data import TrainingData, load_training
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.options import Training


def load(path: Path, **options: Any) -> TrainingData:
    return load_training(Training(base="b", loss="contrastive", data=str(path), **options), "models/mine.toml")


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def read(lists: Lists) -> dict[str, list[tuple[str, float, bool]]]:
    """{query: [(document, label, relevant)]}."""
    found = {}
    for row, text in enumerate(lists.queries.texts):
        real = lists.real[row]
        documents = lists.corpus.texts_at(lists.docs[row][real])
        labels, relevant = lists.labels[row][real].tolist(), lists.relevant[row][real].tolist()
        found[text] = list(zip(documents, labels, relevant, strict=True))
    return found


TRIPLETS = {
    "where": [("den", 1.0, True), ("nest", 1.0, True), ("sea", 0.0, False), ("sky", 0.0, False)],
    "who": [("sea", 1.0, True), ("den", 0.0, False)],
}


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("t.tsv", ["where\tden\tsea", "who\tsea\tden", "where\tnest\tsky"]),
        ("t.tsv", ["Query\tpositive\tnegative", "where\t den \tsea", "where \tnest\tsky", "", "who\tsea\tden"]),
        (
            "t.jsonl",
            [
                {"query": "where", "pos": ["den", "nest"], "neg": ["sea", "sky"]},
                {"query": "who", "pos": "sea", "neg": "den", "source": "mine", "pos_scores": [], "neg_scores": None},
            ],
        ),
        (
            "t.jsonl",
            [
                {"anchor": "where", "positive": "den", "negative_1": "sea", "negative_2": "sky"},
                {"anchor": "where", "positive": "nest"},
                {"anchor": "who", "positive": "sea", "negative": "den"},
            ],
        ),
    ],
    ids=["tsv", "tsv with header", "pos and neg", "anchors"],
)
def test_triplets_of_every_shape_are_one_list_a_query(tmp_path: Path, name: str, rows: list[Any]) -> None:
    data = load(written(tmp_path / name, *rows))
    assert read(data.lists) == TRIPLETS
    assert not data.lists.scored
    assert sorted(data.corpus.texts.to_pylist()) == ["den", "nest", "sea", "sky"]
    assert data.held_out is None
    assert data.lists.corpus is data.corpus


def test_a_document_that_answers_anywhere_is_no_negative(tmp_path: Path) -> None:
    data = load(written(tmp_path / "t.tsv", "where\tden\tnest", "where\tnest\tsky"))
    assert read(data.lists)["where"] == [("den", 1, True), ("nest", 1, True), ("sky", 0, False)]


def test_a_packed_file_reads_as_the_plain_one(tmp_path: Path) -> None:
    plain = written(tmp_path / "t.tsv", "where\tden\tsea")
    packed = tmp_path / "t.tsv.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert load(packed).digest == load(plain).digest


def test_scores_are_labels_and_order_each_half(tmp_path: Path) -> None:
    row = {"query": "q", "pos": ["a", "b"], "neg": ["c", "d"], "pos_scores": [1, 2.5], "neg_scores": [-4, 7]}
    lists = load(written(tmp_path / "t.jsonl", row)).lists
    assert lists.scored
    assert read(lists) == {"q": [("b", 2.5, True), ("a", 1.0, True), ("d", 7.0, False), ("c", -4.0, False)]}


def test_an_export_of_scores_is_read_back(tmp_path: Path) -> None:
    queries = Queries(("q7", "q8"), ("where", "who"))
    corpus = Corpus.of(["x", "y", "z"], ["den", "nest", "sea"])
    pairs = np.array([1, 0, 0]), np.array([2, 0, 1]), np.array([3.0, -1.0, 0.5], np.float32)
    export(tmp_path / "s.parquet", corpus, [(queries, *pairs), (Queries(("q9",), ("why",)), *one_pair(0, 4.0))])
    lists = load(tmp_path / "s.parquet").lists
    # A single score teaches nothing: only the order of two does.
    assert read(lists) == {"where": [("nest", 0.5, False), ("den", -1.0, False)]}
    assert lists.scored
    assert lists.queries.ids == ("q7",)
    assert set(lists.corpus.ids_at(lists.docs[0])) == {"x", "y"}


def one_pair(doc: int, score: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.array([0]), np.array([doc]), np.array([score], np.float32)


def test_an_export_names_no_answers_so_none_is_held_out(tmp_path: Path) -> None:
    corpus = Corpus.of(["x", "y"], ["den", "nest"])
    pairs = np.array([0, 0]), np.array([0, 1]), np.array([1.0, 2.0], np.float32)
    export(tmp_path / "s.parquet", corpus, [(Queries(("q",), ("where",)), *pairs)])
    with pytest.raises(InputError, match="does not say which documents are relevant"):
        load(tmp_path / "s.parquet", held_out=1)


def test_held_out_queries_are_drawn_whatever_the_order_of_the_file(tmp_path: Path) -> None:
    rows = [f"question {row} {'abcdefghij'[row]}\tanswer {row}\tanswer {row + 1}" for row in range(10)]
    made = [
        load(written(tmp_path / f"{n}.tsv", *order), held_out=3, seed=1) for n, order in enumerate((rows, rows[::-1]))
    ]
    for data in made:
        assert data.held_out is not None
        assert (len(data.lists), data.leaks) == (7, ())
        assert set(data.held_out.queries.texts).isdisjoint(data.lists.queries.texts)
        query = data.held_out.queries.ids[0]
        (document,) = data.held_out.qrels.of(query)
        text = data.held_out.queries.texts[0]
        assert data.corpus.texts_at(data.corpus.rows([document])) == [f"answer {text.split()[1]}"]
    assert set(made[0].held_out.queries.texts) == set(made[1].held_out.queries.texts)
    with pytest.raises(InputError, match="held_out: 10 of the 10 queries"):
        load(tmp_path / "0.tsv", held_out=10)


def test_what_cannot_be_learned_from_is_left_out_and_counted(tmp_path: Path) -> None:
    path = written(tmp_path / "t.tsv", " \tden\tsea", "who\t\tsea", "where\tden\t", "why\tsea\tsky")
    data = load(path)
    assert read(data.lists) == {"where": [("den", 1, True)], "why": [("sea", 1, True), ("sky", 0, False)]}
    assert [note.removeprefix("t.tsv: ") for note in data.notes] == [
        "2 training queries, 4 documents",
        "1 training queries without text are left out",
        "1 training queries without a document that answers them are left out",
        "2 documents without text are left out of their lists",
        "names no test queries: repeats of those are not found",
    ]


def test_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^models/mine\.toml: \[training\] t\.tsv: nothing can be learned from its 1"):
        load(written(tmp_path / "t.tsv", " \tden\tsea"))
    scored = {"query": "q", "pos": "a", "neg": "b", "pos_scores": 1, "neg_scores": 1}
    with pytest.raises(InputError, match="1 training queries whose documents all have one score"):
        load(written(tmp_path / "t.jsonl", scored))


GOOD = {"query": "q", "pos": "a", "neg": "b"}


@pytest.mark.parametrize(
    ("name", "rows", "message"),
    [
        ("t.jsonl", [GOOD, "{"], "t.jsonl: line 2: is not valid JSON"),
        ("t.jsonl", [GOOD, "[]"], "line 2: expected an object with query, pos and neg, got list"),
        ("t.jsonl", [{"pos": "a"}], "line 1: expected a text under 'query' or 'anchor', got None"),
        ("t.jsonl", [GOOD, "", {"query": 3, "pos": "a"}], "line 3: expected a text under .*, got 3"),
        ("t.jsonl", [{"query": "q", "neg": "a"}], "line 1: expected a text or several under 'pos' or 'positive'"),
        ("t.jsonl", [{"query": "q", "pos": ["a", 2]}], r"line 1: 'pos': expected a text or several, got \['a', 2\]"),
        ("t.jsonl", [GOOD | {"pos_scores": [1]}], "line 1: expected both pos_scores and neg_scores, or neither"),
        ("t.jsonl", [GOOD | {"pos_scores": [1, 2], "neg_scores": [1]}], "'pos_scores': expected 1 scores, .*, got 2"),
        ("t.jsonl", [GOOD | {"pos_scores": ["x"], "neg_scores": [1]}], "'pos_scores': expected finite numbers"),
        ("t.jsonl", [GOOD | {"pos_scores": [1], "neg_scores": [float("nan")]}], "'neg_scores': expected finite"),
        ("t.jsonl", [GOOD, GOOD | {"pos_scores": [1], "neg_scores": [0]}], "line 2: has scores, unlike the lines"),
        ("t.jsonl", ['{"query": "q", "pos": "\\ud800"}'], "half of a surrogate pair"),
        ("t.jsonl", [], "t.jsonl: is empty"),
        ("t.tsv", ["query\tpos\tneg"], "t.tsv: is empty"),
        ("t.tsv", ["a\tb\tc", "a\tb\tc\td"], "t.tsv: line 2: expected query, positive and negative, .* got 4 columns"),
        ("t.csv", ["a,b"], "t.csv: its ending tells how it is read"),
        ("t.parquet", ["x"], "t.parquet: cannot be read as Parquet"),
    ],
)
def test_a_mistake_is_named_with_file_and_line(tmp_path: Path, name: str, rows: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load(written(tmp_path / name, *rows))
    assert str(caught.value).startswith("models/mine.toml: [training] ")
    assert "\n" not in str(caught.value)


EXPORT = {"query_id": ["q", "q"], "query": ["x", "x"], "document_id": ["a", "b"], "document": ["y", "z"]}


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (EXPORT, "lacks logit; expected query_id, query"),
        (EXPORT | {"logit": [1.0, float("inf")]}, "row 2: 'logit' is no finite number"),
        (EXPORT | {"logit": [1.0, None]}, "row 2: 'logit' is no finite number"),
        (EXPORT | {"logit": ["a", "b"]}, "column 'logit': expected numbers"),
        (EXPORT | {"document_id": ["a", "a"], "logit": [1.0, 2.0]}, "document_id 'a' stands for two texts"),
        (EXPORT | {"document": ["y", None], "logit": [1.0, 2.0]}, "column 'document': expected a text in each row"),
        (EXPORT | {"query_id": [1, 1], "logit": [1.0, 2.0]}, "column 'query_id': expected a text in each row"),
        ({**dict.fromkeys(EXPORT, pa.array([], pa.string())), "logit": pa.array([], pa.float32())}, "is empty"),
    ],
)
def test_a_mistake_in_an_export_is_named(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "s.parquet")
    with pytest.raises(InputError, match=message):
        load(tmp_path / "s.parquet")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.tsv: there is no such file"):
        load(tmp_path / "no.tsv")


def test_the_real_samples_load(shared_data: Path) -> None:
    folder = shared_data / "msmarco-train-sample"
    triplets = load(folder / "triplets.jsonl").lists
    assert (len(triplets), triplets.scored) == (110, False)
    lines = [json.loads(line) for line in (folder / "triplets.jsonl").read_text("utf-8").splitlines()]
    answers = {(line["query"].strip(), line["pos"].strip()) for line in lines}
    negatives = {(line["query"].strip(), line["neg"].strip()) for line in lines} - answers
    found = [(query, text, relevant) for query, several in read(triplets).items() for text, _, relevant in several]
    assert {(query, text) for query, text, relevant in found if relevant} == answers
    assert {(query, text) for query, text, relevant in found if not relevant} == negatives
    scored = load(folder / "flagembedding_msmarco.jsonl").lists
    assert (scored.docs.shape, scored.scored) == ((10, 26), True)
    assert scored.relevant.sum(1).tolist() == [1] * 10
    assert scored.labels[0, 0] == 96.6875
