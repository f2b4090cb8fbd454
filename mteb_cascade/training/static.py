"""A bi-encoder from nothing: a static table of subword vectors with its own tokenizer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

Progress = Callable[[int, int, str], None]
"""Called with the steps done, the steps in all, and a word on what is being done."""


def train_tokenizer(texts: Iterable[str], vocabulary: int = 8000, kind: str = "wordpiece", camel: bool = True):
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    steps = [normalizers.NFKC()]
    if camel:
        steps.append(normalizers.Replace(Regex("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"), " "))
    steps.append(normalizers.Lowercase())
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        trainer = trainers.WordPieceTrainer(
            vocab_size=vocabulary, special_tokens=["[PAD]", "[UNK]"], show_progress=False, min_frequency=2
        )
    elif kind == "word":
        tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        trainer = trainers.WordLevelTrainer(
            vocab_size=vocabulary, special_tokens=["[PAD]", "[UNK]"], show_progress=False, min_frequency=2
        )
    else:
        tokenizer = Tokenizer(models.Unigram())
        trainer = trainers.UnigramTrainer(
            vocab_size=vocabulary, special_tokens=["[PAD]", "[UNK]"], unk_token="[UNK]", show_progress=False
        )
    tokenizer.normalizer = normalizers.Sequence(steps)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"[^\p{L}\p{N}]+"), "removed"), pre_tokenizers.Digits(individual_digits=False)]
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
