from __future__ import annotations

import re
from math import log
from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SparseEncoder

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.load import load
from mteb_cascade.training.recipes.idf import train_idf
from mteb_cascade.values.qrels import Qrels

ANIMALS = ["fox", "whale", "zebra", "eagle", "mouse", "otter"]
TEXTS = [f"The {animal} is {'red' if row % 2 else 'blue'} and {'old ' * (1 + row % 3)}too" for row, animal in
         enumerate(ANIMALS * 4)]  # fmt: skip
HELD_OUT = 5


@pytest.fixture(scope="module")
def collection() -> Collection:
    corpus = Corpus.of([f"d{row}" for row in range(len(TEXTS))], TEXTS)
    train, test = (Split(Queries((q,), (text,)), Qrels({q: {doc: 1}})) for q, text, doc in
                   (("a", "red animal here", "d1"), ("b", "something that swims", f"d{HELD_OUT}")))  # fmt: skip
    return Collection("animals", corpus, {"train": train, "test": test})


@pytest.fixture(scope="module")
def trained(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "idf"
    told: list[tuple[int, int]] = []
    train_idf(collection, folder, vocabulary=150, progress=lambda done, total, _: told.append((done, total)))
    assert told == [(1, 2), (2, 2)]
    return folder


def words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def test_a_score_is_the_squared_idf_of_shared_words(trained: Path, collection: Collection) -> None:
    # The held-out answer and what else says the same sentence are not counted.
    read = [words(text) for text in TEXTS if text != TEXTS[HELD_OUT]]
    idf = {word: log((len(read) + 1) / (sum(word in text for text in read) + 0.5)) for word in set().union(*read)}
    stage = load(trained)
    stage.index(collection.corpus)
    query = "old old red fox"
    found = stage.search(Queries(("q",), (query,)), top_k=len(TEXTS))["q"]
    expected = {f"d{row}": sum(idf[word] ** 2 for word in words(query) & words(text)) for row, text in enumerate(TEXTS)}
    assert found == pytest.approx({doc: score for doc, score in expected.items() if score}, rel=1e-5)
    assert stage.search(Queries(("q",), ("?!",)), top_k=3) == {"q": {}}


def test_plain_sentence_transformers_loads_it(trained: Path) -> None:
    network = SparseEncoder(str(trained), device="cpu")
    assert {type(module).__module__.split(".")[0] for module in network} == {"sentence_transformers"}
    assert (network.similarity_fn_name, network.encode(["red fox"]).to_dense().count_nonzero().item()) == ("dot", 2)
    assert not list(trained.rglob("*.bin"))


def test_the_same_collection_gives_the_same_files(trained: Path, collection: Collection, tmp_path: Path) -> None:
    train_idf(collection, tmp_path / "again", vocabulary=150)
    assert load(tmp_path / "again").fingerprint == load(trained).fingerprint
    one, two = (
        SparseEncoder(str(path), device="cpu").encode(TEXTS[:3]).to_dense() for path in (trained, tmp_path / "again")
    )
    np.testing.assert_array_equal(one.numpy(), two.numpy())
