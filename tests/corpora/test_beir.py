from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from mteb_cascade.corpora import beir
from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.errors import InputError

QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq2\td2\t1\nq2\td1\t0\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole and healthy BEIR folder."""
    folder = tmp_path / "small"
    (folder / "qrels").mkdir(parents=True)
    documents = [
        {"_id": "d1", "title": "Foxes", "text": "are red"},
        {"_id": "d2", "title": "", "text": "whales  "},
        {"_id": 3, "text": "trees"},
    ]
    queries = [{"_id": f"q{row}", "text": text} for row, text in enumerate(["unjudged", "fox", "whale"])]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in documents))
    (folder / "queries.jsonl").write_text("\n".join(json.dumps(row) for row in queries))
    (folder / "qrels" / "test.tsv").write_text(QRELS)
    return folder


def replace_line(path: Path, number: int, line: str) -> None:
    lines = path.read_text().splitlines()
    lines[number - 1 : number] = [line]
    path.write_text("\n".join(lines) + "\n")


def test_a_healthy_folder(folder: Path) -> None:
    (folder / "qrels" / "dev.tsv").write_text("query-id\tcorpus-id\tscore\nq0\t3\t1\n")
    collection = beir.load(folder, relevance_level=2)
    assert collection.name == "small"
    assert collection.corpus.ids.to_pylist() == ["d1", "d2", "3"]
    assert collection.corpus.texts.to_pylist() == ["Foxes are red", "whales", "trees"]
    assert sorted(collection.splits) == ["dev", "test"]
    split = collection.split("test")
    assert split.queries.ids == ("q1", "q2")
    assert split.queries.texts == ("fox", "whale")
    assert split.qrels.grades == {"q1": {"d1": 2}, "q2": {"d2": 1, "d1": 0}}
    assert split.qrels.relevance_level == 2
    assert split.judged().queries.ids == ("q1",)
    assert collection.at_level(1).split("test").judged().queries.ids == ("q1", "q2")
    assert collection.revision == collection.corpus.digest


def test_packed_files_are_read_alike(folder: Path) -> None:
    plain = beir.load(folder)
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    packed = beir.load(folder)
    assert packed.corpus.digest == plain.corpus.digest
    assert packed.split("test").queries.digest == plain.split("test").queries.digest


@pytest.mark.parametrize(
    "qrels",
    [
        "q1\td1\t2\nq2\td2\t1\nq2\td1\t0\n",
        "q1 0 d1 2\nq2 0 d2 1\n\nq2 0 d1 0",
        "q1\t0\td1\t2\r\nq2\t0\td2\t1\r\nq2\t0\td1\t0\r\n",
        "qid did grade\nq1 d1 2.0\nq2 d2 1\nq2 d1 0\nq2 d1 0\n",
    ],
    ids=["no header", "four columns and spaces", "four columns and tabs", "other header"],
)
def test_qrels_in_their_several_forms(folder: Path, qrels: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(qrels)
    assert beir.load(folder).split("test").qrels.grades == {"q1": {"d1": 2}, "q2": {"d2": 1, "d1": 0}}


def test_unknown_ids_are_kept_counted_and_warned_of(folder: Path) -> None:
    with (folder / "qrels" / "test.tsv").open("a") as file:
        file.write("q2\tlost\t1\nq9\td1\t1\nq1\tgone\t1\nq1\tlost\t0\n")
    with pytest.warns(UserWarning) as warned:
        collection = beir.load(folder)
    assert [str(one.message).split(": ", 1)[1] for one in warned] == [
        "names 1 queries that the folder does not hold (such as 'q9'); their judgements are kept",
        "names 2 documents that the folder does not hold (such as 'gone'); their judgements are kept",
    ]
    split = collection.split("test")
    assert split.qrels.grades["q2"] == {"d2": 1, "d1": 0, "lost": 1}
    assert split.qrels.relevant_counts(split.queries.ids).tolist() == [2, 2]
    assert split.queries.ids == ("q1", "q2")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"{name}: is missing; a BEIR folder holds"):
        beir.load(folder)


def test_missing_qrels_and_folders_are_named(folder: Path) -> None:
    (folder / "qrels" / "test.tsv").unlink()
    with pytest.raises(InputError, match=r"qrels: holds no <split>.tsv; expected query-id"):
        beir.load(folder)
    with pytest.raises(InputError, match="gone: there is no such folder"):
        beir.load(folder / "gone")
    with pytest.raises(InputError, match="gone: there is no such folder; expected a BEIR folder or the name of a task"):
        load_collection(folder / "gone")


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"_id": "d2", "text": ', "line 2: is not valid JSON .*mend or remove the line"),
        ('["d2", "text"]', "line 2: expected an object with '_id' and a string 'text'"),
        ('{"_id": "d2"}', "line 2: expected an object"),
        ('{"_id": "d2", "text": null}', "line 2: expected an object"),
        ('{"_id": "d2", "text": " \\n"}', "line 2: 'd2' has neither title nor text; .*--allow-empty"),
        ('{"_id": "d2", "text": "\\ud800"}', "line 2: holds half of a surrogate pair"),
    ],
)
def test_a_bad_line_is_named(folder: Path, name: str, line: str, message: str) -> None:
    replace_line(folder / name, 2, line)
    with pytest.raises(InputError, match=f"{name}: {message}"):
        beir.load(folder)


def test_all_mistakes_of_a_file_are_told_together_and_counted(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text('{"_id": "d1", "text": "x"}\n\n' + '{"_id": "d1", "text": "x"}\n' * 7)
    with pytest.raises(InputError) as raised:
        beir.load(folder)
    lines = str(raised.value).splitlines()
    assert lines[0].endswith("corpus.jsonl: line 3: id 'd1' stands on line 1 already; ids must be unique")
    assert len(lines) == 6
    assert lines[-1].endswith("and 2 more")


def test_an_empty_corpus_is_refused(folder: Path) -> None:
    (folder / "corpus.jsonl").write_text("\n")
    with pytest.raises(InputError, match=r"corpus.jsonl: the corpus is empty; expected one JSON object a line"):
        beir.load(folder)


def test_empty_texts_can_be_allowed(folder: Path) -> None:
    replace_line(folder / "corpus.jsonl", 2, '{"_id": "d2", "title": "", "text": ""}')
    assert beir.load(folder, allow_empty=True).corpus.texts.to_pylist() == ["Foxes are red", "", "trees"]
    replace_line(folder / "corpus.jsonl", 2, '{"_id": "d2", "title": "Title", "text": ""}')
    assert beir.load(folder).corpus.texts.to_pylist()[1] == "Title"


@pytest.mark.parametrize(
    ("qrels", "message"),
    [
        ("query-id\tcorpus-id\tscore\nq1\td1\tx\n", "line 2: expected query-id, corpus-id and a whole number"),
        ("query-id\tcorpus-id\tscore\nq1\td1\t0.5\n", "line 2: expected .* a whole number"),
        ("query-id\tcorpus-id\tscore\nq1\td1\tinf\n", "line 2: expected .* a whole number"),
        ("q1\td1\n", r"line 1: expected .*got 'q1\\td1'"),
        ("q1\td1\t1.5\nq2\td2\t1\n", "line 1: expected .* a whole number"),
        ("q1\td1\t1\nq1\td1\t2\n", "line 2: query 'q1' and document 'd1' are judged 1 and 2; keep one"),
        ("query-id\tcorpus-id\tscore\n", "holds no judgement"),
        ("x1\td1\t1\n", "judges no query of .*queries.jsonl; do the two belong together"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*names 1 queries")
def test_a_bad_judgement_is_named(folder: Path, qrels: str, message: str) -> None:
    (folder / "qrels" / "test.tsv").write_text(qrels)
    with pytest.raises(InputError, match=f"test.tsv: {message}"):
        beir.load(folder)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b'{"_id": "d1", "text": "\xff"}\n'),
        lambda path: path.rename(path.with_name("corpus.jsonl.gz")),
        lambda path: (
            path.with_name("corpus.jsonl.gz").write_bytes(gzip.compress(path.read_bytes())[:-9]),
            path.unlink(),
        ),
    ],
    ids=["no UTF-8", "not packed", "cut off"],
)
def test_a_damaged_file_is_named(folder: Path, damage: Callable[[Path], object]) -> None:
    damage(folder / "corpus.jsonl")
    with pytest.raises(InputError, match=r"corpus.jsonl(.gz)?: (cannot be read beyond line \d|line \d: is no UTF-8)"):
        beir.load(folder)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ids.txt: cannot be read \(No such file or directory\)"):
        list(beir.numbered_lines(tmp_path / "ids.txt"))


def test_a_split_that_is_not_there_lists_those_that_are(folder: Path) -> None:
    with pytest.raises(InputError, match=r"small has no split 'tset'. Known: test. Did you mean 'test'?"):
        load_collection(folder, "tset")


def test_a_folder_is_called_what_it_is_called(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert load_collection("./").name == "small"
