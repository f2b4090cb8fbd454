"""A bi-encoder from nothing: a static table of subword vectors with its own tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.modules.tokens import token_ids
from mteb_cascade.training.networks.tokenizer import train_tokenizer
from mteb_cascade.training.recipes.pairs import Pair, training_pairs, training_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

WARM_UP = 0.1
"""Share of the steps over which the learning rate rises; it falls to 0 over the others."""


def train_static(
    collection: Collection,
    folder: Path,
    *,
    dim: int = 512,
    vocabulary: int = 8000,
    epochs: int = 3,
    batch_size: int = 1024,
    learning_rate: float = 0.2,
    temperature: float = 0.05,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Train tokenizer and table on the collection's training text, and save a SentenceTransformer folder.

    Args:
        collection: Its splits "dev" and "test" are held out: neither their queries nor their answers are read.
        folder: Where the model goes: StaticEmbedding alone, compared by cosine.
        dim: Width of a vector.
        vocabulary: Entries of the tokenizer.
        epochs: Passes over the pairs; 0 leaves the table random, the untrained baseline.
        batch_size: Pairs a step; the others' documents are the negatives.
        learning_rate: Peak of Adam's.
        temperature: What cosines are divided by.
        seed: Of initial vectors and order.
        progress: Told after each step.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    tokenizer = train_tokenizer(training_texts(collection).values(), vocabulary)
    table = train_table(
        tokenizer,
        training_pairs(collection),
        dim=dim,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        seed=seed,
        progress=progress,
    )
    module = StaticEmbedding(tokenizer, embedding_weights=table)
    SentenceTransformer(modules=[module], device="cpu", similarity_fn_name="cosine").save_pretrained(str(folder))


def train_table(
    tokenizer: Tokenizer,
    pairs: Sequence[Pair],
    *,
    dim: int = 512,
    epochs: int = 3,
    batch_size: int = 1024,
    learning_rate: float = 0.2,
    temperature: float = 0.05,
    seed: int = 0,
    progress: Progress = silent,
) -> NDArray[np.float32]:
    """Token vectors whose means bring the two sides of a pair together (InfoNCE with in-batch negatives, both ways).

    A document is no negative of its own other pairs.

    Returns:
        float32 [V, dim].
    """
    torch.manual_seed(seed)
    order = np.random.default_rng(seed)
    table = nn.EmbeddingBag(tokenizer.get_vocab_size(), dim, mode="mean")
    nn.init.normal_(table.weight)
    if epochs == 0:
        return table.weight.detach().numpy()
    queries = token_ids(tokenizer, [pair.query for pair in pairs])
    documents = token_ids(tokenizer, [pair.document for pair in pairs])
    rows = np.array([pair.row for pair in pairs])
    batch_size = min(batch_size, len(pairs))
    steps = epochs * (len(pairs) // batch_size)
    optimizer = torch.optim.Adam(table.parameters(), lr=learning_rate, betas=(0.9, 0.99))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warm_up_then_down(step, steps))
    done = 0
    for _ in range(epochs):
        shuffled = order.permutation(len(pairs))
        for start in range(0, len(pairs) - batch_size + 1, batch_size):
            batch = shuffled[start : start + batch_size]
            left = normalize(table(*bags([queries[i] for i in batch])))
            right = normalize(table(*bags([documents[i] for i in batch])))
            similar = left @ right.T / temperature
            same = torch.from_numpy(rows[batch][:, None] == rows[batch][None, :]).fill_diagonal_(False)
            similar = similar.masked_fill(same, -torch.inf)
            target = torch.arange(len(batch))
            loss = (cross_entropy(similar, target) + cross_entropy(similar.T, target)) / 2
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            done += 1
            progress(done, steps, f"loss {loss.item():.2f}")
    return table.weight.detach().numpy()


def warm_up_then_down(step: int, steps: int) -> float:
    """Factor of the learning rate at a step: linear up to 1, then linear down."""
    return min((step + 1) / (WARM_UP * steps), (steps - step) / (steps * (1 - WARM_UP)), 1.0)


def bags(ids: Sequence[NDArray[np.int64]]) -> tuple[Tensor, Tensor]:
    """Token ids one after the other, and where each text starts: what an EmbeddingBag takes."""
    lengths = np.array([len(one) for one in ids])
    return torch.from_numpy(np.concatenate(ids)), torch.from_numpy(np.cumsum(lengths) - lengths)
