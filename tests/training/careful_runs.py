"""Careful trainers over a few random lists: runs of a fraction of a second, without data, mining or evaluation."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.training.feeds import Form, feed
from mteb_cascade.training.lists import Lists
from mteb_cascade.training.steps.batches import batch_sampler
from mteb_cascade.training.steps.careful import arguments_class, trainer_class

WORDS = ["red", "fox", "blue", "whale", "green", "tree", "old", "stone", "the", "of"]


def some_lists(queries: int = 24, documents: int = 60, negatives: int = 3) -> Lists:
    """Random words; each query has one answer, the first document of its list."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(WORDS, rng.integers(2, 12))) for _ in range(documents + queries)]
    docs = np.stack([rng.permutation(documents)[: negatives + 1] for _ in range(queries)]).astype(np.int32)
    relevant = np.zeros(docs.shape, bool)
    relevant[:, 0] = True
    return Lists(
        Queries(tuple(f"q{row}" for row in range(queries)), tuple(texts[documents:])),
        Corpus.of([f"d{row}" for row in range(documents)], texts[:documents]),
        docs,
        relevant.astype(np.float32),
        relevant,
    )


def network_of(kind: str, model: Path, dropout: float = 0.1) -> Any:
    """The model, on the CPU."""
    import sentence_transformers
    import torch

    network = {"cross-encoder": "CrossEncoder"}.get(kind, "SentenceTransformer")
    found = getattr(sentence_transformers, network)(str(model), device="cpu")
    for module in found.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = dropout
    return found


def trainer(
    kind: str,
    network: Any,
    loss: Callable[[Any], Any],
    folder: Path,
    *,
    form: Form = "tuples",
    lists: Lists | None = None,
    negatives: int = 2,
    micro_batch: int = 32,
    batch_size: int = 8,
    careful: dict[str, Any] | None = None,
    **arguments: Any,
) -> Any:
    """A trainer of 24 queries: three steps an epoch, three epochs, plain SGD unless told otherwise."""
    # Transformers collects garbage before it trains, which takes longer than to train, with all that a test imports.
    gc.freeze()
    lists = some_lists() if lists is None else lists
    given = {
        "output_dir": str(folder),
        "num_train_epochs": 3,
        "per_device_train_batch_size": batch_size,
        "learning_rate": 0.05,
        "save_strategy": "no",
        "eval_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "dataloader_drop_last": True,
        "optim": "sgd",
        "batch_sampler": batch_sampler(lists, form),
    }
    return trainer_class(kind)(
        model=network,
        args=arguments_class(kind)(**given | arguments),
        train_dataset=feed(lists, form, negatives=negatives),
        loss=loss(network),
        micro_batch=micro_batch,
        query_ids=lists.queries.ids,
        what="models/tiny.toml",
        **careful or {},
    )


def weights(network: Any) -> dict[str, np.ndarray]:
    """{name: values} of all that it has learned."""
    return {name: tensor.detach().numpy().copy() for name, tensor in network.state_dict().items()}


def furthest(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> float:
    """The largest difference of two sets of weights."""
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)
