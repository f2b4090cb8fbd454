"""Encoder-only rankers of T5's kind: pooled tokens, one linear layer, one logit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.stages.weights import architectures, expect_safetensors, fetched_folder

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder


def encoder_ranker(
    base: str | Path,
    *,
    pooling: Literal["mean", "cls", "max"] = "mean",
    max_length: int | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] = "float32",
    device: str | None = None,
    revision: str | None = None,
    seed: int = 0,
) -> CrossEncoder:
    """An untrained ranker over the encoder of a base checkpoint: dense(pool(encoder(query, document))).

    RankT5's encoder-only variant (Zhuang et al. 2022, https://arxiv.org/abs/2210.10634). Of an encoder-decoder (T5,
    mT5, UMT5, T5Gemma) only the encoder is loaded. The result trains, saves and loads as any CrossEncoder of
    sentence-transformers does, by a folder of its own modules; `predict` gives logits.

    Args:
        base: Folder or hub id of an encoder or an encoder-decoder.
        pooling: "mean" over the tokens, their "max", or "cls", the first one.
        max_length: Tokens kept of a pair; None takes the base's own limit.
        dtype: What the encoder runs in; the head computes in float32.
        device: Torch device; None chooses.
        revision: Commit, branch or tag of a hub model.
        seed: Of the head's weights.

    Raises:
        InputError: There is no such base, its weights are pickled, or it is a decoder.
    """
    import torch
    from sentence_transformers import CrossEncoder
    from sentence_transformers.base.modules import Dense, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling

    what = "encoder_ranker"
    name = str(Path(base).expanduser().absolute()) if isinstance(base, Path) or Path(base).is_dir() else base
    folder = fetched_folder(name, revision, None, what)
    expect_safetensors(folder, what)
    decoders = [name for name in architectures(folder) if name.endswith("ForCausalLM")]
    if decoders:
        raise InputError(
            f"{what}: {shown(folder)} holds a decoder ({decoders[0]}), whose first tokens see nothing "
            "of the document; expected an encoder or an encoder-decoder"
        )
    body = Transformer(
        str(folder),
        transformer_task="feature-extraction",
        model_kwargs={"use_safetensors": True, "dtype": getattr(torch, dtype), "local_files_only": True},
        max_seq_length=max_length,
    )
    width = body.get_embedding_dimension()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        head = Dense(width, 1, activation_function=torch.nn.Identity(), module_output_name="scores")
    ranker: CrossEncoder = CrossEncoder(
        modules=[body, Pooling(width, pooling_mode=pooling), head],
        device=device,
        activation_fn=torch.nn.Identity(),
        keep_in_fp32_modules=["2.linear"],
    )
    return ranker
