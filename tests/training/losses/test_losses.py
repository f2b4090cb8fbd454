"""A reranker's losses as functions: by hand, by what must not change them, and by their derivatives."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mteb_cascade.training.losses.functions import FUNCTIONS, hybrid, lambda_loss, ranknet, softmax

SCORES = [2.0, 0.0, 1.0, -1.0]
ANSWER_SECOND = [0.0, 1.0, 0.0, 0.0]
TEACHER = [1.0, 3.0, 0.0, -1.0]

LOG_SUM = math.log(math.e**2 + 1 + math.e + 1 / math.e)
"""2.4402, of the four scores."""

BY_HAND = {
    # -log sigma(0) for the answer, log(1 + e^s) for the three negatives
    "bce": (ANSWER_SECOND, {}, (math.log(2) + sum(math.log(1 + math.exp(s)) for s in (2, 1, -1))) / 4),
    # the teacher's [1, 3, 0, -1] is missed by 1, -3, 1, 0
    "mse": (TEACHER, {}, (1 + 9 + 1 + 0) / 4),
    # the first document leads by 2, 1, 3; it should by -2, 1, 2
    "margin-mse": (TEACHER, {}, (16 + 0 + 1) / 3),
    # the answer trails by 2 and 1 and leads by 1
    "ranknet": (ANSWER_SECOND, {}, sum(math.log(1 + math.exp(s)) for s in (2, 1, -1)) / 3),
    # the first two by score are the first and the third document: two pairs touch them
    "ranknet of the top 2": (ANSWER_SECOND, {"top": 2}, (math.log(1 + math.e**2) + math.log(1 + math.e)) / 2),
    "margin": (ANSWER_SECOND, {}, (3 + 2 + 0) / 3),
    "softmax": (ANSWER_SECOND, {}, LOG_SUM - 0),
    # two answers of grades 1 and 3 have targets 1/4 and 3/4
    "softmax of grades": ([0.0, 1.0, 3.0, 0.0], {}, (LOG_SUM - 0) / 4 + (LOG_SUM - 1) * 3 / 4),
    # targets e / (e + 3) for the answer and 1 / (e + 3) for the others, whose scores sum to 2
    "listnet": (ANSWER_SECOND, {}, LOG_SUM - 2 / (math.e + 3)),
    # the teacher's probabilities are e^y / Z
    "kl": (
        TEACHER,
        {},
        sum(
            math.exp(y) / sum(map(math.exp, TEACHER)) * (y - math.log(sum(map(math.exp, TEACHER))) - s + LOG_SUM)
            for y, s in zip(TEACHER, SCORES, strict=True)
        ),
    ),
    # the answer ranks third. nDCG's ideal gain is 1; a swap with rank 1, 2, 4 changes it by the distance of
    # 1 / log2(1 + rank), from .5 to 1, .6309, .4307
    "lambda": (
        ANSWER_SECOND,
        {"scheme": "lambda-rank"},
        (
            (1 - 0.5) * math.log(1 + math.e**2)
            + (1 / math.log2(3) - 0.5) * math.log(1 + math.e)
            + (0.5 - 1 / math.log2(5)) * math.log(1 + 1 / math.e)
        )
        / 3,
    ),
    "hybrid": (ANSWER_SECOND, {"top": 2}, (math.log(1 + math.e**2) + math.log(1 + math.e)) / 2 + LOG_SUM),
    "hybrid, weighted": (
        ANSWER_SECOND,
        {"top": 2, "pairwise_weight": 0.5, "listwise_weight": 2.0},
        0.5 * (math.log(1 + math.e**2) + math.log(1 + math.e)) / 2 + 2 * LOG_SUM,
    ),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_a_list_of_four_documents_worked_by_hand(case):
    labels, options, expected = BY_HAND[case]
    function = FUNCTIONS[case.split(" ")[0].rstrip(",")]
    real = torch.ones(1, 4, dtype=torch.bool)
    assert function(torch.tensor([SCORES]), torch.tensor([labels]), real, **options).item() == pytest.approx(expected)


def test_hybrid_in_numbers():
    # log(1 + e^2) = 2.12693, log(1 + e) = 1.31326, their mean 1.72009; log(11.47522) = 2.44019
    loss = hybrid(torch.tensor([SCORES]), torch.tensor([ANSWER_SECOND]), torch.ones(1, 4, dtype=torch.bool), top=2)
    assert loss.item() == pytest.approx(4.16028, abs=1e-5)


def lists(seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Six ragged lists of up to eight documents, with grades."""
    draw = torch.Generator().manual_seed(seed)
    scores = torch.randn(6, 8, generator=draw, dtype=dtype) * 2
    labels = torch.randint(0, 3, (6, 8), generator=draw).to(dtype)
    real = torch.arange(8) < torch.tensor([8, 3, 5, 1, 7, 8])[:, None]
    return scores, labels, real


@pytest.mark.parametrize("word", FUNCTIONS)
def test_derivatives(word):
    scores, labels, real = lists(dtype=torch.float64)
    assert torch.autograd.gradcheck(partial(FUNCTIONS[word], labels=labels, real=real), scores.requires_grad_())


@pytest.mark.parametrize("word", FUNCTIONS)
def test_pads_contribute_nothing(word):
    scores, labels, real = lists()
    there = FUNCTIONS[word](scores, labels, real)
    wide, pads = torch.full((6, 3), torch.nan), torch.zeros(6, 3, dtype=torch.bool)
    wider = torch.cat([scores.masked_fill(~real, 1e9), wide], 1).requires_grad_()
    padded = FUNCTIONS[word](
        wider, torch.cat([labels.masked_fill(~real, torch.inf), wide], 1), torch.cat([real, pads], 1)
    )
    padded.backward()
    assert padded.item() == pytest.approx(there.item(), rel=1e-6)
    assert wider.grad[:, :8][real].any()
    assert not wider.grad[:, 8:].any()
    assert not wider.grad[:, :8][~real].any()


@pytest.mark.parametrize("word", FUNCTIONS)
def test_a_batch_is_the_mean_of_its_lists(word):
    scores, labels, real = lists()
    rows = [FUNCTIONS[word](scores[i : i + 1], labels[i : i + 1], real[i : i + 1]).item() for i in range(6)]
    assert FUNCTIONS[word](scores, labels, real).item() == pytest.approx(sum(rows) / 6)


@pytest.mark.parametrize("word", FUNCTIONS)
@pytest.mark.parametrize("label", [0.0, 1.0])
def test_labels_that_are_all_equal_and_empty_lists_are_no_nan(word, label):
    scores = torch.tensor([[1.0, 2.0], [50.0, -50.0], [0.0, 0.0]], requires_grad=True)
    real = torch.tensor([[True, True], [True, False], [False, False]])
    loss = FUNCTIONS[word](scores, torch.full((3, 2), label), real)
    loss.backward()
    assert loss.isfinite()
    assert scores.grad.isfinite().all()
    if word in ("ranknet", "margin", "lambda") or (word in ("softmax", "hybrid") and not label):
        assert loss.item() == 0


@pytest.mark.parametrize("word", FUNCTIONS)
def test_bfloat16_logits_are_computed_in_float32(word):
    scores, labels, real = lists()
    half = scores.bfloat16()
    loss = FUNCTIONS[word](half, labels, real)
    assert loss.dtype == torch.float32
    assert loss.item() == FUNCTIONS[word](half.float(), labels, real).item()


@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 2), st.booleans()), min_size=2, max_size=9),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_documents_does_not_matter(documents, random):
    def of(listed, function):
        scores, labels, real = (torch.tensor([column]) for column in zip(*listed, strict=True))
        return function(scores / 2, labels.float(), real.bool()).item()

    first, others = documents[:1], documents[1:]
    random.shuffle(others)
    assert of(first + others, FUNCTIONS["margin-mse"]) == pytest.approx(of(documents, FUNCTIONS["margin-mse"]))
    shuffled = list(documents)
    random.shuffle(shuffled)
    partials = [partial(hybrid, top=2), partial(ranknet, top=1), partial(lambda_loss, top=2)]
    for function in [*(FUNCTIONS[word] for word in FUNCTIONS if word != "margin-mse"), *partials]:
        assert of(shuffled, function) == pytest.approx(of(documents, function), abs=1e-6), function


def test_documents_that_tie_with_the_last_of_the_top_are_within():
    scores, real = torch.tensor([[3.0, 1.0, 1.0, 0.0]]), torch.ones(1, 4, dtype=torch.bool)
    # the answer, last, touches the top by each of the three above it
    expected = (math.log(1 + math.e**3) + 2 * math.log(1 + math.e)) / 3
    loss = ranknet(scores, torch.tensor([[0.0, 0.0, 0.0, 1.0]]), real, top=2)
    assert loss.item() == pytest.approx(expected)


def test_the_limits_of_hybrid():
    given_lists = lists()
    assert hybrid(*given_lists, pairwise_weight=0).item() == softmax(*given_lists).item()
    assert hybrid(*given_lists, listwise_weight=0).item() == ranknet(*given_lists, top=5).item()
