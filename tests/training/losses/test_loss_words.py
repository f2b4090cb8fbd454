"""Every loss of every kind: it builds, it has gradients, and a spec's mistakes are told in one line."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from mteb_cascade.errors import InputError
from mteb_cascade.training import losses
from mteb_cascade.training.losses import registry
from mteb_cascade.training.losses.functions import FUNCTIONS
from mteb_cascade.training.options import Training

COLUMNS = {
    "query": ["cats sleep", "rivers"],
    "positive": ["a cat sleeps on the mat", "a river runs to the sea"],
    "negative_1": ["dogs bark", "the sea is blue"],
    "negative_2": ["tea is a drink", "hills and valleys"],
}
SCORES = torch.tensor([[3.0, -1.0, 0.5], [2.0, 1.0, -2.0]])

ROWS: dict[str, tuple[int, Any]] = {
    "tuples": (4, None),
    "triplets": (3, None),
    "labelled": (2, torch.tensor([1.0, 0.0])),
    "scored": (4, SCORES),
}
"""How many of the columns a form has, and its labels."""

VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "matryoshka": {"matryoshka": [8]},
    "own documents": {"in_batch": False},
}


def options(word: str, **changes: Any) -> Training:
    return Training(base="base", loss=word, collection="PythonDocs", negatives=2, micro_batch=2, **changes)


@pytest.fixture(scope="module")
def networks(
    tiny_bi_encoder, tiny_static, tiny_late_interaction, tiny_sparse, tiny_cross_encoder
) -> dict[str, nn.Module]:
    from sentence_transformers import CrossEncoder, MultiVectorEncoder, SentenceTransformer, SparseEncoder

    return {
        "bi-encoder": SentenceTransformer(str(tiny_bi_encoder), device="cpu"),
        "static": SentenceTransformer(str(tiny_static), device="cpu"),
        "late-interaction": MultiVectorEncoder(str(tiny_late_interaction), device="cpu"),
        "sparse": SparseEncoder(str(tiny_sparse), device="cpu"),
        "cross-encoder": CrossEncoder(str(tiny_cross_encoder), device="cpu"),
    }


def computed(network: Any, kind: str, word: str, loss: nn.Module) -> torch.Tensor:
    """The loss of two rows in the form that it asks for, its gradients on the network."""
    network.train()
    network.zero_grad()
    if kind == "cross-encoder":
        inputs: Any = [COLUMNS["query"], [list(row) for row in zip(*list(COLUMNS.values())[1:], strict=True)]]
        labels: Any = [torch.tensor([1.0, 0.0, 0.0]), SCORES[1]]
    else:
        count, labels = ROWS[losses.form_of(word, kind, "spec")]
        tasks = ["query", "document", "document", "document"] if kind == "late-interaction" else [None] * 4
        columns = list(COLUMNS.values())[:count]
        inputs = [network.preprocess(texts, task=task) for texts, task in zip(columns, tasks, strict=False)]
    value = loss(inputs, labels)
    total = torch.stack(list(value.values())).sum() if isinstance(value, dict) else value
    total.backward()
    return total


CASES = [(kind, word, "plain") for kind, known in registry.LOSSES.items() for word in known]
CASES += [("bi-encoder", word, "matryoshka") for word in registry.LOSSES["bi-encoder"]]
CASES += [(kind, "contrastive", "own documents") for kind in ("bi-encoder", "sparse")]
CASES += [("static", "contrastive", "plain"), ("static", "margin-mse", "plain")]


@pytest.mark.parametrize(("kind", "word", "variant"), CASES)
def test_every_loss_is_finite_and_has_gradients(networks, kind, word, variant):
    network, kind = networks[kind], "bi-encoder" if kind == "static" else kind
    # Nothing random is as far apart as these margins, so every row teaches.
    margin = {"triplet": 2.5, "margin": 1000.0}.get(word)
    own = {"loss_options": {"margin": margin}} if margin else {}
    training = options(word, **own, **VARIANTS[variant])
    assert losses.check(kind, training) == []
    total = computed(network, kind, word, losses.build(kind, network, training, "spec"))
    gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
    assert total.isfinite()
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any(gradient.any() for gradient in gradients)


def test_own_documents_by_hand(networks):
    from mteb_cascade.training.losses.own_documents import OwnDocuments

    loss = losses.build("bi-encoder", networks["bi-encoder"], options("contrastive", in_batch=False), "spec")
    assert isinstance(loss, OwnDocuments)
    query = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    answer, other = torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.tensor([[3.0, 0.0], [1.0, 0.0]])
    # cosines over .05: 0 against 20 in the first row, 20 against 0 in the second
    assert loss.compute_loss_from_embeddings([query, answer, other]).item() == pytest.approx(10, abs=1e-6)


def test_temperature_scales_what_it_says(networks):
    """A margin of cosines is over the temperature; one of inner products is not."""
    parts = [torch.tensor([[1.0, 0.0]]), torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 5.0]])]
    teacher = torch.tensor([[3.0, 0.0]])
    training = options("margin-mse", temperature=0.5)
    by_cosine = losses.build("bi-encoder", networks["bi-encoder"], training, "spec")
    assert by_cosine.compute_loss_from_embeddings(parts, teacher).item() == pytest.approx((1 / 0.5 - 3) ** 2)
    by_product = losses.build("bi-encoder", networks["static"], training, "spec")
    assert by_product.compute_loss_from_embeddings(parts, teacher).item() == pytest.approx((2 - 3) ** 2)
    contrastive = losses.build("bi-encoder", networks["bi-encoder"], options("contrastive", temperature=0.02), "spec")
    assert contrastive.scale == pytest.approx(50)
    assert contrastive.mini_batch_size == 2
    kl = losses.build("bi-encoder", networks["bi-encoder"], options("kl", temperature=0.02), "spec")
    assert (kl.student_temperature, kl.teacher_temperature) == (0.02, 1.0)


def test_documents_are_gathered_where_there_are_several_ranks(networks, monkeypatch):
    alone = losses.build("bi-encoder", networks["bi-encoder"], options("contrastive"), "spec")
    monkeypatch.setenv("WORLD_SIZE", "2")
    together = losses.build("bi-encoder", networks["bi-encoder"], options("contrastive"), "spec")
    assert (alone.gather_across_devices, together.gather_across_devices) == (False, True)
    assert losses.build(
        "late-interaction", networks["late-interaction"], options("contrastive"), "spec"
    ).gather_across_devices
    assert losses.build("sparse", networks["sparse"], options("contrastive"), "spec").loss.gather_across_devices


def test_the_full_width_is_learned_with_matryoshka(networks):
    loss = losses.build("bi-encoder", networks["bi-encoder"], options("kl", matryoshka=[4, 8]), "spec")
    assert loss.matryoshka_dims == (16, 8, 4)
    with pytest.raises(InputError, match=r"^spec: \[training\] loss 'kl': .*embedding dimension"):
        losses.build("bi-encoder", networks["bi-encoder"], options("kl", matryoshka=[17]), "spec")


def test_the_table_of_options_is_what_the_losses_take():
    from sentence_transformers.sentence_transformer.losses import MultipleNegativesRankingLoss

    from mteb_cascade.training.losses.encoders import BUILDERS

    built = {**BUILDERS, "cross-encoder": FUNCTIONS}
    assert {kind: set(known) for kind, known in registry.LOSSES.items()} == {k: set(v) for k, v in built.items()}
    for kind, known in registry.LOSSES.items():
        for word, loss in known.items():
            parameters = inspect.signature(built[kind][word]).parameters.values()
            if any(one.kind is one.VAR_KEYWORD for one in parameters):
                parameters = inspect.signature(MultipleNegativesRankingLoss).parameters.values()
                assert set(loss.options) <= {one.name for one in parameters}
            else:
                assert set(loss.options) == {one.name for one in parameters if one.kind is one.KEYWORD_ONLY}, word


def test_needs():
    assert losses.needs("kl", "sparse") == (True, True)
    assert losses.needs("mse", "cross-encoder") == (False, True)
    assert losses.needs("contrastive", "bi-encoder") == (False, False)
    assert losses.needs("triplet", "bi-encoder") == (True, False)
    assert losses.words("bm25") == []


MISTAKES = [
    ("cross-encoder", "softmx", {}, r"unknown loss 'softmx'\. Losses of kind 'cross-encoder': bce, .*mean 'softmax'\?"),
    ("cross-encoder", "triplet", {}, "'triplet' is of kind bi-encoder only, this model is a cross-encoder. Losses of"),
    ("bi-encoder", "hybrid", {}, "'hybrid' is of kind cross-encoder only, this model is a bi-encoder"),
    ("bm25", "softmax", {}, "kind 'bm25' is not trained with a loss; bi-encoder, .* are"),
    ("cross-encoder", "hybrid", {"loss_options": {"tops": 5}}, r"unknown option 'tops'\. Options .*mean 'top'\?"),
    ("cross-encoder", "hybrid", {"loss_options": {"top": 0}}, "loss_options: top: expected greater than 0, got 0"),
    ("cross-encoder", "hybrid", {"loss_options": {"top": "5"}}, "top: expected a valid integer, got '5'"),
    ("cross-encoder", "softmax", {"loss_options": {"top": 5}}, "Options of loss 'softmax': none"),
    (
        "cross-encoder",
        "lambda",
        {"loss_options": {"scheme": "x"}},
        "scheme: expected 'ndcg-loss2[+][+]', 'ndcg-loss2' or",
    ),
    ("bi-encoder", "triplet", {"negatives": 0}, "negatives: loss 'triplet' needs at least 1 to a query, got 0"),
    ("bi-encoder", "contrastive", {"negatives": 0, "in_batch": False}, "needs at least 1 to a query"),
    ("late-interaction", "contrastive", {"in_batch": False}, "in_batch: late interaction"),
    ("sparse", "contrastive", {"in_batch": False, "loss_options": {"directions": ["doc_to_query"]}}, "in_batch = true"),
    ("bi-encoder", "kl", {"temperature": 0.0}, "temperature: expected more than 0, got 0.0"),
]


@pytest.mark.parametrize(("kind", "word", "changes", "message"), MISTAKES)
def test_a_mistake_is_one_line(kind, word, changes, message):
    (line,) = losses.check(kind, replace(options(word), **changes))
    assert line.startswith("[training] ")
    assert re.search(message, line), line


def test_all_mistakes_at_once():
    training = options("hybrid", temperature=-1.0, loss_options={"top": 0, "sigma": 1})
    assert len(losses.check("cross-encoder", training)) == 3


def test_an_unknown_loss_names_the_spec(networks):
    for call in (
        lambda: losses.form_of("softmx", "cross-encoder", "models/mine.toml"),
        lambda: losses.build("cross-encoder", networks["cross-encoder"], options("softmx"), "models/mine.toml"),
    ):
        with pytest.raises(InputError, match=r"^models/mine.toml: \[training\] loss: unknown loss 'softmx'"):
            call()


def test_what_a_loss_itself_refuses_is_one_line(networks):
    training = options("contrastive", loss_options={"directions": ["doc_to_query"]})
    with pytest.raises(
        InputError, match=r"^spec: \[training\] loss 'contrastive': 'query_to_doc' direction is required"
    ):
        losses.build("bi-encoder", networks["bi-encoder"], training, "spec")


def test_checking_a_spec_loads_nothing_heavy():
    code = (
        "import sys; from mteb_cascade.training.losses import check;"
        "from mteb_cascade.training.options import Training;"
        "check('cross-encoder', Training(base='b', loss='hybrid', loss_options={'top': 3}, negatives=1));"
        "print([name for name in ('torch', 'sentence_transformers', 'transformers', 'mteb') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
