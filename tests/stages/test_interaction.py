"""The interaction network: its features by hand, its scores alone, together and reloaded."""

import numpy as np
import pytest
import torch

from mteb_cascade.errors import InputError
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.modules import load_module
from mteb_cascade.stages.modules.interaction import FEATURES, Interaction, adjacent, fields_of
from mteb_cascade.training.networks.tokenizer import inverse_document_frequency, train_tokenizer

DOCUMENTS = [
    "json.dump dump(obj, fp)\nSerialise an object to a file as text.",
    "json.load load(fp)\nRead a file of text and return the object that it holds, " + "again and again " * 40,
    "box",
    "",
    "heapq.merge merge(*iterables)\nMerge sorted inputs into a single sorted output.",
]
QUERIES = ["write an object to a file", "merge sorted inputs", "…", "text"]


@pytest.fixture(scope="module")
def module():
    tokenizer = train_tokenizer([*DOCUMENTS, *QUERIES] * 2, 300)
    torch.manual_seed(0)
    table = torch.randn(tokenizer.get_vocab_size(), 8)
    idf = torch.from_numpy(inverse_document_frequency(tokenizer, DOCUMENTS))
    return Interaction(tokenizer, table, idf, 20.0, hidden=6).eval()


def pairs():
    return [(query, document) for query in QUERIES for document in DOCUMENTS]


def test_a_score_depends_on_its_pair_alone(module):
    together = module.predict(pairs())
    alone = np.concatenate([module.predict([pair]) for pair in pairs()])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert together.dtype == np.float32
    assert np.isfinite(together).all()
    assert len(set(np.round(together, 5))) > len(DOCUMENTS)


def test_a_limit_that_it_cannot_keep_is_refused(module, tmp_path):
    module.save(tmp_path)
    assert CrossEncoder(model=str(tmp_path)).network is not None
    with pytest.raises(InputError, match="max_length = 8: this model is a table of token vectors, which reads texts"):
        CrossEncoder(model=str(tmp_path), max_length=8).prepare()


def test_the_order_of_pairs_changes_nothing(module):
    order = np.random.default_rng(0).permutation(len(pairs()))
    shuffled = module.predict([pairs()[i] for i in order])
    np.testing.assert_allclose(shuffled, module.predict(pairs())[order], atol=1e-5)


def test_documents_read_once_serve_every_query(module):
    read = module.fielded(DOCUMENTS)
    for query in QUERIES:
        once = module.features(query, read)
        each = np.concatenate([module.features(query, module.fielded([document])) for document in DOCUMENTS])
        assert once.shape == (len(DOCUMENTS), FEATURES)
        np.testing.assert_allclose(once, each, atol=1e-5)


def test_a_reloaded_folder_scores_the_same(module, tmp_path):
    module.save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    np.testing.assert_array_equal(load_module(tmp_path).predict(pairs()), module.predict(pairs()))


def test_no_pairs_have_no_scores(module):
    assert module.predict([]).shape == (0,)


def test_fields():
    assert fields_of("json.dump dump(obj, fp)\nSerialise.\nMore.") == (
        "dump",
        "json",
        "dump(obj, fp)",
        "Serialise.\nMore.",
    )
    assert fields_of("plain words") == ("plain", "", "words", "")


def test_neighbours_are_met_in_order_only():
    exact = np.eye(2, dtype=np.float32)
    weight = np.ones(2, np.float32)
    begins = np.array([0])
    assert adjacent(exact, weight, begins)[0, 0] == 1
    assert adjacent(exact[:, ::-1], weight, begins)[0, 0] == 0


def test_max_similarity_is_that_of_a_slow_reference(module):
    query, document = QUERIES[0], DOCUMENTS[0]
    asked = module.tokenizer.encode(query).ids
    words = [module.tokenizer.encode(field).ids or [1] for field in fields_of(document)]
    table, idf = module.table.numpy(), module.idf.numpy()

    def cosine(one, other):
        return float(table[one] @ table[other] / np.linalg.norm(table[one]) / np.linalg.norm(table[other]))

    expected = [
        sum(idf[token] * max(cosine(token, other) for other in field) for token in asked) / sum(idf[asked])
        for field in [*words, [token for field in words for token in field]]
    ]
    found = module.features(query, module.fielded([document]))[0, 5:10]
    np.testing.assert_allclose(found, expected, atol=1e-5)
