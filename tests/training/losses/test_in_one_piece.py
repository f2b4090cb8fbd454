from __future__ import annotations

from copy import deepcopy

import pytest
import torch

from mteb_cascade.training import losses
from mteb_cascade.training.options import Training

COLUMNS = (
    ["red fox", "blue whale", "green tree"],
    ["the fox of old", "the whale", "tree stone"],
    ["whale", "old stone of the fox", "red"],
)


@pytest.mark.parametrize("micro_batch", [8, 4, 2])
def test_a_batch_that_fits_has_the_gradient_of_one_that_is_cut(tiny_bi_encoder, micro_batch) -> None:
    from sentence_transformers import SentenceTransformer

    gradients, passes = [], []
    for size in (9, micro_batch):
        network = SentenceTransformer(str(tiny_bi_encoder), device="cpu").eval()
        counted: list[int] = []
        network.register_forward_hook(lambda *_, counted=counted: counted.append(1))
        training = Training(base="b", loss="contrastive", collection="c", temperature=0.5, micro_batch=size)
        loss = losses.build("bi-encoder", network, training, "spec")
        loss([deepcopy(network.preprocess(texts)) for texts in COLUMNS], None).backward()
        gradients.append([one.grad for one in network.parameters() if one.grad is not None])
        passes.append(len(counted))
    assert passes == [3, 2 * 3 * -(-3 // micro_batch)]
    for whole, cut in zip(*gradients, strict=True):
        torch.testing.assert_close(whole, cut, rtol=1e-4, atol=1e-6)
