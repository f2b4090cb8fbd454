"""A tokenizer from nothing."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

SPECIAL = ("[PAD]", "[UNK]")
"""The first entries of the vocabulary, in this order: `tokens.UNKNOWN` is the second's id."""


def train_tokenizer(texts: Iterable[str], vocabulary: int = 8000, marks: tuple[str, ...] = ()) -> Tokenizer:
    """WordPiece over lower-cased words, a `camelCase` name split at its capitals, punctuation dropped.

    Args:
        texts: What it may read.
        vocabulary: Entries, the special ones among them.
        marks: Special entries after the first two.

    Returns:
        The same tokenizer for the same texts.
    """
    texts = list(texts)
    tokenizer = Tokenizer(models.WordPiece(unk_token=SPECIAL[1]))
    inner_capital = Regex("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Replace(inner_capital, " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}]+"), "removed")
    # The trainer numbers inner letters in the order of a hash table and breaks ties by number: numbered first, they
    # are always alike. They must not stay special tokens, so the vocabulary moves to a fresh model.
    letters = sorted({letter for text in texts for letter in tokenizer.normalizer.normalize_str(text)})
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=[*SPECIAL, *marks, *(f"##{letter}" for letter in letters if letter.isalnum())],
        min_frequency=2,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    found = Tokenizer(models.WordPiece(tokenizer.get_vocab(), unk_token=SPECIAL[1]))
    found.normalizer, found.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    if marks:
        found.add_special_tokens(list(marks))
    return found


def inverse_document_frequency(tokenizer: Tokenizer, texts: Iterable[str]) -> NDArray[np.float32]:
    """float32 [V], log((N + 1) / (df + 1/2)) of every token over N texts."""
    encoded = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
    frequency = np.zeros(tokenizer.get_vocab_size())
    for one in encoded:
        frequency[np.unique(np.array(one.ids, np.int64))] += 1
    return np.log((len(encoded) + 1) / (frequency + 0.5)).astype(np.float32)
