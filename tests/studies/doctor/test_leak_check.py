"""Test queries in training: in data files and collections, of the model, its stages and its bases."""

from __future__ import annotations

import json

import pytest
from doctored import placed

from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.spec import read
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cascade import Cascade, Step
from mteb_cascade.studies.doctor.checks import leak

DOCUMENTS = {
    "d1": "foxes hunt small animals at night in the forest",
    "d2": "whales filter krill from the cold sea water",
    "d3": "old trees grow slowly and live for centuries",
    "d4": "stones are worn smooth by running water",
}
TEST = {"t1": ("what do red foxes hunt at night", "d1"), "t2": ("what do blue whales eat in the sea", "d2")}
TRAIN = {"r1": ("how old can trees become in a forest", "d3"), "r2": ("why are stones in rivers smooth", "d4")}
TWIN = ("what do red foxes hunt at night then", "d1")
"""7 of 8 words are t1's."""


@pytest.fixture
def write_data(write_spec, tmp_path):
    """Writes a BEIR folder `words`, whose train split is as given."""

    def write(train=TRAIN):
        folder = tmp_path / "words"
        (folder / "qrels").mkdir(parents=True, exist_ok=True)
        rows = [json.dumps({"_id": name, "text": text}) for name, text in DOCUMENTS.items()]
        (folder / "corpus.jsonl").write_text("\n".join(rows))
        queries = {**TEST, **train}
        rows = [json.dumps({"_id": name, "text": text}) for name, (text, _) in queries.items()]
        (folder / "queries.jsonl").write_text("\n".join(rows))
        for split, own in (("test", TEST), ("train", train)):
            judged = "".join(f"{name}\t{answer}\t1\n" for name, (_, answer) in own.items())
            (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
        return str(folder)

    return write


@pytest.fixture
def spec_of(write_spec):
    """A spec with this [training] table."""

    def write(training, name="mine", card=""):
        content = f'kind = "bi-encoder"\n[training]\n{training}\n[card]\n{card}\n'
        return read(write_spec(name, content))

    return write


def found(folder, *specs):
    stages = [BM25(spec=spec) for spec in specs]
    whole = stages[0] if len(stages) == 1 else Cascade(stages[0], *(Step(stage, 2) for stage in stages[1:]))
    return list(leak.check(placed(whole, load_collection(folder))))


def of_file(name="triplets.tsv"):
    return f'base = "scratch"\nloss = "contrastive"\ndata = "{name}"'


def of_collection(folder, more=""):
    return f'base = "scratch"\nloss = "contrastive"\ncollection = "{folder}"\n{more}'


def test_a_test_query_in_a_data_file(write_data, spec_of, tmp_path):
    folder = write_data()
    lines = [f"{text}\t{DOCUMENTS[answer]}\t{DOCUMENTS['d4']}" for text, answer in (TRAIN["r1"], TEST["t2"])]
    (tmp_path / "triplets.tsv").write_text("\n".join(lines))
    (one,) = found(folder, spec_of(of_file()))
    assert (one.verdict, one.stage, one.figures["leaked"]) == ("fail", "mine", 1)
    assert "1 of 2 test queries stand among the 2 training queries of triplets.tsv" in one.evidence
    assert "'what do blue whales eat in the sea' and query t2 (100% of words)" in one.evidence
    (tmp_path / "triplets.tsv").write_text(lines[0])
    (one,) = found(folder, spec_of(of_file()))
    assert (one.verdict, one.figures["leaked"]) == ("ok", 0)


def test_documents_of_a_file_are_known_by_their_texts(write_data, spec_of, tmp_path):
    folder = write_data()
    for answer, verdict in (("d1", "fail"), ("d3", "ok")):
        # As a twin of t1 with 7 of 8 words the same it needs a common answer.
        (tmp_path / "triplets.tsv").write_text(f"{TWIN[0]}\t{DOCUMENTS[answer]}\t{DOCUMENTS['d4']}\n")
        (one,) = found(folder, spec_of(of_file()))
        assert one.verdict == verdict, answer


def test_what_training_refuses_by_itself_is_no_leak(write_data, spec_of):
    folder = write_data({**TRAIN, "r3": TWIN})
    (note, one) = found(folder, spec_of(of_collection(folder)))
    assert (one.verdict, one.figures["refused_by_training"], one.figures["training_queries"]) == ("ok", 1, 2)
    assert "training refuses 1 that do" in one.evidence
    assert (note.check, note.verdict) == ("zero-shot", "note")


def test_trained_on_the_examined_split(write_data, spec_of):
    folder = write_data()
    one = found(folder, spec_of(of_collection(folder, 'split = "test"')))[-1]
    assert (one.verdict, one.figures["leaked"]) == ("fail", 2)
    assert "trained on the examined split itself" in one.evidence


def elsewhere(write_data, tmp_path):
    """Another collection, one document longer, which learns the examined t1 and holds out a question of its own."""
    folder, other = tmp_path / "words", tmp_path / "other"
    write_data({"r3": (TEST["t1"][0], "d4")})
    folder.rename(other)
    with (other / "corpus.jsonl").open("a") as corpus:
        corpus.write("\n" + json.dumps({"_id": "d5", "text": "one more document of other words"}))
    with (other / "queries.jsonl").open("a") as queries:
        queries.write("\n" + json.dumps({"_id": "t3", "text": "is there one more"}))
    (other / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nt3\td5\t1\n")
    return str(other)


def test_training_on_another_collection_cannot_refuse_this_ones_queries(write_data, spec_of, tmp_path):
    other = elsewhere(write_data, tmp_path)
    (one,) = found(write_data(), spec_of(of_collection(other)))
    assert (one.verdict, one.figures["leaked"]) == ("fail", 1)
    assert "queries that [training] names" in one.remedy


def test_stages_and_bases_are_asked_and_the_same_queries_once(write_data, spec_of, tmp_path):
    folder = write_data()
    (tmp_path / "triplets.tsv").write_text(f"{TEST['t1'][0]}\t{DOCUMENTS['d1']}\t{DOCUMENTS['d4']}\n")
    (tmp_path / "clean.tsv").write_text(f"{TRAIN['r1'][0]}\t{DOCUMENTS['d3']}\t{DOCUMENTS['d4']}\n")
    spec_of(of_file(), "base")
    derived = spec_of('base = "base"\nloss = "contrastive"\ndata = "clean.tsv"', "derived")
    twin = spec_of(of_file("clean.tsv"), "beside")
    verdicts = {one.stage: (one.verdict, one.evidence) for one in found(folder, derived, twin)}
    assert {name: verdict for name, (verdict, _) in verdicts.items()} == {
        "derived": "ok",
        "base": "fail",
        "beside": "ok",
    }
    assert "the same queries as derived" in verdicts["beside"][1]


def test_recipes_are_compared_too(write_data, spec_of, tmp_path):
    other = elsewhere(write_data, tmp_path)
    folder = write_data({**TRAIN, "r3": TWIN})
    assert found(folder, spec_of(f'recipe = "static"\ncollection = "{other}"'))[-1].verdict == "fail"
    assert found(folder, spec_of(f'recipe = "static"\ncollection = "{folder}"'))[-1].verdict == "ok"
    assert [one.check for one in found(folder, spec_of(f'recipe = "idf"\ncollection = "{folder}"'))] == ["zero-shot"]


def test_what_cannot_be_read_is_said(write_data, spec_of):
    (one,) = found(write_data(), spec_of(of_file("gone.tsv")))
    assert one.verdict == "skipped"
    assert "gone.tsv: there is no such file" in one.evidence
    (one,) = found(write_data(), spec_of(of_collection("MSMARCO")))
    assert one.verdict == "skipped"
    assert "another task of mteb" in one.evidence


def test_a_card_that_names_the_task(write_data, write_spec):
    folder = write_data()
    spec = read(write_spec("mine", 'kind = "bm25"\n[card]\ntraining_datasets = ["Words"]\n'))
    (one,) = found(folder, spec)
    assert (one.check, one.verdict) == ("zero-shot", "note")
    other = read(write_spec("mine", 'kind = "bm25"\n[card]\ntraining_datasets = ["MSMARCO"]\n'))
    assert found(folder, other) == []


def test_it_is_said_once_of_the_whole(write_data, spec_of):
    folder = write_data()
    stage = BM25(spec=spec_of(of_collection(folder, 'split = "test"')))
    subject = placed(stage, load_collection(folder), whole=Cascade(stage))
    assert list(leak.check(subject)) == []
