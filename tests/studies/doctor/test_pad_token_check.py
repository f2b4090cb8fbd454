"""Folders of decoders and encoders whose pad tokens are missing, or are two."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from planted import in_place, one

from mteb_cascade.stages.bi_encoder import BiEncoder
from mteb_cascade.stages.bm25 import BM25
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.studies.doctor.checks import pad_token, padding


@pytest.fixture
def decoder(tiny_tokenizer, tmp_path):
    """Saves a Llama of one label with random weights."""

    def save(pad=None, config_pad=None, ends=False):
        from tokenizers.processors import TemplateProcessing
        from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedTokenizerFast

        backend = copy.deepcopy(tiny_tokenizer.backend_tokenizer)
        special = [(token, backend.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
        end = " [SEP]" if ends else ""
        backend.post_processor = TemplateProcessing(
            single=f"[CLS] $A{end}", pair=f"[CLS] $A $B{end}", special_tokens=special
        )
        names = {"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "[UNK]"} | ({"pad_token": pad} if pad else {})
        PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=64, **names).save_pretrained(tmp_path / "m")
        torch.manual_seed(0)
        config = LlamaConfig(
            vocab_size=len(tiny_tokenizer), hidden_size=16, intermediate_size=32, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, initializer_range=1.0,
            num_labels=1, pad_token_id=config_pad, bos_token_id=2, eos_token_id=3,
        )  # fmt: skip
        LlamaForSequenceClassification(config).save_pretrained(tmp_path / "m")
        return in_place(CrossEncoder(model=str(tmp_path / "m"), max_length=32))

    return save


def test_no_pad_token_anywhere(decoder):
    subject = decoder()
    found = one(pad_token.check(subject))
    assert found.verdict == "fail"
    assert found.evidence.startswith(
        "the tokenizer has no pad token, config.pad_token_id is not set: sentence-transformers refuses a batch ("
        "Asking to pad but the tokenizer does not have a padding token"
    )
    assert found.evidence.endswith("; padded with '[SEP]' here")
    assert "config.pad_token_id" in found.remedy
    # What this stage does about it works.
    assert one(padding.check(subject)).verdict == "ok"


def test_a_pad_token_of_the_tokenizer_alone(decoder):
    found = one(pad_token.check(decoder(pad="[PAD]")))
    assert found.verdict == "fail"
    assert found.evidence.startswith(
        "config.pad_token_id is not set: sentence-transformers refuses a batch (Cannot handle"
    )


def test_two_pad_tokens(decoder):
    found = one(pad_token.check(decoder(pad="[PAD]", config_pad=4)))
    assert found.verdict == "fail"
    assert found.evidence.startswith("the tokenizer pads with id 0, config.pad_token_id is 4: a score moves by ")


def test_a_sound_decoder_and_one_that_ends_in_its_pad_token(decoder):
    assert one(pad_token.check(decoder(pad="[PAD]", config_pad=0))).verdict == "ok"
    found = one(pad_token.check(decoder(pad="[SEP]", config_pad=3, ends=True)))
    assert found.verdict == "note"
    assert found.evidence.startswith("texts end in the token that pads, '[SEP]'; no score moves by it")


def test_encoders_are_sound_and_others_have_none(tiny_bi_encoder, tiny_cross_encoder):
    for stage in (BiEncoder(model=str(tiny_bi_encoder)), CrossEncoder(model=str(tiny_cross_encoder))):
        assert one(pad_token.check(in_place(stage))).verdict == "ok"
    assert list(pad_token.check(in_place(BM25()))) == []


def test_padding_leaves_it_to_the_pad_token(decoder, tmp_path):
    """As if loading had mended nothing: a batch shows what the files say."""
    subject = decoder(pad="[PAD]", config_pad=4)
    network = subject.stage.network
    network[0].model.config.pad_token_id = json.loads((tmp_path / "m" / "config.json").read_text())["pad_token_id"]
    found = one(padding.check(subject))
    assert (found.verdict, found.evidence[-15:]) == ("skipped", "see 'pad token'")
