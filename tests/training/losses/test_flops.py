"""SPLADE's FLOPS term, alone and over the texts of two ranks."""

import pytest
import torch
from sentence_transformers.sparse_encoder.losses import FlopsLoss

from mteb_cascade.training import losses
from mteb_cascade.training.losses import flops
from mteb_cascade.training.options import Training


@pytest.fixture(scope="module")
def terms(tiny_sparse):
    """The two terms of a loss as it is built."""
    from sentence_transformers import SparseEncoder

    network = SparseEncoder(str(tiny_sparse), device="cpu")
    loss = losses.build("sparse", network, Training(base="base", loss="contrastive", collection="PythonDocs"), "spec")
    return loss.document_regularizer, loss.query_regularizer


def test_alone_it_is_theirs(terms):
    weights = torch.rand(4, 6)
    theirs = FlopsLoss(None).compute_loss_from_embeddings(weights)
    assert [term.compute_loss_from_embeddings(weights).item() for term in terms] == pytest.approx([theirs.item()] * 2)


def test_two_ranks_have_the_term_of_all_texts(terms, monkeypatch):
    ours, others = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 4.0], [2.0, 0.0]])
    monkeypatch.setattr(flops, "all_gather_with_grad", lambda mean: torch.cat([mean, others.mean(dim=0, keepdim=True)]))
    # Means over the four texts: 1 and 1. The mean of the ranks' own terms, 1 and 5, would be 3.
    assert [term.compute_loss_from_embeddings(ours).item() for term in terms] == [2, 2]
