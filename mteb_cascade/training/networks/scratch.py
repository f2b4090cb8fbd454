"""Models from nothing: a tokenizer trained on the corpus, under a static table or a small BERT."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mteb_cascade.corpora.corpus import Corpus
from mteb_cascade.errors import InputError
from mteb_cascade.training.networks.tokenizer import SPECIAL, train_tokenizer
from mteb_cascade.training.options import Training

TEXTS = 200_000
"""Documents that a tokenizer is trained on at most, drawn evenly."""

MARKS = {"cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]"}
"""What a BERT has beside padding and the unknown word."""


def static_encoder(kind: str, options: Training, corpus: Corpus, what: str) -> Any:
    """A SentenceTransformer of one module: a table of random subword vectors, whose mean is a text's vector.

    Raises:
        InputError: Another kind than bi-encoder is asked for.
    """
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    if kind != "bi-encoder":
        raise InputError(
            f"{what}: [training.scratch] layers = 0 is a static table, which makes bi-encoders only; "
            f"give a {kind} one or more layers"
        )
    tokenizer = train_tokenizer(sampled(corpus), options.scratch.vocabulary)
    table = torch.randn(tokenizer.get_vocab_size(), options.scratch.dim)
    module = StaticEmbedding(tokenizer, embedding_weights=table)
    return SentenceTransformer(modules=[module], similarity_fn_name="cosine")


def scratch_base(options: Training, corpus: Corpus, folder: Path, what: str) -> Path:
    """The folder of a random BERT with a tokenizer of its own, for any kind to start from.

    Raises:
        InputError: The width cannot be split among the heads.
    """
    from tokenizers.processors import TemplateProcessing
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    sizes = options.scratch
    if sizes.dim % sizes.heads:
        raise InputError(f"{what}: [training.scratch] dim {sizes.dim} cannot be split among {sizes.heads} heads")
    tokenizer = train_tokenizer(sampled(corpus), sizes.vocabulary, tuple(MARKS.values()))
    first, last = MARKS["cls_token"], MARKS["sep_token"]
    tokenizer.post_processor = TemplateProcessing(
        single=f"{first} $A {last}",
        pair=f"{first} $A {last} $B:1 {last}:1",
        special_tokens=[(mark, tokenizer.token_to_id(mark)) for mark in (first, last)],
    )
    wrapped: Any = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[0],
        unk_token=SPECIAL[1],
        model_max_length=sizes.positions,
        **MARKS,
    )
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=sizes.dim,
        num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads,
        intermediate_size=sizes.feed_forward,
        max_position_embeddings=sizes.positions,
    )
    network: Any = BertForMaskedLM(config)
    network.save_pretrained(str(folder))
    wrapped.save_pretrained(str(folder))
    return folder


def sampled(corpus: Corpus) -> Iterator[str]:
    """Texts of at most `TEXTS` documents, evenly spread over the corpus."""
    rows = np.unique(np.linspace(0, len(corpus) - 1, min(TEXTS, len(corpus))).astype(np.int64))
    for start in range(0, len(rows), 10_000):
        yield from corpus.texts_at(rows[start : start + 10_000])
