"""Training that does not fall over: parts of a batch, too little memory, a loss that is no number."""

import json
import warnings

import numpy as np
import pytest
import torch
from careful_runs import furthest, network_of, some_lists, trainer, weights
from sentence_transformers.sentence_transformer import losses
from torch import nn

from mteb_cascade.errors import InputError
from mteb_cascade.training.losses.list_loss import ListLoss


def with_labels(kind):
    """Lists as a teacher would score them."""
    from dataclasses import replace

    lists = some_lists()
    labels = np.random.default_rng(1).normal(size=lists.docs.shape).astype(np.float32)
    return replace(lists, labels=labels, scored=True) if kind == "scored" else lists


CUT = {
    "triplet": ("triplets", losses.TripletLoss),
    "cosine": ("labelled", losses.CosineSimilarityLoss),
    "kl": ("scored", losses.DistillKLDivLoss),
}


@pytest.mark.parametrize("word", CUT)
def test_a_batch_in_parts_has_the_gradient_of_the_whole(word, tiny_bi_encoder, tmp_path):
    form, loss = CUT[word]
    ends = []
    for micro_batch in (1000, 7, 1):
        network = network_of("bi-encoder", tiny_bi_encoder, dropout=0)
        seen = rows_seen(network)
        run = trainer(
            "bi-encoder",
            network,
            loss,
            tmp_path,
            form=form,
            lists=with_labels(form),
            micro_batch=micro_batch,
            max_steps=2,
        )
        run.train()
        ends.append(weights(network))
        columns = {"triplets": 3, "labelled": 2, "scored": 4}[form]
        assert max(seen) <= max(micro_batch, columns)
    start = weights(network_of("bi-encoder", tiny_bi_encoder))
    moved = furthest(start, ends[0])
    assert moved > 1e-3
    assert furthest(ends[0], ends[1]) < 1e-4 * moved + 1e-6
    assert furthest(ends[0], ends[2]) < 1e-4 * moved + 1e-6


def rows_seen(network):
    """Rows of every forward pass, as they come."""
    seen = []
    network.register_forward_pre_hook(lambda _, given: seen.append(len(given[0]["input_ids"])))
    return seen


def small_memory(network, most, start):
    """From forward pass number `start` on, memory holds that many texts and no more; returns their numbers."""
    seen = []

    def check(_, given):
        seen.append(len(given[0]["input_ids"]))
        if len(seen) >= start and seen[-1] > most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")

    network.register_forward_pre_hook(check)
    return seen


MEMORY = {
    "cached": ("bi-encoder", "tuples", lambda n: losses.CachedMultipleNegativesRankingLoss(n, mini_batch_size=8), 1),
    "matryoshka": (
        "bi-encoder",
        "tuples",
        lambda n: losses.MatryoshkaLoss(n, losses.CachedMultipleNegativesRankingLoss(n, mini_batch_size=8), [16, 8]),
        1,
    ),
    "in parts": ("bi-encoder", "triplets", losses.TripletLoss, 3),
    "list": ("cross-encoder", "lists", lambda n: ListLoss(n, "softmax", mini_batch_size=8), 1),
}


@pytest.mark.parametrize("how", MEMORY)
def test_where_memory_runs_out_at_step_3_the_same_is_learned_in_smaller_parts(how, request, tmp_path):
    kind, form, loss, columns = MEMORY[how]
    model = request.getfixturevalue("tiny_bi_encoder" if kind == "bi-encoder" else "tiny_cross_encoder")
    given = {"form": form, "micro_batch": 8 * columns, "max_steps": 5}
    # Dropout is drawn for each micro-batch apart, so it is off where their sizes differ.
    whole = network_of(kind, model, dropout=0)
    counted = rows_seen(whole)
    undisturbed = trainer(kind, whole, loss, tmp_path, **given)
    undisturbed.train()

    network = network_of(kind, model, dropout=0)
    most = 2 * columns
    seen = small_memory(network, most, start=2 * len(counted) // 5 + 1)
    run = trainer(kind, network, loss, tmp_path, **given)
    with pytest.warns(UserWarning) as told:
        run.train()
    said = [str(one.message) for one in told if "memory ran out" in str(one.message)]
    assert [text.split(":")[2].strip().split(";")[0] for text in said] == [
        f"micro_batch is {4 * columns} now, no longer {8 * columns}",
        f"micro_batch is {2 * columns} now, no longer {4 * columns}",
    ]
    assert all(text.startswith("models/tiny.toml: memory ran out at step 3:") for text in said)
    assert run.state.global_step == undisturbed.state.global_step == 5
    assert run.batches.together == 8
    assert max(seen[-4:]) <= most < max(counted)
    moved = furthest(weights(network_of(kind, model)), weights(whole))
    assert furthest(weights(network), weights(whole)) < 1e-4 * moved + 1e-6 < 1e-3 * moved


def test_what_did_not_fit_leaves_no_trace_in_gradients_or_random_numbers(tiny_bi_encoder, tmp_path):
    # With dropout, in float32 and bfloat16: memory runs out once, late in a step that then is done again as it was.
    for options in ({}, {"bf16": True, "gradient_checkpointing": True}):
        ends = []
        for fails in (False, True):
            network = network_of("bi-encoder", tiny_bi_encoder)
            run = trainer(
                "bi-encoder",
                network,
                losses.TripletLoss,
                tmp_path,
                form="triplets",
                max_steps=3,
                micro_batch=12,
                **options,
            )
            if fails:
                fail_once(run, step=1, part=1)
            run.train()
            ends.append(weights(network))
        assert furthest(*ends) == 0


def fail_once(run, step, part):
    """Memory runs out in a part of a step, after the backward of the parts before; nothing is made smaller."""
    inner, calls = run.compute_loss, []

    def compute_loss(*given, **options):
        calls.append(run.state.global_step)
        if calls.count(step) == part + 1 and calls[-1] == step:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return inner(*given, **options)

    run.compute_loss = compute_loss
    run.halve = lambda inputs: None


def test_memory_that_holds_no_single_text_ends_in_one_line(tiny_bi_encoder, tmp_path):
    network = network_of("bi-encoder", tiny_bi_encoder)
    small_memory(network, most=0, start=1)
    run = trainer("bi-encoder", network, losses.TripletLoss, tmp_path, form="triplets", micro_batch=4)
    with pytest.raises(InputError) as told:
        run.train()
    assert str(told.value).startswith("models/tiny.toml: memory ran out at step 1 with micro_batch ")
    assert "max_length lower" in str(told.value)
    assert "gradient_checkpointing = true" in str(told.value)
    assert "\n" not in str(told.value)


def test_another_error_is_not_taken_for_memory(tiny_bi_encoder, tmp_path):
    network = network_of("bi-encoder", tiny_bi_encoder)

    def broken(*_):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    network.register_forward_pre_hook(broken)
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        trainer("bi-encoder", network, losses.TripletLoss, tmp_path, form="triplets").train()


class Poisoned(nn.Module):
    """Another loss, that turns into no number at one step."""

    def __init__(self, model, step, how):
        super().__init__()
        self.model, self.inner = model, losses.TripletLoss(model)
        self.step, self.how, self.count = step, how, 0

    def forward(self, features, labels):
        self.count += 1
        loss = self.inner(features, labels)
        if self.count != self.step:
            return loss
        # The square root's slope at 0 is infinite: the loss is a number where the gradient is none.
        return loss * float(self.how) if self.how != "gradient" else loss + (loss * 0).sqrt()


@pytest.mark.parametrize("how", ["nan", "gradient"])
def test_a_loss_that_is_no_number_stops_before_it_spoils_the_weights(how, tiny_bi_encoder, tmp_path):
    before = network_of("bi-encoder", tiny_bi_encoder)
    trainer(
        "bi-encoder",
        before,
        losses.TripletLoss,
        tmp_path / "a",
        form="triplets",
        max_steps=7,
        lr_scheduler_type="constant",
    ).train()

    network = network_of("bi-encoder", tiny_bi_encoder)
    run = trainer(
        "bi-encoder",
        network,
        lambda n: Poisoned(n, step=8, how=how),
        tmp_path / "b",
        form="triplets",
        lr_scheduler_type="constant",
    )
    columns = []
    tokenize = run.data_collator.preprocess_fn
    run.data_collator.preprocess_fn = lambda texts, **given: columns.append(texts) or tokenize(texts, **given)
    with pytest.raises(InputError) as told:
        run.train()
    name = "gradient" if how == "gradient" else "loss"
    assert str(told.value).startswith(f"models/tiny.toml: the {name} of step 8 is no finite number. The 8 queries")
    facts = json.loads((tmp_path / "b" / "nan" / "facts.json").read_text())
    texts = dict(zip(some_lists().queries.ids, some_lists().queries.texts, strict=True))
    assert [texts[query] for query in facts["queries"]] == columns[7 * 3]
    assert facts["step"] == 8
    assert furthest(weights(before), weights(network)) == 0
    from safetensors.numpy import load_file

    saved = load_file(tmp_path / "b" / "nan" / "model.safetensors")
    assert all(np.array_equal(saved[key], value) for key, value in weights(network).items() if key in saved)
    assert len(saved) > 10


def test_progress_is_told_after_each_step_and_nothing_is_printed(tiny_cross_encoder, tmp_path, capfd):
    told = []
    run = trainer(
        "cross-encoder",
        network_of("cross-encoder", tiny_cross_encoder),
        lambda n: ListLoss(n, "softmax", mini_batch_size=8),
        tmp_path,
        form="lists",
        logging_steps=1,
        careful={"progress": lambda *given: told.append(given)},
    )
    capfd.readouterr()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.train()
    assert [one[:2] for one in told] == [(step, 9) for step in range(1, 10)]
    assert f"loss {run.state.log_history[-2]['loss']:.4f}" in told[-1][2]
    assert told[-1][2].endswith(" queries/s")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["sparse", "late-interaction"])
def test_the_other_kinds_train_in_parts_too(kind, request, tmp_path):
    import sentence_transformers
    from sentence_transformers.multi_vector_encoder import losses as late
    from sentence_transformers.sparse_encoder import losses as sparse

    if kind == "sparse":
        network = sentence_transformers.SparseEncoder(str(request.getfixturevalue("tiny_sparse")), device="cpu")
        inner = sparse.SparseMultipleNegativesRankingLoss(network)
        loss = sparse.CachedSpladeLoss(network, inner, 1e-3, 1e-3, mini_batch_size=4)
    else:
        folder = request.getfixturevalue("tiny_late_interaction")
        network = sentence_transformers.MultiVectorEncoder(str(folder), device="cpu")
        loss = late.MultiVectorMarginMSELoss(network)
    form = "tuples" if kind == "sparse" else "scored"
    seen = small_memory(network, most=2 if kind == "sparse" else 4, start=1)
    run = trainer(kind, network, lambda _: loss, tmp_path, form=form, lists=with_labels(form), max_steps=2)
    with pytest.warns(UserWarning, match="memory ran out at step 1"):
        run.train()
    assert run.state.global_step == 2
    assert seen[-1] <= 4
