from __future__ import annotations

import json
from pathlib import Path

import pytest

from mteb_cascade.corpora.collection import Split
from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.corpora.load import load
from mteb_cascade.corpora.twins import answers_of, twins
from mteb_cascade.errors import InputError
from mteb_cascade.values.qrels import Qrels

TEN = "zero one two three four five six seven eight nine"
"""Ten words: one other makes 9 of 11 alike (.818), one more 10 of 11 (.909), two other 8 of 12 (.667)."""


def split_of(asked: dict[str, tuple[str, dict[str, int]]], level: int = 1) -> Split:
    texts = tuple(text for text, _ in asked.values())
    return Split(Queries(tuple(asked), texts), Qrels({query: judged for query, (_, judged) in asked.items()}, level))


TEST = split_of({"q0": (TEN, {"d1": 1, "d2": 0}), "q1": ("red fox", {"d9": 1})})


def found(text: str, answers: set[str]) -> list[tuple[int, int, float, tuple[str, ...]]]:
    return [(one.row, one.other, one.similarity, one.shared) for one in twins([text], [answers], TEST)]


def test_who_shares_an_answer_is_a_twin_from_seven_words_in_ten() -> None:
    assert found(TEN.replace("nine", "other"), {"d1", "d5"}) == [(0, 0, 9 / 11, ("d1",))]
    assert found(TEN.replace("eight nine", "other words"), {"d1"}) == []
    assert found("zero one two three four five six", {"d1"}) == [(0, 0, 0.7, ("d1",))]


def test_who_shares_none_only_if_it_is_nearly_the_same_text() -> None:
    # d2 is judged, and not relevant.
    assert found(TEN.replace("nine", "other"), {"d2"}) == []
    assert found(f"{TEN} more", {"d2"}) == [(0, 0, 10 / 11, ())]


def test_equal_texts_are_twins_whatever_their_answers() -> None:
    assert found("Fox, red!", set()) == [(0, 1, 1.0, ())]


def test_answers_begin_at_the_splits_level() -> None:
    graded = split_of({"q": ("x", {"a": 0, "b": 1, "c": 2})}, level=2)
    assert answers_of(graded) == [frozenset("c")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Test claims of which one stands in train, one is negated there with the same answer, and one is new."""
    texts = {
        "t1": "insulin increases risk of severe kidney failure",
        "t2": "red foxes hunt at night",
        "q1": "insulin decreases risk of severe kidney failure",
        "q2": "red foxes hunt at night.",
        "q3": "whales are blue",
    }
    qrels = {"train": {"t1": "d1", "t2": "d2"}, "test": {"q1": "d1", "q2": "d3", "q3": "d1"}}
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps({"_id": f"d{n}", "text": "x"}) + "\n" for n in (1, 2, 3)))
    lines = [json.dumps({"_id": query, "text": text}) for query, text in texts.items()]
    (tmp_path / "queries.jsonl").write_text("\n".join(lines))
    for split, pairs in qrels.items():
        rows = "".join(f"{query}\t{document}\t1\n" for query, document in pairs.items())
        (tmp_path / "qrels" / f"{split}.tsv").write_text(rows)
    return tmp_path


def test_the_untwinned_queries_are_a_split_by_name(folder: Path) -> None:
    collection = load(folder, "test[untwinned]")
    part = collection.split("test[untwinned]")
    assert part.queries.ids == ("q3",)
    assert set(part.qrels.grades) == {"q3"}
    assert collection.context("test[untwinned]")["hf_split"] == "test"
    assert len(collection.split("test").queries) == 3


def test_what_cannot_be_compared_is_said(folder: Path) -> None:
    with pytest.raises(InputError, match=r"'train\[untwinned\]' would be compared with itself"):
        load(folder, "train[untwinned]")
    with pytest.raises(InputError, match="has no split 'tset'"):
        load(folder, "tset[untwinned]")
    (folder / "qrels" / "test.tsv").write_text("q2\td3\t1\n")
    with pytest.raises(InputError, match="every query of split 'test' has a near-twin in 'train'"):
        load(folder, "test[untwinned]")
    (folder / "qrels" / "train.tsv").unlink()
    with pytest.raises(InputError, match=r"has no split 'train'\. Known: test\."):
        load(folder, "test[untwinned]")


def test_ninety_test_claims_of_scifact_have_a_twin(shared_data: Path) -> None:
    collection = load(shared_data / "scifact", "test[untwinned]")
    train, test = collection.split("train"), collection.split("test")
    found = list(twins(train.queries.texts, answers_of(train), test))
    assert len({twin.other for twin in found if twin.shared}) == 90
    assert len(collection.split("test[untwinned]").queries) == 210
