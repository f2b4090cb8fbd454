"""Texts through an encoder: tokenised once, packed by token budget, halved where memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.chunks import Tokens, in_chunks
from mteb_cascade.engine.long_texts import shortened
from mteb_cascade.engine.memory import packed
from mteb_cascade.engine.packing import DEFAULT, LEAST, budget_of
from mteb_cascade.engine.tokens import Tokenised, counted, default_prompt, estimated, plain_transformer
from mteb_cascade.engine.watched import watched
from mteb_cascade.engine.workers import shared_out

Result = TypeVar("Result")

Task = Literal["query", "document"]

PROMPTS = {"query": ("query",), "document": ("document", "passage", "corpus")}
"""Names under which a model may have a prompt for a task."""

TABLE_BATCH = 1_024
"""Texts that a table of token vectors gets together, at least: it pads none; batches of 32 take 4 times as long."""


def encoded(
    network: Any,
    texts: list[str],
    task: Task,
    take: Callable[[Any], Result],
    *,
    batch_size: int | None,
    what: str,
    devices: Sequence[str] = (),
    **options: Any,
) -> Iterator[tuple[NDArray[np.intp], Result]]:
    """What `encode_query` or `encode_document` of a sentence-transformers model gives, micro-batch by micro-batch.

    Args:
        network: SentenceTransformer, SparseEncoder or MultiVectorEncoder. One that is a table of token vectors pads
            nothing, and gets them by the thousand.
        texts: n texts.
        task: Which of the two.
        take: Called with what the model gave for a micro-batch, before the next one runs.
        batch_size: See `packing.budget_of`.
        what: What messages name.
        devices: Two or more: a worker process each; else the network runs here.
        options: For the model's method.

    Yields:
        Positions of texts and `take`'s result for them; one pair, with no texts, where there are none.

    Raises:
        InputError: Memory does not hold a single text, or a worker ended.
    """
    encode = network.encode_query if task == "query" else network.encode_document
    options = {**options, "show_progress_bar": False}
    if not texts or network.transformers_model is None:
        yield np.arange(len(texts)), take(encode(texts, batch_size=max(batch_size or DEFAULT, TABLE_BATCH), **options))
        return
    with (
        watched(len(texts), "Queries" if task == "query" else "Documents") as done,
        closing(packs_of_texts(network, texts, task, encode, batch_size, what, devices, options)) as packs,
    ):
        for pack, result in packs:
            yield pack, take(result)
            done(len(pack))


def packs_of_texts(
    network: Any,
    texts: list[str],
    task: Task,
    encode: Callable[..., Any],
    batch_size: int | None,
    what: str,
    devices: Sequence[str],
    options: dict[str, Any],
) -> Generator[tuple[NDArray[np.intp], Any]]:
    """Positions of texts and what the model gives for them, micro-batch by micro-batch."""

    def plainly(rows: NDArray[np.intp], **sizes: Any) -> Any:
        return encode([texts[row] for row in rows], **(sizes or {"batch_size": len(rows)}), **options)

    estimates = estimated(texts, network.max_seq_length)
    if len(devices) > 1:
        budget = budget_of(batch_size, devices[0])
        yield from shared_out(network, devices, what, lambda rows, sizes: plainly(rows, **sizes), estimates, budget)
        return
    device = network.device.type
    budget = budget_of(batch_size, device)
    if not is_plain(network, options):
        yield from packed(plainly, lengths(network, texts, task), budget, what, least=LEAST.get(device))
        return
    prompt = prompt_of(network, task, options)

    def tokenise(rows: NDArray[np.intp]) -> Tokens | None:
        return Tokenised.of(network, beginnings(network, [texts[row] for row in rows]), prompt=prompt, task=task)

    def run(tokens: Tokens, pack: NDArray[np.intp]) -> Any:
        return forwarded(network, tokens, pack, task)

    network.eval()
    yield from in_chunks(estimates, tokenise, run, plainly, budget, what, device=device)


def is_plain(network: Any, options: dict[str, Any]) -> bool:
    """Whether the model's method does no more than run it on the texts' tokens: it is not a class of its own, say."""
    from sentence_transformers import SentenceTransformer, SparseEncoder

    own = {"prompt", "show_progress_bar", "convert_to_sparse_tensor", "save_to_cpu"}
    return type(network) in (SentenceTransformer, SparseEncoder) and set(options) <= own and plain_transformer(network)


def forwarded(network: Any, tokens: Tokens, pack: NDArray[np.intp], task: Task) -> Any:
    """One forward pass: vectors [len(pack), d] as an array, or of a sparse encoder as a sparse tensor on the CPU."""
    import torch
    from sentence_transformers import SparseEncoder
    from sentence_transformers.util import batch_to_device, select_max_active_dims, truncate_embeddings

    features = batch_to_device(tokens.padded(pack), network.device)
    with torch.inference_mode():
        if isinstance(network, SparseEncoder):
            limit = network.max_active_dims
            options = {} if limit is None else {"max_active_dims": limit}
            vectors = network(features, task=task, **options)["sentence_embedding"]
            if limit is not None:
                vectors = select_max_active_dims(vectors, max_active_dims=limit)
            return vectors.to_sparse().cpu()
        vectors = network(features, task=task)["sentence_embedding"]
        if network.truncate_dim is not None:
            vectors = truncate_embeddings(vectors, network.truncate_dim)
        return vectors.float().cpu().numpy()


def prompt_of(network: Any, task: Task, options: dict[str, Any]) -> str | None:
    """What stands before each text: what was asked for, else the model's own for the task, else its default."""
    if options.get("prompt") is not None:
        return str(options["prompt"])
    for name in PROMPTS[task]:
        if name in network.prompts:
            return str(network.prompts[name])
    return default_prompt(network)


def beginnings(network: Any, texts: list[str]) -> list[str]:
    """The texts, long ones cut to what the model reads where that changes no token."""
    from transformers import PreTrainedTokenizerFast

    first, tokenizer = network[0], network.tokenizer
    limits = [one for one in (first.max_seq_length, first.query_length, first.document_length) if one is not None]
    fast = isinstance(tokenizer, PreTrainedTokenizerFast) and tokenizer.truncation_side == "right"
    if not limits or not fast or first.processing_kwargs:
        return texts
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.backend_tokenizer.no_padding()
    return shortened(tokenizer.backend_tokenizer, texts, max(limits))


def lengths(network: Any, texts: list[str], task: Task) -> NDArray[np.int64]:
    """int64 [n], tokens of each text of a model that tokenises for itself.

    Counted where a forward pass takes a hundred times as long as the tokenizer, on a CPU; estimated elsewhere.
    """
    found = counted(network, texts, task=task) if network.device.type == "cpu" and len(texts) > 1 else None
    return estimated(texts, network.max_seq_length) if found is None else found
