"""Encoder-only rankers from tiny T5s with random weights: half an encoder-decoder, otherwise a CrossEncoder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from encoder_decoders import FAMILIES, WIDTH, saved
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from sentence_transformers import CrossEncoder as Network
from table_stage import TEXTS

from mteb_cascade import encoder_ranker
from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.errors import InputError
from mteb_cascade.stages.cross_encoder import CrossEncoder
from mteb_cascade.stages.load import load
from mteb_cascade.values.run import Run

PAIRS = [("red fox", text) for text in TEXTS]
QUERIES = Queries(("q",), ("red fox",))
CORPUS = Corpus.of([f"d{row}" for row in range(len(TEXTS))], TEXTS)
ALL = Run(QUERIES.ids, CORPUS, np.arange(len(TEXTS), dtype=np.int32)[None, :], np.zeros((1, len(TEXTS)), np.float32))


@pytest.fixture(scope="module")
def bases(tiny_tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{family: folder of an encoder-decoder as it comes from pre-training}."""
    root = tmp_path_factory.mktemp("bases")
    return {family: saved(family, "ConditionalGeneration", tiny_tokenizer, root / family) for family in FAMILIES}


@pytest.fixture(scope="module")
def t5_ranker(bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rankers") / "t5"
    encoder_ranker(bases["T5"]).save_pretrained(str(folder))
    return folder


def size(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_encoder_is_in_memory(family: str, bases: dict[str, Path]) -> None:
    import transformers

    whole = getattr(transformers, f"{family}ForConditionalGeneration").from_pretrained(bases[family])
    encoder = whole.get_encoder()
    ranker = encoder_ranker(bases[family])
    assert size(ranker[0]) == size(encoder)
    assert size(ranker) == size(encoder) + WIDTH + 1
    assert not any("decoder" in name for name, _ in ranker.named_modules())
    # The weights are the checkpoint's and not made up.
    held = dict(ranker[0].model.encoder.named_parameters())
    for name, value in encoder.named_parameters():
        if "embed_tokens" not in name:
            torch.testing.assert_close(held[name], value, rtol=0, atol=0)
    embeddings = ranker[0].model.get_input_embeddings().weight
    torch.testing.assert_close(embeddings, encoder.get_input_embeddings().weight, rtol=0, atol=0)

    # What sentence-transformers makes of the same folder when it is only named.
    by_name = Network(str(bases[family]), device="cpu")
    assert any("decoder" in name for name, _ in by_name.named_modules())
    assert size(by_name) / size(ranker) == pytest.approx(2.2, abs=0.25)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_saved_ranker_is_a_cross_encoder(family: str, bases: dict[str, Path], tmp_path: Path) -> None:
    ranker = encoder_ranker(bases[family], pooling="cls" if family == "UMT5" else "mean", seed=3)
    expected = ranker.predict(PAIRS)
    ranker.save_pretrained(str(tmp_path / "ranker"))
    for path in (tmp_path / "ranker").rglob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            assert not any("decoder" in name for name in file.keys())  # noqa: SIM118
    stage = load(tmp_path / "ranker")
    assert isinstance(stage, CrossEncoder)
    np.testing.assert_allclose(stage.score(QUERIES, ALL)[0], expected, atol=1e-6)
    assert size(stage.network) == size(ranker)
    np.testing.assert_array_equal(Network(str(tmp_path / "ranker"), device="cpu").predict(PAIRS), expected)
    assert len(np.unique(expected)) == len(np.unique(TEXTS))


def test_the_score_is_a_linear_layer_over_the_pooled_tokens(bases: dict[str, Path]) -> None:
    from transformers import AutoTokenizer, T5EncoderModel

    tokenizer = AutoTokenizer.from_pretrained(bases["T5"])
    encoder = T5EncoderModel.from_pretrained(bases["T5"]).eval()
    pools = {"mean": lambda tokens: tokens.mean(0), "cls": lambda tokens: tokens[0], "max": lambda t: t.max(0).values}
    for pooling, pool in pools.items():
        ranker = encoder_ranker(bases["T5"], pooling=pooling)  # type: ignore[arg-type]
        layer = ranker[2].linear
        scores = ranker.predict(PAIRS)
        for (query, document), score in zip(PAIRS, scores, strict=True):
            with torch.no_grad():
                tokens = encoder(**tokenizer(query, document, return_tensors="pt")).last_hidden_state[0]
                expected = pool(tokens) @ layer.weight[0] + layer.bias[0]
            assert score == pytest.approx(expected.item(), abs=1e-5)


def test_the_seed_decides_the_head_alone(bases: dict[str, Path]) -> None:
    torch.manual_seed(7)
    after = torch.rand(3)
    torch.manual_seed(7)
    first = encoder_ranker(bases["T5"], seed=1)
    assert torch.equal(torch.rand(3), after)
    again, other = encoder_ranker(bases["T5"], seed=1), encoder_ranker(bases["T5"], seed=2)
    assert torch.equal(first[2].linear.weight, again[2].linear.weight)
    assert not torch.equal(first[2].linear.weight, other[2].linear.weight)
    assert torch.equal(first[0].model.shared.weight, other[0].model.shared.weight)


def test_a_ranker_trains(bases: dict[str, Path]) -> None:
    ranker = encoder_ranker(bases["T5"])
    ranker.eval()  # without dropout, so that every step must help
    optimizer = torch.optim.Adam(ranker.parameters(), lr=0.01)
    losses = []
    for _ in range(4):
        scores = ranker(ranker.preprocess(PAIRS))["scores"][:, 0]
        loss = -scores.log_softmax(0)[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] - 0.2
    assert ranker[0].model.shared.weight.grad.abs().sum() > 0


def test_the_head_of_a_bfloat16_ranker_stays_in_float32(t5_ranker: Path) -> None:
    for network in (
        encoder_ranker(t5_ranker, dtype="bfloat16"),
        CrossEncoder(model=str(t5_ranker), dtype="bfloat16").network,
        Network(str(t5_ranker), device="cpu", model_kwargs={"dtype": torch.bfloat16}),
    ):
        assert network[0].model.dtype == torch.bfloat16
        scores = network.predict(PAIRS, activation_fn=torch.nn.Identity())
        assert (scores != torch.from_numpy(scores).bfloat16().float().numpy()).mean() > 0.8


def test_pairs_are_cut_at_max_length(bases: dict[str, Path], tmp_path: Path) -> None:
    long = [("red fox", "blue whale " + words) for words in ("green tree old stone", "of the of the of the")]
    ranker = encoder_ranker(bases["T5"], max_length=6)
    first, second = ranker.predict(long)
    assert first == pytest.approx(second, abs=1e-6)
    ranker.save_pretrained(str(tmp_path / "short"))
    assert Network(str(tmp_path / "short"), device="cpu").max_seq_length == 6
    first, second = encoder_ranker(bases["T5"]).predict(long)
    assert abs(first - second) > 1e-4


@pytest.mark.parametrize("damage", ["missing", "pickled", "of another width"])
def test_a_ranker_without_its_own_head_is_refused(damage: str, t5_ranker: Path, tmp_path: Path) -> None:
    shutil.copytree(t5_ranker, tmp_path / "ranker")
    head = tmp_path / "ranker" / "2_Dense" / "model.safetensors"
    weights = load_file(head)
    if damage == "of another width":
        save_file({name: value[..., :1].clone() for name, value in weights.items()}, head)
        message = r"ranker cannot be loaded: [^\n]*linear.weight[^\n]*$"
    else:
        head.unlink()
        message = r"2_Dense has no .safetensors file; pickled weights are not loaded"
    if damage == "pickled":
        torch.save(weights, head.with_name("pytorch_model.bin"))
    with pytest.raises(InputError, match=message):
        load(tmp_path / "ranker").prepare()


@pytest.mark.parametrize("head", ["ConditionalGeneration", "SequenceClassification"])
@pytest.mark.parametrize("family", FAMILIES)
def test_an_encoder_decoder_is_named(family: str, head: str, tiny_tokenizer: Any, tmp_path: Path) -> None:
    folder = saved(family, head, tiny_tokenizer, tmp_path / "whole")
    with pytest.raises(
        InputError,
        match=rf"whole holds an encoder-decoder \({family}For{head}\), not a cross-encoder: its decoder would double "
        r"memory and time, and its score is no ranker's\. Make an encoder-only ranker of it with "
        r"mteb_cascade\.encoder_ranker\(folder\), train that, and name its folder$",
    ):
        CrossEncoder(model=str(folder)).prepare()


def test_an_encoder_decoder_that_sentence_transformers_saved_is_named(bases: dict[str, Path], tmp_path: Path) -> None:
    Network(str(bases["T5"]), device="cpu").save_pretrained(str(tmp_path / "loaded-by-mistake"))
    with pytest.raises(InputError, match=r"holds an encoder-decoder \(T5ForSequenceClassification\)"):
        load(tmp_path / "loaded-by-mistake").prepare()


def test_bases_that_will_not_do(bases: dict[str, Path], tiny_tokenizer: Any, tmp_path: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    with pytest.raises(InputError, match=r"^encoder_ranker: no model in .*gone: the folder is missing or empty"):
        encoder_ranker(tmp_path / "gone")
    with pytest.raises(InputError, match=r"^encoder_ranker: 'org/gone' is no model known here .* Fetch it once"):
        encoder_ranker("org/gone")
    shutil.copytree(bases["T5"], tmp_path / "pickled")
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"pickled has no .safetensors file; pickled weights are not loaded"):
        encoder_ranker(tmp_path / "pickled")
    config = LlamaConfig(
        vocab_size=len(tiny_tokenizer), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path / "decoder")
    with pytest.raises(InputError, match=r"decoder holds a decoder \(LlamaForCausalLM\), .* expected an encoder or"):
        encoder_ranker(tmp_path / "decoder")
