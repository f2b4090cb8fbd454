"""A sparse encoder from counts alone: every word's weight is its inverse document frequency."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mteb_cascade.corpora.collection import Collection
from mteb_cascade.progress import Progress, silent
from mteb_cascade.training.networks.tokenizer import SPECIAL, inverse_document_frequency, train_tokenizer
from mteb_cascade.training.recipes.pairs import training_texts


def train_idf(collection: Collection, folder: Path, *, vocabulary: int = 8000, progress: Progress = silent) -> None:
    """Fit a tokenizer and its inverse document frequencies, and save a SparseEncoder folder.

    A score is the sum of idf squared over the subwords that query and document share, however often they stand there:
    what a learned sparse encoder has to beat.

    Args:
        collection: Its splits "dev" and "test" are held out: neither their queries nor their answers are read.
        folder: Where the model goes: SparseStaticEmbedding alone, compared by inner product.
        vocabulary: Entries of the tokenizer.
        progress: Told after each of two steps.
    """
    from sentence_transformers import SparseEncoder
    from sentence_transformers.sparse_encoder.modules import SparseStaticEmbedding
    from transformers import PreTrainedTokenizerFast

    texts = list(training_texts(collection).values())
    tokenizer = train_tokenizer(texts, vocabulary)
    progress(1, 2, "tokenizer")
    weight = torch.from_numpy(inverse_document_frequency(tokenizer, texts))
    pad, unknown = SPECIAL
    wrapped: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, pad_token=pad, unk_token=unknown
    )
    module = SparseStaticEmbedding(wrapped, weight=weight, frozen=True)
    SparseEncoder(modules=[module], device="cpu", similarity_fn_name="dot").save_pretrained(str(folder))
    progress(2, 2, "weights")
