"""Tokenizers are mended or named before the first step."""

from copy import deepcopy

import pytest
from sentence_transformers import CrossEncoder, SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from transformers import RobertaConfig, RobertaModel, T5Config, T5EncoderModel

from mteb_cascade.errors import InputError
from mteb_cascade.training.networks.limits import positions, prepare_tokenizer

LONG = ["red fox " * 100]


def encoder(folder, tokenizer, limit):
    """A bi-encoder over 64 positions whose tokenizer cuts elsewhere."""
    network = SentenceTransformer(modules=[Transformer(str(folder)), Pooling(16, pooling_mode="mean")], device="cpu")
    network[0].processor = deepcopy(tokenizer)
    network[0].tokenizer.model_max_length = limit
    return network


@pytest.mark.parametrize(
    ("limit", "max_length", "kept"),
    [(int(1e30), None, 64), (512, None, 64), (16, None, 16), (16, 32, 32), (64, 64, 64)],
)
def test_a_tokenizer_keeps_what_is_asked_for_and_the_model_takes(limit, max_length, kept, tiny_bert, tiny_tokenizer):
    network = encoder(tiny_bert, tiny_tokenizer, limit)
    prepare_tokenizer(network, max_length, "models/tiny.toml")
    assert network.preprocess(LONG)["input_ids"].shape == (1, kept)
    network.encode(LONG, show_progress_bar=False)


def test_more_tokens_than_the_model_takes_are_named(tiny_bert, tiny_tokenizer):
    with pytest.raises(InputError, match=r"models/tiny\.toml: \[training\] max_length 65 is more than the 64 tokens"):
        prepare_tokenizer(encoder(tiny_bert, tiny_tokenizer, 512), 65, "models/tiny.toml")


def test_a_tokenizer_without_a_pad_token_gets_one_that_the_model_knows(tiny_bert, tiny_cross_encoder, tiny_tokenizer):
    bare = deepcopy(tiny_tokenizer)
    bare.pad_token = None
    network = encoder(tiny_bert, bare, 64)
    prepare_tokenizer(network, None, "tiny")
    assert network.tokenizer.pad_token == "[PAD]"
    assert network.preprocess(["red fox", "red"])["attention_mask"].tolist()[1][-1] == 0

    ranker = CrossEncoder(str(tiny_cross_encoder), device="cpu")
    ranker.tokenizer.pad_token = None
    prepare_tokenizer(ranker, None, "tiny")
    assert (ranker.tokenizer.pad_token, ranker.transformers_model.config.pad_token_id) == ("[PAD]", 0)


def test_one_that_has_nothing_to_pad_with_is_named(tiny_bert, tiny_tokenizer):
    bare = deepcopy(tiny_tokenizer)
    for name in ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"):
        setattr(bare, name, None)
    network = encoder(tiny_bert, bare, 64)
    network.transformers_model.config.pad_token_id = None
    with pytest.raises(InputError, match="tiny: its tokenizer has no pad token"):
        prepare_tokenizer(network, None, "tiny")


def test_positions_are_those_of_the_table_behind_the_pads_or_none():
    small = {
        "hidden_size": 8,
        "num_hidden_layers": 1,
        "num_attention_heads": 1,
        "intermediate_size": 8,
        "vocab_size": 20,
    }
    assert positions(RobertaModel(RobertaConfig(**small, max_position_embeddings=34, pad_token_id=1))) == 32
    t5 = T5Config(vocab_size=20, d_model=8, d_ff=8, d_kv=4, num_layers=1, num_heads=2)
    assert positions(T5EncoderModel(t5)) is None
