from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mteb_cascade.corpora import beir, documents
from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.corpora.documents import documents_of
from mteb_cascade.errors import InputError

ROWS = [("d1", "Foxes", "are red"), ("d2", "", "whales  "), ("3", "Trees", "")]
READ = [("d1", "Foxes are red"), ("d2", "whales"), ("3", "Trees")]


def as_jsonl(rows=ROWS) -> bytes:
    return "".join(json.dumps({"_id": i, "title": t, "text": x}) + "\n" for i, t, x in rows).encode()


def as_tsv(rows=ROWS) -> bytes:
    return ("id\ttitle\ttext\n" + "".join("\t".join(row) + "\n" for row in rows)).encode()


def pairs(source: documents.Documents, rows: int) -> list[list[tuple[str, str]]]:
    tables = list(source.tables(rows))
    assert all(table.schema.types == [pa.large_string()] * 2 for table in tables)
    return [list(zip(table["id"].to_pylist(), table["text"].to_pylist(), strict=True)) for table in tables]


def written(folder: Path, form: str) -> Path:
    if form == "parquet":
        path = folder / "small.parquet"
        ids, titles, texts = zip(*ROWS, strict=True)
        titles = [title or None for title in titles]
        pq.write_table(pa.table({"_id": ids, "other": [1, 2, 3], "title": titles, "text": texts}), path)
        return path
    data, name = {
        "jsonl": (as_jsonl(), "small.jsonl"),
        "jsonl.gz": (gzip.compress(as_jsonl()), "small.jsonl.gz"),
        "tsv": (as_tsv(), "small.tsv"),
        "tsv.gz": (gzip.compress(as_tsv()), "small.tsv.gz"),
        "folder": (as_jsonl(), "small/corpus.jsonl"),
        "packed folder": (gzip.compress(as_jsonl()), "small/corpus.jsonl.gz"),
    }[form]
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path.parent if "folder" in form else path


@pytest.mark.parametrize("form", ["jsonl", "jsonl.gz", "tsv", "tsv.gz", "parquet", "folder", "packed folder"])
def test_every_form_reads_alike_and_as_often_as_asked(tmp_path: Path, form: str) -> None:
    source = documents_of(written(tmp_path, form))
    assert source.name == "small"
    checked = source.checked()
    assert (checked.documents, checked.skipped) == (3, 0)
    for _ in range(2):
        assert pairs(source, 2) == [READ[:2], READ[2:]]
    assert pairs(source, 3) == [READ]


def test_texts_are_those_that_evaluation_reads(shared_data: Path) -> None:
    folder = shared_data / "nfcorpus"
    corpus = beir.load(folder).corpus
    tables = list(documents_of(folder).tables(1_000))
    assert [len(table) for table in tables] == [1_000, 1_000, 1_000, 633]
    whole = pa.concat_tables(tables)
    assert whole["id"].to_pylist() == corpus.ids.to_pylist()
    assert whole["text"].to_pylist() == corpus.texts.to_pylist()


def test_a_corpus_is_a_source() -> None:
    corpus = Corpus.of(["a", "b", "c"], ["red", "", "blue"])
    source = documents_of(corpus)
    assert source.checked().documents == 3
    assert pairs(source, 2) == [[("a", "red"), ("b", "")], [("c", "blue")]]
    with pytest.raises(InputError, match="the corpus is empty; expected at least one document"):
        documents_of(Corpus.of([], [])).checked()


def test_a_tsv_without_a_header_has_ids_and_texts(tmp_path: Path) -> None:
    path = tmp_path / "collection.tsv"
    path.write_text("0\tred fox\n1\tblue whale\n\n2\tone\ttoo many\n")
    with pytest.raises(InputError, match=r"line 4: expected id <TAB> text, got 3 columns; with titles a first line"):
        documents_of(path).checked()
    assert pairs(documents_of(path, skip_bad=True), 9) == [[("0", "red fox"), ("1", "blue whale")]]


BAD = {
    '{"_id": "x", "text": ': "line 2: is not valid JSON",
    "[" * 100_000: "line 2: is not valid JSON",
    '{"_id": "x", "text": "caf\udce9"}': "line 2: is no UTF-8 .byte 0xe9.; mend or remove the line",
    '{"_id": null, "text": "y"}': "line 2: expected an object with '_id' and a string 'text'",
    '{"_id": "x"}': "line 2: expected an object with '_id' and a string 'text'",
    '{"_id": "x", "text": " "}': "line 2: 'x' has neither title nor text; .*--allow-empty",
    '{"_id": "x", "text": "\\ud800"}': "line 2: holds half of a surrogate pair",
}


@pytest.mark.parametrize("line", BAD)
def test_a_bad_line_is_named_or_counted(tmp_path: Path, line: str) -> None:
    path = tmp_path / "small.jsonl"
    path.write_bytes(as_jsonl(ROWS[:1]) + line.encode(errors="surrogateescape") + b"\n" + as_jsonl(ROWS[1:2]))
    with pytest.raises(InputError, match=rf"small.jsonl: {BAD[line]}"):
        documents_of(path).checked()
    with pytest.raises(InputError, match=BAD[line]):
        list(documents_of(path).tables(1))
    skipping = documents_of(path, skip_bad=True)
    checked = skipping.checked()
    assert (checked.documents, checked.skipped) == (2, 1)
    assert "line 2" in checked.examples[0]
    assert pairs(skipping, 9) == [READ[:2]]


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    for form in ("jsonl", "tsv"):
        path = written(tmp_path, form)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
        assert pairs(documents_of(path), 9) == [READ]


def test_a_tsv_line_that_is_no_utf8_is_named_or_counted(tmp_path: Path) -> None:
    path = tmp_path / "small.tsv"
    path.write_bytes(b"a\tred\nb\tcaf\xe9\nc\tblue\n")
    with pytest.raises(InputError, match=r"small.tsv: line 2: is no UTF-8"):
        documents_of(path).checked()
    assert pairs(documents_of(path, skip_bad=True), 9) == [[("a", "red"), ("c", "blue")]]


def test_all_mistakes_are_told_together_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "small.jsonl"
    path.write_bytes(as_jsonl(ROWS) + b"x\n" * 4 + as_jsonl(ROWS[:2]) + b"x\n")
    with pytest.raises(InputError) as raised:
        documents_of(path).checked()
    lines = str(raised.value).splitlines()
    assert [line.split(": ")[1] for line in lines[:5]] == [f"line {number}" for number in (4, 5, 6, 7, 8)]
    assert "id 'd1' stands on line 1 already; ids must be unique" in lines[4]
    assert lines[5].endswith("and 2 more")


def test_an_id_that_stands_twice_is_an_error_even_where_bad_lines_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "small.jsonl"
    path.write_bytes(b"x\n" + as_jsonl([*ROWS, ROWS[1]]))
    with pytest.raises(InputError) as raised:
        documents_of(path, skip_bad=True).checked()
    assert str(raised.value).endswith("small.jsonl: line 5: id 'd2' stands on line 3 already; ids must be unique")


def test_hashes_that_agree_by_chance_are_no_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "hash_of", len)
    path = tmp_path / "small.jsonl"
    path.write_bytes(as_jsonl(ROWS))
    assert documents_of(path).checked().documents == 3


def test_nothing_to_index_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "small.jsonl"
    path.write_text("\n")
    with pytest.raises(InputError, match=r"small.jsonl: the corpus is empty; expected at least one document"):
        documents_of(path).checked()
    path.write_text("x\n")
    with pytest.raises(InputError, match="the corpus is empty, and 1 bad lines were skipped"):
        documents_of(path, skip_bad=True).checked()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("./gone", "gone: there is no such file or folder; expected a BEIR folder, a file of .jsonl, .tsv, .parquet"),
        ("gone.tsv", "gone.tsv: there is no such file or folder"),
        ("here.csv", "here.csv: is of no known format; expected a BEIR folder, or a file that ends in .jsonl"),
        ("here.parquet.gz", "is of no known format"),
        ("folder", "corpus.jsonl: is missing; a BEIR folder holds"),
        ("here.parquet", "here.parquet: cannot be read beyond row 0: .*mend or fetch the file again"),
    ],
)
def test_what_is_no_source_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("here.csv", "here.parquet.gz", "here.parquet"):
        (tmp_path / name).write_text("x")
    with pytest.raises(InputError, match=message):
        documents_of(given).checked()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"id": ["a"], "body": ["x"]}, "has the columns id, body; expected '_id' or 'id', 'text'"),
        ({"id": ["a"], "text": [1]}, "column 'text' is of type int64; expected strings"),
        ({"id": [1.5], "text": ["x"]}, "column 'id' is of type double"),
        ({"id": ["a", None], "text": ["x", "y"]}, "line 2: expected a value in 'id', got null"),
        ({"id": [1], "text": pa.array([None], pa.string())}, "line 1: expected a value in 'text', got null"),
    ],
)
def test_a_parquet_file_that_holds_something_else(tmp_path: Path, table: dict[str, object], message: str) -> None:
    path = tmp_path / "small.parquet"
    pq.write_table(pa.table(table), path)
    with pytest.raises(InputError, match=message):
        documents_of(path).checked()


def test_whole_numbers_are_ids_in_parquet(tmp_path: Path) -> None:
    path = tmp_path / "small.parquet"
    pq.write_table(pa.table({"id": [7, 8], "text": pa.array(["x", "y"]).dictionary_encode()}), path)
    assert pairs(documents_of(path), 5) == [[("7", "x"), ("8", "y")]]
