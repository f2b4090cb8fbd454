"""The reranker's training: lists of candidates, described by token tables that have not seen their queries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
import Stemmer
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.progress import Progress, silent
from mteb_cascade.stages.modules.interaction import Interaction
from mteb_cascade.stages.modules.tokens import token_ids
from mteb_cascade.training.losses.functions import softmax
from mteb_cascade.training.networks.tokenizer import inverse_document_frequency
from mteb_cascade.training.recipes.pairs import training_pairs, training_queries, training_texts
from mteb_cascade.training.recipes.static import bags, train_table

FOLD_SHARE = 20
"""What a fold counts for in the progress, in epochs of the network."""


@dataclass(frozen=True)
class Question:
    """A training query with the rows that answer it and the fold it belongs to."""

    text: str
    relevant: frozenset[int]
    fold: int


@dataclass(frozen=True, eq=False)
class CandidateList:
    """What the network learns from.

    Args:
        features: float32 [C, F].
        relevant: bool [C], at least one is true.
    """

    features: NDArray[np.float32]
    relevant: NDArray[np.bool_]


def train_reranker(
    collection: Collection,
    base: Path,
    folder: Path,
    *,
    folds: int = 4,
    candidates: int = 25,
    table_epochs: int = 3,
    epochs: int = 20,
    batch_size: int = 32,
    learning_rate: float = 3e-3,
    weight_decay: float = 1e-2,
    hidden: int = 32,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Train an `Interaction` over the bi-encoder's table and save it.

    The bi-encoder has learned the training queries by heart, so under its own table they look easier than any new
    query. Each fold of them is therefore described by a table fitted to the other folds (stacking; Wolpert 1992), and
    the network, which sees similarities and no vectors, is then put on the bi-encoder's table.

    Args:
        collection: Its split "train" is learned from; nothing of "dev" and "test" is read.
        base: Folder of a bi-encoder that `train_static` wrote.
        folder: Where the reranker goes.
        folds: Parts that the training documents are cut into.
        candidates: Documents that BM25 and the fold's table each add to a query's list.
        table_epochs: Passes over the pairs for a fold's table.
        epochs: Passes over the lists.
        batch_size: Lists a step.
        learning_rate: AdamW's highest; it rises over 50 steps and falls to zero.
        weight_decay: AdamW's.
        hidden: Width of the scoring network.
        seed: Of tables, network and order.
        progress: Told of every fold and every epoch.
    """
    from sentence_transformers import SentenceTransformer

    static: Any = SentenceTransformer(str(base), device="cpu")[0]
    tokenizer: Tokenizer = static.tokenizer
    table: Tensor = static.embedding.weight.detach()
    texts = training_texts(collection)
    idf = torch.from_numpy(inverse_document_frequency(tokenizer, texts.values()))
    average_length = float(np.mean([len(ids) for ids in token_ids(tokenizer, list(texts.values()))]))
    fold_of = folds_of(collection, texts, folds)
    asked = questions(collection, texts, fold_of)
    lexical = bm25_candidates([question.text for question in asked], texts, candidates)
    pairs = training_pairs(collection)
    total = FOLD_SHARE * folds + epochs
    lists: list[CandidateList] = []
    for fold in range(folds):
        progress(FOLD_SHARE * fold, total, f"fold {fold + 1} of {folds}")
        fold_table = train_table(
            tokenizer,
            [pair for pair in pairs if fold_of[pair.row] != fold],
            dim=table.shape[1],
            epochs=table_epochs,
            seed=seed + 1 + fold,
        )
        inside = [at for at, question in enumerate(asked) if question.fold == fold]
        judge = Interaction(tokenizer, torch.from_numpy(fold_table), idf, average_length)
        lists += described(judge, [asked[at] for at in inside], lexical[inside], texts, candidates)
    torch.manual_seed(seed)
    model = Interaction(tokenizer, table, idf, average_length, hidden)
    fit(
        model,
        lists,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        progress=lambda done, _, note: progress(FOLD_SHARE * folds + done, total, note),
    )
    model.save(folder)


def folds_of(collection: Collection, texts: dict[int, str], folds: int) -> dict[int, int]:
    """{row: fold} by a hash of the id; documents that answer one training query fall into one fold."""
    leader = {row: row for row in texts}
    train = collection.split("train")
    for query in train.queries.ids:
        relevant = collection.corpus.rows(sorted(train.qrels.of(query)))
        together = [row for row in relevant.tolist() if row in texts]
        for row in together:
            leader[row] = leader[together[0]]
    ids: list[str] = collection.corpus.ids.to_pylist()
    return {row: hash_of(ids[first]) % folds for row, first in leader.items()}


def hash_of(name: str) -> int:
    """A number that is the same in every process."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def questions(collection: Collection, texts: dict[int, str], fold_of: dict[int, int]) -> list[Question]:
    """The training queries that may be read."""
    return [Question(text, frozenset(rows), fold_of[rows[0]]) for text, rows in training_queries(collection, texts)]


def bm25_candidates(queries: Sequence[str], texts: dict[int, str], count: int) -> NDArray[np.int64]:
    """int64 [Q, count], rows of the corpus that BM25 finds among the training texts."""
    stemmer = Stemmer.Stemmer("english")
    retriever = bm25s.BM25(k1=0.9, b=0.4)
    retriever.index(
        bm25s.tokenize(list(texts.values()), stopwords="en", stemmer=stemmer, show_progress=False), show_progress=False
    )
    asked = bm25s.tokenize(list(queries), stopwords="en", stemmer=stemmer, show_progress=False, return_ids=False)
    found, _ = retriever.retrieve(asked, k=min(count, len(texts)), show_progress=False)
    rows: NDArray[np.int64] = np.array(list(texts), np.int64)[found]
    return rows


def described(
    model: Interaction,
    asked: Sequence[Question],
    lexical: NDArray[np.int64],
    texts: dict[int, str],
    candidates: int,
) -> list[CandidateList]:
    """Each query's answers and candidates, BM25's and the nearest under the model's table, as features."""
    rows = np.array(list(texts), np.int64)
    readings = dict(zip(texts, model.fielded(list(texts.values())), strict=True))
    vectors = mean_vectors(model, list(texts.values()))
    near = mean_vectors(model, [question.text for question in asked]) @ vectors.T
    nearest = rows[near.topk(min(candidates, len(rows))).indices.numpy()]
    lists = []
    for question, dense, sparse in zip(asked, nearest, lexical, strict=True):
        listed = list(dict.fromkeys([*sorted(question.relevant), *dense.tolist(), *sparse.tolist()]))
        features = model.features(question.text, [readings[row] for row in listed])
        lists.append(CandidateList(features, np.array([row in question.relevant for row in listed])))
    return lists


def mean_vectors(model: Interaction, texts: Sequence[str]) -> Tensor:
    """float32 [n, d], the texts as a bi-encoder with the model's table sees them."""
    tokens, starts = bags(token_ids(model.tokenizer, texts))
    return functional.normalize(functional.embedding_bag(tokens, torch.from_numpy(model._rows), starts, mode="mean"))


def fit(
    model: Interaction,
    lists: Sequence[CandidateList],
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    weight_decay: float,
    progress: Progress,
) -> None:
    """Fit the scoring network to the lists with the listwise softmax loss; features are standardised over all lists."""
    everything = torch.from_numpy(np.concatenate([one.features for one in lists]))
    model.load_state_dict({"shift": everything.mean(0), "scale": everything.std(0) + 1e-6}, strict=False)
    features, relevant, real = padded(lists)
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=learning_rate, weight_decay=weight_decay)
    batch_size = min(batch_size, len(lists))
    a_pass = len(lists) // batch_size
    steps = epochs * a_pass
    model.train()
    for step in range(steps):
        if step % a_pass == 0:
            order = torch.randperm(len(lists))
        batch = order[step % a_pass * batch_size :][:batch_size]
        optimizer.param_groups[0]["lr"] = learning_rate * min((step + 1) / 50, 1 - step / steps)
        loss = softmax(model(features[batch]), relevant[batch], real[batch])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if (step + 1) % a_pass == 0:
            progress((step + 1) // a_pass, epochs, f"loss {loss.item():.3f}")
    model.eval()


def padded(lists: Sequence[CandidateList]) -> tuple[Tensor, Tensor, Tensor]:
    """Features float32 [Q, C, F], relevant and real bool [Q, C], C the longest list."""
    shape = (len(lists), max(len(one.relevant) for one in lists))
    features = torch.zeros(*shape, lists[0].features.shape[1])
    relevant, real = torch.zeros(shape, dtype=torch.bool), torch.zeros(shape, dtype=torch.bool)
    for at, one in enumerate(lists):
        count = len(one.relevant)
        features[at, :count] = torch.from_numpy(one.features)
        relevant[at, :count] = torch.from_numpy(one.relevant)
        real[at, :count] = True
    return features, relevant, real
