"""The losses as modules on a real cross-encoder: sentence-transformers' own values, and gradients through the cache."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from sentence_transformers import CrossEncoder
from sentence_transformers.cross_encoder import losses as st
from sentence_transformers.util import batch_to_device

from mteb_cascade.training.losses.citations import citation
from mteb_cascade.training.losses.functions import FUNCTIONS
from mteb_cascade.training.losses.list_loss import ListLoss

QUERIES = ["cats sleep", "rivers", "what is tea"]
DOCUMENTS = [
    ["a cat sleeps on the mat", "dogs", "tea is a drink that is made of leaves and water", "river"],
    ["a river runs to the sea", "cats", "mats are flat", "the sea is deep and blue and cold in winter"],
    ["tea", "a drink", "hills and valleys and rivers", "sleep is rest"],
]
LABELS = [[1.0, 0.0, 0.0, 0.0], [1.0, 0.0, 0.0, 2.0], [1.0, 1.0, 0.0, 0.0]]
RAGGED = [4, 2, 3]


@pytest.fixture(scope="module")
def network(tiny_cross_encoder) -> CrossEncoder:
    """With small weights, so that scores are moderate; dropout .1 in training."""
    model = CrossEncoder(str(tiny_cross_encoder), device="cpu")
    with torch.no_grad():
        for weight in model.parameters():
            if weight.ndim > 1:
                weight.mul_(0.3)
    return model


@pytest.fixture(autouse=True)
def untouched(network):
    network.eval()
    network.zero_grad()


def cut(rows: list[list[Any]], lengths: list[int]) -> list[list[Any]]:
    return [row[:length] for row, length in zip(rows, lengths, strict=True)]


def batch(lengths: list[int] | None = None) -> tuple[list[Any], list[torch.Tensor]]:
    lengths = lengths or [4, 4, 4]
    return [QUERIES, cut(DOCUMENTS, lengths)], [torch.tensor(row) for row in cut(LABELS, lengths)]


def gradients(model: CrossEncoder) -> torch.Tensor:
    return torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])


@pytest.mark.parametrize(
    ("word", "options", "theirs"),
    [
        ("ranknet", {}, partial(st.RankNetLoss, reduction_log="natural")),
        ("hybrid", {"top": 5, "listwise_weight": 0.0}, partial(st.RankNetLoss, k=5, reduction_log="natural")),
        ("hybrid", {"top": 2, "listwise_weight": 0.0}, partial(st.RankNetLoss, k=2, reduction_log="natural")),
        ("lambda", {}, partial(st.LambdaLoss, reduction_log="natural")),
        ("lambda", {"top": 2}, partial(st.LambdaLoss, k=2, reduction_log="natural")),
        (
            "lambda",
            {"scheme": "ndcg-loss2"},
            partial(st.LambdaLoss, weighting_scheme=st.NDCGLoss2Scheme(), reduction_log="natural"),
        ),
    ],
)
def test_pairwise_losses_are_theirs_but_for_the_weight_of_a_list(network, word, options, theirs):
    """Theirs is the mean over the batch's pairs: of ours, weighted by each list's number of pairs."""
    total = pairs = 0.0
    top = options.get("top")
    for query, documents, labels in zip(*batch(RAGGED)[0], batch(RAGGED)[1], strict=True):
        ours = ListLoss(network, word, **options)([[query], [documents]], [labels])
        assert ours.item() == pytest.approx(theirs(network)([[query], [documents]], [labels]).item(), rel=1e-5)
        scores = network.predict([(query, text) for text in documents], activation_fn=torch.nn.Identity())
        first = set(scores.argsort()[::-1][:top])
        count = sum(
            labels[i] > labels[j] and (i in first or j in first)
            for i in range(len(documents))
            for j in range(len(documents))
        )
        total, pairs = total + ours.item() * int(count), pairs + int(count)
    assert total / pairs == pytest.approx(theirs(network)(*batch(RAGGED)).item(), rel=1e-5)


def test_listnet_is_theirs(network):
    theirs = st.ListNetLoss(network)(*batch(RAGGED))
    assert ListLoss(network, "listnet")(*batch(RAGGED)).item() == pytest.approx(theirs.item(), rel=1e-5)


@pytest.mark.parametrize(("word", "theirs"), [("bce", st.BinaryCrossEntropyLoss), ("mse", st.MSELoss)])
def test_pointwise_losses_are_theirs_on_lists_of_one_length(network, word, theirs):
    labels = [row.clamp(max=1) for row in batch()[1]]
    pairs = [[query for query in QUERIES for _ in range(4)], [text for row in DOCUMENTS for text in row]]
    expected = theirs(network)(pairs, torch.cat(labels))
    assert ListLoss(network, word)(batch()[0], labels).item() == pytest.approx(expected.item(), rel=1e-5)


def test_margin_mse_is_theirs(network):
    inputs, labels = batch()
    columns = [QUERIES, *(list(column) for column in zip(*DOCUMENTS, strict=True))]
    expected = st.MarginMSELoss(network)(columns, labels)
    assert ListLoss(network, "margin-mse")(inputs, labels).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("word", FUNCTIONS)
@pytest.mark.parametrize("size", [1, 4])
def test_gradients_through_the_cache_are_those_of_the_whole_batch(network, word, size):
    whole = ListLoss(network, word, mini_batch_size=100)(*batch(RAGGED))
    whole.backward()
    expected = gradients(network)
    network.zero_grad()
    parts = ListLoss(network, word, mini_batch_size=size)(*batch(RAGGED))
    parts.backward()
    assert parts.item() == pytest.approx(whole.item(), rel=1e-5)
    assert expected.abs().max() > 1e-3
    torch.testing.assert_close(gradients(network), expected, rtol=1e-4, atol=1e-5)


def slow(network: CrossEncoder, size: int) -> torch.Tensor:
    """The hybrid loss of the same micro-batches, each with its graph kept."""
    inputs, labels = batch(RAGGED)
    pairs = [(row, at, query, text) for row, query in enumerate(QUERIES) for at, text in enumerate(inputs[1][row])]
    pairs.sort(key=lambda pair: -len(pair[2] + pair[3]))
    scores, grades, real = torch.zeros(3, 4), torch.zeros(3, 4), torch.zeros(3, 4, dtype=torch.bool)
    for start in range(0, len(pairs), size):
        part = pairs[start : start + size]
        features = batch_to_device(network.preprocess([(query, text) for *_, query, text in part]), network.device)
        for (row, at, *_), logit in zip(part, network(features)["scores"].view(-1).float(), strict=True):
            place = torch.zeros(3, 4).index_put((torch.tensor(row), torch.tensor(at)), torch.tensor(1.0))
            scores, grades, real = scores + place * logit, grades + place * labels[row][at], real | place.bool()
    return FUNCTIONS["hybrid"](scores, grades, real, top=2)


@pytest.mark.parametrize("size", [2, 4])
def test_dropout_draws_the_same_masks_in_both_passes(network, size):
    network.train()
    torch.manual_seed(3)
    expected = slow(network, size)
    expected.backward()
    right = gradients(network)
    network.zero_grad()
    torch.manual_seed(3)
    loss = ListLoss(network, "hybrid", mini_batch_size=size, top=2)(*batch(RAGGED))
    after = torch.get_rng_state()
    torch.manual_seed(77)
    (loss / 2).backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(gradients(network) * 2, right, rtol=1e-4, atol=1e-6)
    torch.manual_seed(77)
    assert not torch.equal(after, torch.get_rng_state())


@pytest.mark.parametrize("inside", [True, False])
def test_bfloat16_autocast_holds_in_the_second_pass(network, inside):
    """`backward` runs outside the trainer's autocast as a rule."""
    # Without the cache of casts the parts' gradients are summed in float32, as ours are.
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):
        expected = slow(network, 4)
    expected.backward()
    right = gradients(network)
    network.zero_grad()
    seen = []
    hook = network[0].register_forward_hook(lambda _module, _inputs, output: seen.append(output["scores"].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        loss = ListLoss(network, "hybrid", mini_batch_size=4, top=2)(*batch(RAGGED))
        if inside:
            loss.backward()
    if not inside:
        loss.backward()
    hook.remove()
    assert seen == [torch.bfloat16] * 6
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    torch.testing.assert_close(gradients(network), right, rtol=1e-4, atol=1e-5)


def test_without_gradients_there_is_one_pass(network):
    calls = []
    hook = network[0].register_forward_hook(lambda *_: calls.append(1))
    with torch.no_grad():
        loss = ListLoss(network, "softmax", mini_batch_size=4)(*batch(RAGGED))
    hook.remove()
    assert not loss.requires_grad
    assert len(calls) == 3
    assert loss.item() == pytest.approx(ListLoss(network, "softmax")(*batch(RAGGED)).item(), rel=1e-5)


def test_pairs_are_sorted_so_that_there_is_little_padding(network):
    widths = []
    hook = network[0].register_forward_pre_hook(lambda _module, inputs: widths.append(inputs[0]["input_ids"].shape[1]))
    with torch.no_grad():
        ListLoss(network, "softmax", mini_batch_size=3)(*batch())
    hook.remove()
    pairs = [(query, text) for query, texts in zip(QUERIES, DOCUMENTS, strict=True) for text in texts]
    unsorted = [network.preprocess(pairs[start : start + 3])["input_ids"].shape[1] for start in range(0, 12, 3)]
    assert widths[0] == max(widths)
    assert sum(widths) < sum(unsorted)


def test_frozen_weights_get_no_gradient(network):
    frozen = next(network.parameters())
    frozen.requires_grad_(False)
    try:
        ListLoss(network, "softmax", mini_batch_size=4)(*batch()).backward()
        assert frozen.grad is None
        assert gradients(network).abs().max() > 0
    finally:
        frozen.requires_grad_(True)


def test_labels_and_documents_must_be_as_many(network):
    inputs, labels = batch()
    with pytest.raises(ValueError, match="as many labels"):
        ListLoss(network, "softmax")(inputs, [*labels[:2], labels[2][:3]])


def test_what_a_card_says(network):
    loss = ListLoss(network, "hybrid", mini_batch_size=8, top=3)
    assert loss.get_config_dict() == {"loss": "hybrid", "top": 3, "mini_batch_size": 8}
    assert "burges2005" in loss.citation
    assert "zhuang2022" in loss.citation
    assert all(citation(word).count("{") == citation(word).count("}") for word in FUNCTIONS)
