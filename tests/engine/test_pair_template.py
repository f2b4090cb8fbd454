"""Pairs joined from tokens are, bit for bit, those that the model's own tokenising gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sentence_transformers import CrossEncoder
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

from mteb_cascade.engine.pair_template import PairTemplate, longest_first, segments, template_of
from mteb_cascade.engine.text_pairs import TextPairs
from mteb_cascade.engine.tokens import Tokenised

LETTERS = "abcdefghijklmnopqrstuvwxyz"
TEXTS = st.text(alphabet="ab cd\n.42 é🐳語", max_size=40)
Template = Literal["bert", "roberta", "t5", "llama", "none"]


def characters(template: Template) -> PreTrainedTokenizerFast:
    """A token a letter, special tokens as this family has them."""
    special = ["<pad>", "<unk>", "<s>", "</s>"]
    if template in ("roberta", "none"):
        entries = {entry: at for at, entry in enumerate([*special, *sorted(pre_tokenizers.ByteLevel.alphabet())])}
        tokenizer = Tokenizer(models.BPE(entries, [], unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=template == "none")
        tokenizer.decoder = decoders.ByteLevel()
    else:
        pieces = [*special, "▁", *LETTERS, *"0123456789.é", *(f"▁{letter}" for letter in LETTERS)]
        tokenizer = Tokenizer(models.Unigram([(piece, -float(at)) for at, piece in enumerate(pieces)], unk_id=1))
        tokenizer.normalizer = normalizers.NFKC()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    ids = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    pairs = {
        "bert": ("<s> $A </s>", "<s> $A </s> $B:1 </s>:1"),
        "t5": ("$A </s>", "$A </s> $B </s>"),
        "llama": ("<s> $A", "<s> $A <s>:1 $B:1"),
    }
    if template in pairs:
        single, pair = pairs[template]
        tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)
    elif template == "roberta":
        tokenizer.post_processor = processors.RobertaProcessing(ids[1], ids[0])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        model_max_length=23,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"][:: 1 if template == "bert" else 2],
    )


@pytest.fixture(scope="module", params=["bert", "roberta", "t5", "llama", "none"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CrossEncoder:
    folder: Path = tmp_path_factory.mktemp("models") / request.param
    tokenizer = characters(request.param)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8,
        max_position_embeddings=32, id2label={0: "relevance"},
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return CrossEncoder(str(folder), device="cpu", activation_fn=torch.nn.Identity())


@settings(max_examples=25)
@given(
    st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=6),
    st.integers(6, 40),
    st.sampled_from(["left", "right"]),
    st.sampled_from(["left", "right"]),
    st.sampled_from(["", "b d "]),
)
def test_tokens_are_those_that_predict_uses(
    network: CrossEncoder, pairs: list[tuple[str, str]], limit: int, padding: str, cutting: str, prompt: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PairTemplate, "agrees", lambda *_: True)  # It is what is tested here.
        patch.setattr(network.tokenizer, "model_max_length", limit)
        patch.setattr(network.tokenizer, "padding_side", padding)
        patch.setattr(network.tokenizer, "truncation_side", cutting)
        patch.setattr(network, "prompts", {"own": prompt})
        patch.setattr(network, "default_prompt_name", "own" if prompt else None)
        template = template_of(network)
        assert template is not None
        rows = np.arange(len(pairs))
        tokens = template.tokenised(TextPairs.of(pairs), rows)
        expected = network.preprocess(pairs, prompt=prompt or None)
        equal(tokens.padded(rows), expected)
        np.testing.assert_array_equal(tokens.lengths, expected["attention_mask"].sum(1))
        equal(tokens.padded(rows[::-1]), network.preprocess(pairs[::-1], prompt=prompt or None))
        whole = Tokenised.of(network, pairs, prompt=prompt or None)
        assert whole is not None
        equal(whole.padded(rows), expected)


def test_what_is_kept_of_a_long_document_is_not_taken_for_the_whole_of_it(network: CrossEncoder) -> None:
    """Of an odd room the longer text has the larger half: here the kept beginning is shorter than the query."""
    document, query = "ab cd " * 400, "ab cd " * 60
    for limit in (23, 24):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(network.tokenizer, "model_max_length", limit)
            template = template_of(network)
            assert template is not None
            for pair in (("ab", document), (query, document), ("ab", document)):
                found = template.tokenised(TextPairs.of([pair]), np.arange(1)).padded(np.arange(1))
                equal(found, network.preprocess([pair]))


def equal(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert set(found) == set(expected)
    for name, value in expected.items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(found[name], value), name
        else:
            assert found[name] == value


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 30))
def test_longest_first_by_hand(first: int, second: int, room: int) -> None:
    """A token at a time from the longer text, as the words say; of equal ones the first text's."""
    kept = [first, second]
    while sum(kept) > room:
        kept[int(kept[1] > kept[0] or (kept[0] == kept[1] and first > second))] -= 1
    found = [int(one[0]) for one in longest_first(np.array([first]), np.array([second]), room)]
    assert found == kept


def test_a_tokenizer_that_does_not_keep_to_its_template_tokenises_whole(
    network: CrossEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    preprocess = network.preprocess

    def other(pairs: list[tuple[str, str]], **options: Any) -> dict[str, Any]:
        """Its second text depends on the first one."""
        return preprocess([(query, document + "b" * (len(query) == 4)) for query, document in pairs], **options)

    template = template_of(network)
    assert template is not None and template.agrees(network)
    monkeypatch.setattr(network, "preprocess", other)
    assert not template.agrees(network)


def test_what_was_learned_is_learned_again_when_the_tokenizer_is_another(network: CrossEncoder) -> None:
    first = template_of(network)
    assert first is template_of(network)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network.tokenizer, "model_max_length", 17)
        changed = template_of(network)
        assert isinstance(changed, PairTemplate) and changed.limit == 17
    assert first is not None and first.limit == 23


def test_segments_in_another_order_are_none() -> None:
    assert segments([None, 1, None, 0]) is None
    assert segments([0, None, 0, 1]) is None
    assert segments([None, 0, None]) is None
