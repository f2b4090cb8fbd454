"""The bi-encoder and the reranker from nothing, on a toy collection."""

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from mteb_cascade.corpora.collection import Collection, Split
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.modules import load_module
from mteb_cascade.training.recipes.reranker import bm25_candidates, folds_of, questions, train_reranker
from mteb_cascade.training.recipes.static import train_static, warm_up_then_down
from mteb_cascade.values.qrels import Qrels

THINGS = ["apple", "bread", "chair", "dance", "eagle", "flame", "grape", "house", "igloo", "juice", "knife", "lemon"]
THINGS += ["mouse", "night", "ocean", "piano"]
DEEDS = ["buys", "sells", "paints", "breaks", "carries", "finds"]


def toy():
    """Documents about a thing and a deed; the query names both in other words around them."""
    names = [f"{thing}.{deed}" for thing in THINGS for deed in DEEDS]
    texts = [
        f"{name} {deed}({thing})\nSomebody {deed} the {thing} today. Nobody else {deed} any {thing} at all."
        for name, (thing, deed) in zip(names, (name.split(".") for name in names), strict=True)
    ]
    queries = [f"who {name.split('.')[1]} one {name.split('.')[0]} here" for name in names]

    def split(rows):
        ids = tuple(f"q{row}" for row in rows)
        return Split(Queries(ids, tuple(queries[row] for row in rows)), Qrels({f"q{r}": {names[r]: 1} for r in rows}))

    return Collection(
        "toy",
        Corpus.of(names, texts),
        {"train": split(range(0, 96, 2)), "dev": split(range(1, 96, 8)), "test": split(range(5, 96, 8))},
    )


def test_no_epochs_leave_the_table_random(tmp_path):
    train_static(toy(), tmp_path / "bi", dim=64, vocabulary=200, epochs=0)
    weights = SentenceTransformer(str(tmp_path / "bi"), device="cpu")[0].embedding.weight
    assert abs(weights.mean().item()) < 0.05
    assert weights.std().item() == pytest.approx(1, abs=0.05)


SMALL = {"dim": 16, "vocabulary": 200, "epochs": 8, "batch_size": 32}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    told = []
    train_static(toy(), folder / "bi", **SMALL, progress=lambda done, total, note: told.append((done, total)))
    train_reranker(toy(), folder / "bi", folder / "re", folds=2, candidates=8, epochs=6, batch_size=8, hidden=8)
    return folder, told


def test_plain_sentence_transformers_loads_the_bi_encoder(trained):
    model = SentenceTransformer(str(trained[0] / "bi"), device="cpu")
    assert model.similarity_fn_name == "cosine"
    assert {type(module).__module__.split(".")[0] for module in model} == {"sentence_transformers"}
    assert not list(trained[0].rglob("*.bin")) and not list(trained[0].rglob("*.pkl"))
    train, corpus = toy().split("train"), toy().corpus
    found = model.similarity(model.encode(list(train.queries.texts)), model.encode(corpus.texts.to_pylist()))
    answers = corpus.rows([next(iter(train.qrels.of(query))) for query in train.queries.ids])
    rank = (found > found[list(range(len(answers))), answers.tolist()][:, None]).sum(1)
    assert rank.float().mean() < 10


def test_every_step_is_reported_and_steps_are_fixed(trained):
    done, total = zip(*trained[1], strict=True)
    assert done == tuple(range(1, total[0] + 1))


def test_one_seed_gives_one_model(trained, tmp_path):
    train_static(toy(), tmp_path / "again", **SMALL)
    train_static(toy(), tmp_path / "other", **SMALL, seed=1)
    first, again, other = (
        SentenceTransformer(str(folder), device="cpu").encode(["who finds one apple"])
        for folder in (trained[0] / "bi", tmp_path / "again", tmp_path / "other")
    )
    np.testing.assert_allclose(first, again, atol=1e-4)
    assert np.abs(first - other).max() > 0.01


def test_the_reranker_prefers_answers_to_queries_that_it_never_saw(trained):
    collection = toy()
    test, texts = collection.split("test"), collection.corpus.texts.to_pylist()
    module = load_module(trained[0] / "re")
    hits = 0
    for query, text in zip(test.queries.ids, test.queries.texts, strict=True):
        best = int(module.predict([(text, document) for document in texts]).argmax())
        hits += collection.corpus.id_of(best) in test.qrels.of(query)
    assert hits >= 0.75 * len(test.queries)


def test_what_answers_one_query_stands_in_one_fold():
    collection = toy()
    answers = {collection.corpus.id_of(0): 1, collection.corpus.id_of(6): 1}
    split = Split(Queries(("q",), ("asked",)), Qrels({"q": answers}))
    other = Split(Queries(("t",), ("something else",)), Qrels({"t": {collection.corpus.id_of(3): 1}}))
    both = Collection("both", collection.corpus, {"train": split, "test": other})
    texts = dict(enumerate(collection.corpus.texts.to_pylist()))
    fold_of = folds_of(both, texts, 7)
    assert fold_of[0] == fold_of[6]
    assert len(set(fold_of.values())) == 7
    (question,) = questions(both, texts, fold_of)
    assert (question.relevant, question.fold) == ({0, 6}, fold_of[0])


def test_candidates_of_bm25_are_rows_of_the_corpus():
    texts = {4: "red apple pie", 9: "green pear tree", 11: "blue plum jam"}
    assert bm25_candidates(["pears on a tree", "plums"], texts, 1).tolist() == [[9], [11]]


def test_the_learning_rate_rises_for_a_tenth_and_falls_to_the_end():
    factors = [warm_up_then_down(step, 100) for step in range(100)]
    assert int(np.argmax(factors)) in (9, 10)
    assert factors[0] == pytest.approx(0.1)
    assert factors[-1] == pytest.approx(1 / 90)
