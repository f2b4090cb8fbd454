"""Texts through an encoder: packed by token budget, halved where memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.engine.memory import packed
from mteb_cascade.engine.packing import budget_of
from mteb_cascade.engine.tokens import counted, estimated
from mteb_cascade.engine.watched import watched

Result = TypeVar("Result")

Task = Literal["query", "document"]

TABLE_BATCH = 1_024
"""Texts that a table of token vectors gets together, at least: it pads none; batches of 32 take 4 times as long."""


def encoded(
    network: Any,
    texts: list[str],
    task: Task,
    take: Callable[[Any], Result],
    *,
    batch_size: int,
    what: str,
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
        options: For the model's method.

    Yields:
        Positions of texts and `take`'s result for them; one pair, with no texts, where there are none.

    Raises:
        InputError: Memory does not hold a single text.
    """
    encode = network.encode_query if task == "query" else network.encode_document
    options = {**options, "show_progress_bar": False}
    if not texts or network.transformers_model is None:
        yield np.arange(len(texts)), take(encode(texts, batch_size=max(batch_size, TABLE_BATCH), **options))
        return

    def run(pack: NDArray[np.intp]) -> Result:
        return take(encode([texts[row] for row in pack], batch_size=len(pack), **options))

    device = network.device.type
    with watched(len(texts), "Queries" if task == "query" else "Documents") as done:
        for pack, result in packed(run, lengths(network, texts, task), budget_of(batch_size, device), what):
            yield pack, result
            done(len(pack))


def lengths(network: Any, texts: list[str], task: Task) -> NDArray[np.int64]:
    """int64 [n], tokens of each text.

    Counted where a forward pass takes a hundred times as long as the tokenizer, on a CPU; estimated elsewhere.
    """
    found = counted(network, texts, task=task) if network.device.type == "cpu" and len(texts) > 1 else None
    return estimated(texts, network.max_seq_length) if found is None else found
