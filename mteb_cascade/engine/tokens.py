"""How many tokens texts have, and pairs of texts as token ids: what is packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

BYTES = 3
"""Bytes of UTF-8 that count as a token where nothing was tokenised: English has 4 to 5, Chinese 3."""

AT_ONCE = 1_000
"""Texts that the tokenizer gets together: as Python lists, ids take ten times the memory that they need."""

UNPADDED = {"text": {"padding": False}, "common": {"return_tensors": None}}


def estimated(texts: Sequence[str], limit: int | None = None) -> NDArray[np.int64]:
    """int64 [len(texts)], about as many tokens as they have, cut at `limit`; for sorting and packing only."""
    sizes = np.fromiter((len(text.encode()) for text in texts), np.int64, len(texts)) // BYTES + 2
    return sizes if limit is None else np.minimum(sizes, limit)


def counted(network: Any, texts: Sequence[str], **preprocessing: Any) -> NDArray[np.int64] | None:
    """int64 [len(texts)], tokens of each text as a sentence-transformers model cuts it; None where it does not say."""
    parts = []
    for start in range(0, len(texts), AT_ONCE):
        mask = network.preprocess(list(texts[start : start + AT_ONCE]), **preprocessing).get("attention_mask")
        if mask is None or len(mask) != len(texts[start : start + AT_ONCE]):
            return None
        parts.append(mask.sum(dim=1).numpy())
    return np.concatenate(parts)


def plain_transformer(network: Any) -> bool:
    """Whether a model reads the tokens of its texts and no more.

    Others go by chat templates, generate, see images, choose a way by the task, or want their batch flattened.
    """
    from sentence_transformers.base.modules import Transformer

    first = network[0]
    return (
        isinstance(first, Transformer)
        and "message" not in first.modality_config
        and first.transformer_task in ("sequence-classification", "feature-extraction", "fill-mask")
        and not first.can_flatten_inputs
        and first.query_expansion is None
    )


def default_prompt(network: Any) -> str | None:
    """What a model puts before a text where no other prompt is asked for."""
    prompt: str | None = network.prompts.get(network.default_prompt_name) if network.default_prompt_name else None
    return prompt


def fillers_of(tokenizer: Any) -> dict[str, int]:
    """What a tokenizer pads each column with, by name."""
    ids, types = tokenizer.pad_token_id or 0, tokenizer.pad_token_type_id
    return {"input_ids": ids, "token_type_ids": types, "attention_mask": 0}


def padded(
    columns: Mapping[str, Sequence[NDArray[np.int32]]], fillers: Mapping[str, int], *, left: bool
) -> dict[str, torch.Tensor]:
    """A batch: int64 tensors [texts, longest].

    Args:
        columns: By name; [tokens] of each text, of all columns as many.
        fillers: What a column is padded with, by name.
        left: Whether pads stand before the tokens.
    """
    import torch

    batch = {}
    for name, parts in columns.items():
        longest = max(map(len, parts))
        filled = np.full((len(parts), longest), fillers[name], np.int64)
        for row, part in zip(filled, parts, strict=True):
            row[slice(longest - len(part), longest) if left else slice(len(part))] = part
        batch[name] = torch.from_numpy(filled)
    return batch


@dataclass(frozen=True, eq=False)
class Tokenised:
    """Texts, or pairs of texts, as a model reads them, each tokenised once and not yet padded.

    Args:
        columns: What the model gets for each token, by name; int32 [tokens] of each text.
        others: What it gets beside that.
        fillers: What a column is padded with, by name.
        left: Whether pads stand before the tokens.
    """

    columns: dict[str, list[NDArray[np.int32]]]
    others: dict[str, Any]
    fillers: dict[str, int]
    left: bool

    @classmethod
    def of(cls, network: Any, texts: Sequence[Any], **preprocessing: Any) -> Tokenised | None:
        """Texts as a model tokenises and cuts them; None where it gives more than a row a token.

        Args:
            network: One that `plain_transformer` knows.
            texts: n >= 1 texts or pairs.
            preprocessing: For the model's `preprocess`.
        """
        fillers = fillers_of(network.tokenizer)
        columns: dict[str, list[NDArray[np.int32]]] = {}
        others: dict[str, Any] = {}
        for start in range(0, len(texts), AT_ONCE):
            part = list(texts[start : start + AT_ONCE])
            features = network.preprocess(part, processing_kwargs=UNPADDED, **preprocessing)
            for name, values in features.items():
                if name in fillers and isinstance(values, list) and len(values) == len(part):
                    columns.setdefault(name, []).extend(np.array(one, np.int32) for one in values)
                elif isinstance(values, str | int | None):
                    others[name] = values
                else:
                    return None
        if "input_ids" not in columns:
            return None
        return cls(columns, others, fillers, network.tokenizer.padding_side == "left")

    @property
    def lengths(self) -> NDArray[np.int64]:
        """int64 [n], tokens of each text."""
        ids = self.columns["input_ids"]
        return np.fromiter(map(len, ids), np.int64, len(ids))

    def padded(self, rows: NDArray[np.integer]) -> dict[str, Any]:
        """What the model gets for these texts: int64 tensors [len(rows), longest]."""
        columns = {name: [values[row] for row in rows] for name, values in self.columns.items()}
        return {**padded(columns, self.fillers, left=self.left), **self.others}
