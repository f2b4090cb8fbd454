"""Decoder rerankers in padded batches: tiny Llamas, Qwens and a GPT-2 with random weights, and odd pad tokens."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import CrossEncoder as Network
from table_stage import TEXTS

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.padding import PAIRS, configs, ensure_padding, logits
from mteb_cascade.values.run import Run

Saved = Callable[..., Path]
CORPUS = Corpus.of([f"d{row}" for row in range(len(TEXTS))], TEXTS)
QUERIES = Queries(("q", "p"), ("red fox stone", "the whale"))
DOCS = np.tile(np.arange(len(TEXTS), dtype=np.int32), (2, 1))
ALL = Run(QUERIES.ids, CORPUS, DOCS, np.zeros(DOCS.shape, np.float32))

SIZE = {
    "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 64, "initializer_range": 1.0,
}  # fmt: skip
GPT2 = {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64, "initializer_range": 1.0}


@pytest.fixture
def saved(tiny_tokenizer: Any, tmp_path: Path) -> Saved:
    """Saves a decoder of one label, by default without a pad token anywhere."""

    def save(
        family: str = "Llama", side: str = "right", ends: bool = False, pad: str | None = None, config_pad: Any = None
    ) -> Path:
        import transformers
        from tokenizers.processors import TemplateProcessing

        backend = copy.deepcopy(tiny_tokenizer.backend_tokenizer)
        special = [(token, backend.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
        end = " [SEP]" if ends else ""
        backend.post_processor = TemplateProcessing(
            single=f"[CLS] $A{end}", pair=f"[CLS] $A $B{end}", special_tokens=special
        )
        tokenizer = transformers.PreTrainedTokenizerFast(
            tokenizer_object=backend, model_max_length=64, padding_side=side,
            **{"bos_token": "[CLS]", "eos_token": "[SEP]", "unk_token": "[UNK]", **({"pad_token": pad} if pad else {})},
        )  # fmt: skip
        size = GPT2 if family == "GPT2" else SIZE
        torch.manual_seed(0)
        config = getattr(transformers, f"{family}Config")(
            vocab_size=len(tiny_tokenizer),
            num_labels=1,
            pad_token_id=config_pad,
            bos_token_id=2,
            eos_token_id=3,
            **size,
        )
        getattr(transformers, f"{family}ForSequenceClassification")(config).save_pretrained(tmp_path / "decoder")
        tokenizer.save_pretrained(tmp_path / "decoder")
        return tmp_path / "decoder"

    return save


def one_by_one(folder: Path) -> np.ndarray:
    """[Q, K] by transformers alone, without pads and so without any question of a pad token."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    network.config.pad_token_id = None
    with torch.no_grad():
        return np.array(
            [
                [network(**tokenizer(query, text, return_tensors="pt")).logits.item() for text in TEXTS]
                for query in QUERIES.texts
            ]
        )


@pytest.mark.parametrize("ends", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("family", ["Llama", "Qwen3"])
def test_a_decoder_without_pad_token_gets_one(family: str, side: str, ends: bool, saved: Saved) -> None:
    folder = saved(family, side, ends)
    expected = one_by_one(folder)
    with pytest.raises(ValueError, match="the tokenizer does not have a padding token"):
        Network(str(folder), device="cpu").predict(PAIRS)
    stage = CrossEncoder(model=str(folder), batch_size=5)
    np.testing.assert_allclose(stage.score(QUERIES, ALL), expected, atol=1e-4)
    tokenizer, model = stage.network.tokenizer, stage.network[0].model
    assert tokenizer.pad_token_id == model.config.pad_token_id
    # Where every pair ends in [SEP], [SEP] as padding would hide the token that the score is read at.
    assert tokenizer.pad_token == ("[CLS]" if ends else "[SEP]")
    assert model.get_input_embeddings().num_embeddings == len(tokenizer)


def test_a_pad_token_in_the_tokenizer_alone_reaches_the_configuration(saved: Saved) -> None:
    folder = saved(pad="[PAD]")
    with pytest.raises(ValueError, match="Cannot handle batch sizes > 1 if no padding token is defined"):
        Network(str(folder), device="cpu").predict(PAIRS)
    stage = CrossEncoder(model=str(folder))
    np.testing.assert_allclose(stage.score(QUERIES, ALL), one_by_one(folder), atol=1e-4)
    assert stage.network[0].model.config.pad_token_id == 0


def test_a_pad_token_in_the_configuration_alone_reaches_the_tokenizer(saved: Saved) -> None:
    stage = CrossEncoder(model=str(saved(config_pad=4)))
    stage.prepare()
    assert (stage.network.tokenizer.pad_token, stage.network.tokenizer.pad_token_id) == ("[MASK]", 4)


def test_two_pad_tokens_would_change_scores(saved: Saved) -> None:
    """The tokenizer pads with one token and the configuration skips another: plain libraries score the pads."""
    folder = saved(pad="[PAD]", config_pad=4)
    expected = one_by_one(folder)
    plain = Network(str(folder), device="cpu", activation_fn=torch.nn.Identity())
    pairs = [(query, text) for query in QUERIES.texts for text in TEXTS]
    assert np.abs(plain.predict(pairs).reshape(expected.shape) - expected).max() > 0.1
    np.testing.assert_allclose(CrossEncoder(model=str(folder)).score(QUERIES, ALL), expected, atol=1e-4)


def test_a_pad_token_without_a_row_is_not_used(saved: Saved) -> None:
    folder = saved(pad="[NEW]")
    with pytest.raises(IndexError):
        Network(str(folder), device="cpu").predict(PAIRS)
    stage = CrossEncoder(model=str(folder))
    np.testing.assert_allclose(stage.score(QUERIES, ALL), one_by_one(folder), atol=1e-4)
    assert stage.network.tokenizer.pad_token == "[SEP]"


def test_a_model_that_padding_changes_is_refused(saved: Saved) -> None:
    """GPT-2 counts positions from the left, pads included."""
    folder = saved("GPT2", side="left")
    with pytest.raises(
        InputError,
        match=r"decoder: a pair's score moves by \d\S* when it is padded in a batch, so batches would change scores "
        r"\(pad token '\[SEP\]', padding on the left\)\. Set batch_size = 1, or mend pad token and padding side[^\n]*$",
    ):
        CrossEncoder(model=str(folder)).prepare()
    alone = CrossEncoder(model=str(folder), batch_size=1)
    np.testing.assert_allclose(alone.score(QUERIES, ALL), one_by_one(folder), atol=1e-4)
    right = CrossEncoder(model=str(saved("GPT2", side="right")))
    np.testing.assert_allclose(right.score(QUERIES, ALL), alone.score(QUERIES, ALL), atol=1e-4)


def test_a_decoder_that_answers_yes_or_no(saved: Saved, tmp_path: Path) -> None:
    """A language model whose score is the logit of one token less that of another, read at the last position."""
    from sentence_transformers.base.modules import Transformer
    from sentence_transformers.cross_encoder.modules import LogitScore
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    folder = saved()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    torch.manual_seed(0)
    config = LlamaConfig(vocab_size=len(tokenizer), bos_token_id=2, eos_token_id=3, **SIZE)
    LlamaForCausalLM(config).save_pretrained(folder)
    model = LlamaForCausalLM.from_pretrained(folder).eval()
    yes, no = 5, 6
    modules = [Transformer(str(folder), transformer_task="text-generation"), LogitScore(yes, no)]
    Network(modules=modules, device="cpu").save_pretrained(str(tmp_path / "answers"))
    scores = CrossEncoder(model=str(tmp_path / "answers")).score(QUERIES, ALL)
    for row, query in enumerate(QUERIES.texts):
        for column, text in enumerate(TEXTS):
            with torch.no_grad():
                last = model(**tokenizer(query, text, return_tensors="pt")).logits[0, -1]
            assert scores[row, column] == pytest.approx((last[yes] - last[no]).item(), abs=1e-4)


def test_no_token_to_pad_with(saved: Saved) -> None:
    folder = saved(ends=True)
    stage = CrossEncoder(model=str(folder))
    network = Network(str(folder), device="cpu")
    network.tokenizer.bos_token = network.tokenizer.unk_token = None
    with pytest.raises(InputError, match=r"has no pad token, and no special token that never ends a text"):
        ensure_padding(network, stage.what, "float32", 32)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_rounding_is_no_padding_mistake(dtype: Any, saved: Saved) -> None:
    CrossEncoder(model=str(saved("Qwen3")), dtype=dtype).prepare()


def test_the_text_part_of_a_nested_configuration_gets_it_too(tiny_tokenizer: Any) -> None:
    from transformers import Gemma3Config, Gemma3ForSequenceClassification

    vision = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**SIZE, "vocab_size": len(tiny_tokenizer), "query_pre_attn_scalar": 8, "pad_token_id": None}
    config = Gemma3Config(
        text_config=text, vision_config={**vision, "image_size": 28, "patch_size": 14}, num_labels=1, pad_token_id=None
    )
    torch.manual_seed(0)
    model = Gemma3ForSequenceClassification(config).eval()
    ids = torch.tensor([[2, 5, 6, 7], [2, 8, 0, 0]])
    mask = (ids != 0).long()
    with pytest.raises(ValueError, match="no padding token"):
        model(input_ids=ids, attention_mask=mask)
    for one in configs(SimpleNamespace(transformers_model=model)):  # type: ignore[arg-type]
        one.pad_token_id = 0
    with torch.no_grad():
        together = model(input_ids=ids, attention_mask=mask).logits[1]
        alone = model(input_ids=ids[1:, :2]).logits[0]
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_an_encoder_is_checked_as_well(tiny_cross_encoder: Path) -> None:
    network = CrossEncoder(model=str(tiny_cross_encoder)).network
    assert network.tokenizer.pad_token == "[PAD]"
    lengths = [len(ids) for ids in network.tokenizer(PAIRS)["input_ids"]]
    assert len(set(lengths)) == len(PAIRS)
    np.testing.assert_allclose(logits(network, 1), logits(network, 4), atol=1e-4)
    forward = network[0].model.forward
    # A model that looks at pads.
    network[0].model.forward = lambda **inputs: forward(**{**inputs, "attention_mask": None})
    with pytest.raises(InputError, match="so batches would change scores"):
        ensure_padding(network, "mine", "float32", 32)
