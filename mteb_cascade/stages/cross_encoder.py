"""Cross-encoders: one score a pair, as a raw logit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.engine.pairs import scores_of_pairs
from mteb_cascade.engine.text_pairs import TextPairs
from mteb_cascade.errors import InputError
from mteb_cascade.spec import shown
from mteb_cascade.stages.base import cells, scattered
from mteb_cascade.stages.model_stage import Dtype, ModelStage
from mteb_cascade.stages.modules import is_module, load_module
from mteb_cascade.stages.padding import ensure_padding
from mteb_cascade.stages.stored import BLOCK_TOKENS
from mteb_cascade.stages.weights import MODULE_KEY, read_json
from mteb_cascade.values.run import Run

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder as Network

PAIRS_AT_ONCE = 2**15
"""Pairs that a module of ours gets together: their texts are in memory at once."""


@dataclass(kw_only=True, eq=False, repr=False)
class CrossEncoder(ModelStage):
    """Any sentence-transformers CrossEncoder with one label, or a pair-scoring module of ours.

    Scores are logits: no sigmoid, which would collapse the best ones into ties.
    """

    kind: ClassVar[str] = "cross-encoder"

    dtype: Dtype = "auto"

    @property
    def block_tokens(self) -> int:  # type: ignore[override]
        """Modules of ours take ten times as many in the same time, and save work where documents are shared."""
        return BLOCK_TOKENS * (10 if is_module(self.network) else 1)

    def load(self, folder: Path) -> Any:
        """The model in this folder.

        Raises:
            InputError: Its head is newly initialised, it has several labels, batches would change its scores, or it
                cannot cut texts at `max_length`.
        """
        if read_json(folder / "config.json").get(MODULE_KEY):
            if self.max_length is not None:
                raise InputError(self.reads_whole)
            return load_module(folder, self.device)
        from sentence_transformers import CrossEncoder as Network

        options = self.loading()
        if self.max_length is not None:
            options["max_length"] = self.max_length
        network = Network(str(folder), **options)
        new = untrained_head(network, folder)
        if new:
            raise InputError(
                f"{self.what}: the head of {shown(folder)} is newly initialised ({', '.join(new)} not in its weights), "
                "so its scores would be random. Train it, or name a model that was trained as a reranker"
            )
        if network.num_labels != 1:
            raise InputError(
                f"{self.what}: {shown(folder)} has {network.num_labels} labels; a reranker needs one, its relevance"
            )
        if self.loaded_in != "float32":
            # A folder may have its own choice saved; those layers are of another class already.
            network.set_keep_in_fp32_modules([*(network.keep_in_fp32_modules or ()), *head_layers(network)])
        ensure_padding(network, self.what, self.loaded_in, self.batch_size)
        return network

    def samples(self, network: Network, queries: Sequence[str], documents: Sequence[str]) -> list[dict[str, Any]]:
        """What its tokenizer gives for pairs, one by one."""
        return [network.preprocess([pair]) for pair in zip(queries, documents, strict=True)]

    def heads(self, network: Network) -> list[str]:
        """Pooler and score head."""
        return head_layers(network)

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """Logit of every candidate; packed by length, so little is padded."""
        rows, columns = cells(candidates)
        if not len(rows):
            return scattered(candidates, ())
        corpus, docs = candidates.corpus, candidates.docs[rows, columns]
        pairs = TextPairs(queries.texts, rows, docs, corpus.texts_at, corpus.lengths_at)
        network = self.network
        if is_module(network):
            return scattered(candidates, scores_by_module(network, pairs))
        with self._lock:
            scores = scores_of_pairs(network, pairs, self.used_batch_size, self.what, self.devices)
        return scattered(candidates, scores)


def scores_by_module(network: Any, pairs: TextPairs) -> NDArray[np.float32]:
    """float32 [n], by a module of ours, which takes pairs of one query together."""
    found = np.empty(len(pairs), np.float32)
    for start in range(0, len(pairs), PAIRS_AT_ONCE):
        rows = np.arange(start, min(start + PAIRS_AT_ONCE, len(pairs)))
        found[rows] = network.predict(pairs.texts(rows))
    return found


def head_layers(network: Network) -> list[str]:
    """Names of pooler and score head: in bfloat16 they would round many logits to one number; float32 keeps them."""
    import torch

    transformer = getattr(network[0], "auto_model", None)
    prefix = getattr(transformer, "base_model_prefix", "")
    if not hasattr(transformer, prefix):
        prefix = ""  # the whole of it is body: the head lies in the modules after it
    found = []
    for name, module in network.named_modules():
        if type(module) is torch.nn.Linear:
            # "0.model.<prefix>.encoder...": the module's place, its attribute, then the transformer's own names
            place, *inside = name.split(".")
            own = inside[1:] if place == "0" else inside
            body = place == "0" and (not prefix or own[0] == prefix)
            if not body or "pooler" in own:
                found.append(name)
    return found


def untrained_head(network: Network, folder: Path) -> list[str]:
    """Names of head parameters that the folder's weight files do not hold; transformers makes those up at random.

    A head that is a module of its own (pooling, dense) is not looked for: sentence-transformers refuses to load it
    without weights.
    """
    from safetensors import safe_open

    if getattr(network[0], "transformer_task", None) in (None, "feature-extraction"):
        return []
    body: Any = network[0].auto_model
    inside = f"{body.base_model_prefix}."
    stored: set[str] = set()
    for path in folder.glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            stored.update(file.keys())
    return [name for name, _ in body.named_parameters() if not name.startswith(inside) and name not in stored]
