"""What a long text is cut to begins with the same tokens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, models, normalizers, pre_tokenizers

from mteb_cascade.engine import long_texts
from mteb_cascade.engine.long_texts import beginning, shortened, splits_at_spaces

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
TEXTS = st.text(alphabet="ab 7 .'\n\u0301é語🐳Σ", min_size=0, max_size=400)


def made(model: Any, pre_tokenizer: Any, normalizer: Any = None) -> Tokenizer:
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizer
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    return tokenizer


def bpe() -> Any:
    merges = [("a", "b"), ("Ġ", "a"), ("Ġ", "b"), ("ab", "a"), ("b", "b")]
    entries = [*ALPHABET, *("".join(pair) for pair in merges), "<unk>"]
    return models.BPE({entry: at for at, entry in enumerate(entries)}, merges, unk_token="<unk>")


def unigram() -> Any:
    return models.Unigram([("<unk>", 0.0), *((piece, -1.0) for piece in ("▁", "a", "b", "ab", "▁a", "▁ab", "7"))], 0)


def word_piece() -> Any:
    entries = ("[UNK]", "a", "b", "ab", "##a", "##b", "##ab", "7", ".", "'", "##7", "語")
    return models.WordPiece({entry: at for at, entry in enumerate(entries)}, unk_token="[UNK]")


TOKENIZERS = {
    "bert": made(word_piece(), pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer()),
    "bytes": made(bpe(), pre_tokenizers.ByteLevel(), normalizers.NFC()),
    "pieces": made(
        unigram(),
        pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
        normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")]),
    ),
}


@pytest.mark.parametrize("name", TOKENIZERS)
@settings(max_examples=40)
@given(st.lists(TEXTS, max_size=4), st.integers(1, 12))
def test_the_tokens_that_are_wanted_stay(name: str, texts: list[str], wanted: int) -> None:
    backend = TOKENIZERS[name]
    assert splits_at_spaces(backend)
    found = shortened(backend, texts, wanted)
    for text, cut in zip(texts, found, strict=True):
        whole, kept = (backend.encode(one, add_special_tokens=False).ids for one in (text, cut))
        assert kept == whole[: len(kept)]
        assert kept == whole or len(kept) >= wanted
        assert text.startswith(cut)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_little_is_read_of_a_long_line(name: str) -> None:
    text = "ab 7 a " * 30_000
    (cut,) = shortened(TOKENIZERS[name], [text], 50)
    assert len(cut) < 500
    # Where the first characters hold too few tokens, more of them are read.
    (cut,) = shortened(TOKENIZERS[name], [" " * 2_000 + text], 50)
    assert len(TOKENIZERS[name].encode(cut).ids) >= 50 and len(cut) < 50_000


def test_a_line_without_spaces_is_left_whole() -> None:
    assert shortened(TOKENIZERS["bert"], ["a" * 20_000], 5) == ["a" * 20_000]
    assert beginning("aaa bbb", 3) == ""


@pytest.mark.parametrize(
    "tokenizer",
    [
        made(bpe(), None),
        made(bpe(), pre_tokenizers.ByteLevel(use_regex=False)),
        made(unigram(), pre_tokenizers.Metaspace(split=False)),
        made(unigram(), pre_tokenizers.Sequence([pre_tokenizers.Digits(), pre_tokenizers.Metaspace()])),
        made(unigram(), pre_tokenizers.Metaspace(), normalizers.Replace(Regex("a b"), "ab")),
    ],
    ids=["none", "no regex", "no split", "digits first", "replaces"],
)  # fmt: skip
def test_tokenizers_that_may_read_over_a_space_get_whole_texts(tokenizer: Tokenizer) -> None:
    assert not splits_at_spaces(tokenizer)
    assert shortened(tokenizer, ["ab " * 9_000], 5) == ["ab " * 9_000]


def test_an_added_token_with_a_space_in_it() -> None:
    tokenizer = made(word_piece(), pre_tokenizers.BertPreTokenizer())
    tokenizer.add_tokens([AddedToken("a b")])
    assert not splits_at_spaces(tokenizer)
    assert long_texts.flattened(None, "normalizers") == []
