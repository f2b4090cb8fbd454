"""A batch cut into parts that fit into memory, for losses that are a mean over rows that know nothing of each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

IDS = "input_ids"

Inputs = Mapping[str, Any]
"""What sentence-transformers' collator makes of B rows: of each column c tensors `c_input_ids`, `c_attention_mask` and
so on, and perhaps `label` [B, *]."""


def shape(inputs: Inputs) -> tuple[int, int]:
    """Rows and columns of texts; (0, 0) where rows cannot be cut apart.

    Those of a static table lie in one row of tokens and need next to no memory; rerankers' texts are not tokenized yet.
    """
    from sentence_transformers.base.losses.gradcache import _get_batch_size

    columns = list(encoded(inputs).values())
    if not columns or "offsets" in columns[0]:
        return 0, 0
    return _get_batch_size(columns[0]), len(columns)


def cuts(rows: int, columns: int, limit: int) -> list[slice]:
    """Consecutive rows that together have at most `limit` texts, or a single row that has more.

    >>> cuts(5, 2, 4)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, limit // columns)
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def part(inputs: Inputs, rows: slice) -> dict[str, Any]:
    """Those rows of a batch, padded to their own longest text."""
    from sentence_transformers.base.losses.gradcache import _create_minibatch

    cut: dict[str, Any] = {}
    for column, features in encoded(inputs).items():
        some = _create_minibatch(features, rows.start, rows.stop)
        cut |= {f"{column}_{key}": value for key, value in some.items()}
    for key, value in inputs.items():
        if key not in cut:
            cut[key] = value[rows] if key == "label" else value
    return cut


def encoded(inputs: Inputs) -> dict[str, dict[str, Any]]:
    """{column: its features}."""
    columns = [key.removesuffix(f"_{IDS}") for key in inputs if key.endswith(f"_{IDS}")]
    return {
        column: {key[len(column) + 1 :]: value for key, value in inputs.items() if key.startswith(f"{column}_")}
        for column in columns
    }
