"""A small interaction network: how the words of a query meet the words of a document, field by field.

In the line of DRMM (Guo et al. 2016) and K-NRM (Xiong et al. 2017): token vectors of query and document are compared,
the comparison is summarised in a few dozen numbers, and a small network turns those into one score. A document's fields
come from its first line and its body: the first word's last dotted part, what stands before that, the rest of the line,
the rest of the text.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from mteb_cascade.engine.held import Held
from mteb_cascade.stages.modules.tokens import token_ids
from mteb_cascade.stages.weights import MODULE_KEY

Floats = NDArray[np.float32]

FIELDS = ("last part of the name", "name before it", "rest of the first line", "body")
BODY_TOKENS, LINE_TOKENS = 200, 40
QUERY_TOKENS = 512
"""Tokens read of a query: time and memory grow with them times the documents' tokens."""

KERNELS, KERNEL_WIDTH = (0.95, 0.8, 0.65, 0.5, 0.35, 0.2), 0.08
"""Centres and width of K-NRM's soft counts of similarities."""

EXACT = 0.999
"""A similarity from here on is the same token."""

HELD_BYTES = 2**26
"""Documents that are kept as token ids for the next query, with their texts: some 20,000."""

PAIRS_AT_ONCE = 16_384
"""Pairs that the network scores together."""

SATURATION, LENGTH_SHARE = 0.9, 0.4
"""BM25's k1 and b of the exact matches."""


@dataclass(frozen=True, eq=False)
class Fielded:
    """A document as token ids, its fields one after the other.

    Args:
        ids: int64 [L].
        starts: int64 [4], where each field starts.
        norms: float32 [5], lengths of the sums of token vectors: of each field, and of the whole.
    """

    ids: NDArray[np.int64]
    starts: NDArray[np.int64]
    norms: Floats


def bytes_of(text: str, document: Fielded) -> int:
    """What a document takes, and its text."""
    return len(text) + document.ids.nbytes + document.starts.nbytes + document.norms.nbytes


class Interaction(nn.Module):
    """Scores a (query, document) pair from the similarities of their tokens.

    Args:
        tokenizer: Turns text into the rows of `table`.
        table: float32 [V, d], token vectors.
        idf: float32 [V], inverse document frequencies.
        average_length: Tokens of an average document.
        hidden: Width of the network.
        dropout: Share of hidden units left out in training.
    """

    table: Tensor
    idf: Tensor
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        tokenizer: Tokenizer,
        table: Tensor,
        idf: Tensor,
        average_length: float,
        hidden: int = 64,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.average_length = average_length
        self.hidden = hidden
        self.register_buffer("table", table.float())
        self.register_buffer("idf", idf.float())
        self.register_buffer("shift", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.network = nn.Sequential(
            nn.Linear(FEATURES, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 1),
        )
        self._held: Held[Fielded] = Held(HELD_BYTES, bytes_of)
        self.refresh()

    def refresh(self) -> None:
        """Take the table as it is now into the arrays that features are computed from."""
        self._held.clear()
        self._rows: Floats = self.table.numpy()
        self._unit: Floats = unit(self._rows)
        self._idf: Floats = self.idf.numpy()

    def forward(self, features: Tensor) -> Tensor:
        """Scores [...] of features [..., FEATURES]."""
        scores: Tensor = self.network(((features - self.shift) / self.scale).clamp(-5, 5))[..., 0]
        return scores

    def predict(self, pairs: Sequence[tuple[str, str]], **_: Any) -> Floats:
        """Scores of pairs, as sentence-transformers' CrossEncoder gives them.

        Args:
            pairs: (query, document); pairs of one query stand together for speed.

        Returns:
            float32 [len(pairs)], logits.
        """
        names = list(dict.fromkeys(document for _, document in pairs))
        documents = dict(zip(names, self._held.of(names, self.fielded), strict=True))
        self.eval()
        found: list[Floats] = []
        waiting: list[Floats] = []
        for query, group in groupby(pairs, key=lambda pair: pair[0]):
            waiting.append(self.features(query, [documents[document] for _, document in group]))
            if sum(map(len, waiting)) >= PAIRS_AT_ONCE:
                found.append(self._scored(waiting))
                waiting = []
        return np.concatenate([*found, self._scored(waiting)])

    @torch.inference_mode()
    def _scored(self, features: Sequence[Floats]) -> Floats:
        rows = np.concatenate([np.zeros((0, FEATURES), np.float32), *features])
        scores: Floats = self(torch.from_numpy(rows)).numpy()
        return scores

    def fielded(self, documents: Sequence[str]) -> list[Fielded]:
        """Documents as token ids by field."""
        columns = zip(*map(fields_of, documents), strict=True) if documents else [()] * len(FIELDS)
        tokens = [token_ids(self.tokenizer, column) for column in columns]
        limits = (LINE_TOKENS, LINE_TOKENS, LINE_TOKENS, BODY_TOKENS)
        found = []
        for parts in zip(*tokens, strict=True):
            cut = [part[:limit] for part, limit in zip(parts, limits, strict=True)]
            lengths = np.array([len(part) for part in cut])
            sums = [self._rows[part].sum(0) for part in cut]
            norms = np.linalg.norm([*sums, np.sum(sums, axis=0)], axis=1).astype(np.float32)
            found.append(Fielded(np.concatenate(cut), np.cumsum(lengths) - lengths, norms))
        return found

    def features(self, query: str, documents: Sequence[Fielded]) -> Floats:
        """What the network sees.

        Returns:
            float32 [n, FEATURES], one row a document.
        """
        if not documents:
            return np.zeros((0, FEATURES), np.float32)
        (asked,) = token_ids(self.tokenizer, [query])
        ids = np.concatenate([document.ids for document in documents])
        lengths = np.array([len(document.ids) for document in documents])
        begins = np.cumsum(lengths) - lengths
        starts = (begins[:, None] + np.stack([document.starts for document in documents])).ravel()
        distinct, place = np.unique(ids, return_inverse=True)
        asked = asked[:QUERY_TOKENS]
        table = self._unit[asked] @ self._unit[distinct].T
        table[asked[:, None] == distinct] = 1.0
        similar, same = table[:, place], asked[:, None] == ids
        weight = self._idf[asked]
        share = weight / weight.sum()
        groups = (
            self._means((self._rows[distinct] @ unit(self._rows[asked].sum(0)))[place], documents, starts, begins),
            *self._query_side(similar, share, starts),
            self._kernels(table, place, share, begins),
            adjacent(similar, weight, begins),
            *self._document_side(similar, same, ids, starts),
            self._saturated(same, weight, lengths, begins),
            np.tile([np.log(len(asked)), weight.sum()], (len(documents), 1)),
            np.log(lengths)[:, None],
        )
        return np.concatenate([np.asarray(group, np.float32) for group in groups], axis=1)

    @staticmethod
    def _means(
        along: Floats, documents: Sequence[Fielded], starts: NDArray[np.int64], begins: NDArray[np.int64]
    ) -> Floats:
        """[n, 5], cosine of the query's mean vector with that of each field and of the whole document.

        `along` [L] is how far each token's vector reaches in the query's direction: a sum's reach is the reaches' sum.
        """
        fields = np.add.reduceat(along, starts).reshape(-1, len(FIELDS))
        reach = np.hstack([fields, np.add.reduceat(along, begins)[:, None]])
        return np.asarray(reach / np.maximum(np.stack([one.norms for one in documents]), 1e-9), np.float32)

    @staticmethod
    def _query_side(similar: Floats, share: Floats, starts: NDArray[np.int64]) -> Iterator[Floats]:
        """How well each query token is met: [n, 5] softly, [n, 5] exactly, and [n, 2] by those met worst."""
        best = np.maximum.reduceat(similar, starts, axis=1).reshape(len(similar), -1, len(FIELDS))
        met = np.concatenate([best, best.max(2, keepdims=True)], axis=2)
        yield np.einsum("q,qnf->nf", share, met)
        yield np.einsum("q,qnf->nf", share, met > EXACT)
        anywhere = np.sort(met[:, :, -1], axis=0)
        yield np.stack([anywhere[0], anywhere[: max(1, len(anywhere) // 3)].mean(0)], axis=1)

    @staticmethod
    def _kernels(table: Floats, place: NDArray[np.int64], share: Floats, begins: NDArray[np.int64]) -> Floats:
        """[n, 6], K-NRM's log soft counts, each kernel computed once a distinct token."""
        near = (np.exp(-((table - centre) ** 2) / (2 * KERNEL_WIDTH**2))[:, place] for centre in KERNELS)
        counts = [share @ np.log1p(np.add.reduceat(kernel, begins, axis=1)) for kernel in near]
        return np.stack(counts, axis=1)

    def _document_side(
        self, similar: Floats, same: NDArray[np.bool_], ids: NDArray[np.int64], starts: NDArray[np.int64]
    ) -> Iterator[Floats]:
        """How much of each field the query covers, softly and exactly: [n, 4] each."""
        weight = self._idf[ids]
        total = np.add.reduceat(weight, starts)
        for covered in (similar.max(0), same.any(0)):
            share = np.add.reduceat(covered * weight, starts) / total
            yield share.astype(np.float32).reshape(-1, len(FIELDS))

    def _saturated(
        self, same: NDArray[np.bool_], weight: Floats, lengths: NDArray[np.int64], begins: NDArray[np.int64]
    ) -> Floats:
        """[n, 2], BM25 of the exact matches, and its share of what the query could reach."""
        counts = np.add.reduceat(same, begins, axis=1, dtype=np.float32)
        norm = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * lengths / self.average_length)
        score = weight @ (counts / (counts + norm))
        return np.stack([score, score / weight.sum()], axis=1)

    def save(self, folder: Path) -> None:
        """Write config.json, tokenizer.json and model.safetensors."""
        folder.mkdir(parents=True, exist_ok=True)
        config = {MODULE_KEY: "interaction", "hidden": self.hidden, "average_length": self.average_length}
        (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
        self.tokenizer.save(str(folder / "tokenizer.json"))
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, folder / "model.safetensors")

    @classmethod
    def load(cls, folder: Path, device: str | None = None) -> Interaction:
        """Read what `save` wrote. Features are computed on the CPU, so there is no use for another device."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        weights = load_file(folder / "model.safetensors")
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        module = cls(tokenizer, weights["table"], weights["idf"], config["average_length"], config["hidden"])
        module.load_state_dict(weights)
        module.refresh()
        return module.eval()


def fields_of(document: str) -> tuple[str, str, str, str]:
    r"""A document's fields.

    >>> fields_of("json.dump dump(obj, fp)\nSerialise.")
    ('dump', 'json', 'dump(obj, fp)', 'Serialise.')
    """
    line, _, body = document.partition("\n")
    name, _, rest = line.partition(" ")
    before, _, last = name.rpartition(".")
    return last, before, rest, body


def adjacent(similar: Floats, weight: Floats, begins: NDArray[np.int64]) -> Floats:
    """[n, 1], how well pairs of neighbouring query tokens are met by neighbouring document tokens."""
    if len(similar) < 2:
        return np.zeros((len(begins), 1), np.float32)
    both = np.zeros((len(similar) - 1, similar.shape[1]), np.float32)
    both[:, :-1] = (similar[:-1, :-1] + similar[1:, 1:]) / 2
    # The last token of a document is no neighbour of the next document's first.
    both[:, begins[1:] - 1] = 0
    pairs = np.minimum(weight[:-1], weight[1:])
    return np.asarray((pairs / pairs.sum()) @ np.maximum.reduceat(both, begins, axis=1), np.float32)[:, None]


def unit(vectors: Floats) -> Floats:
    """Vectors of length 1; a zero vector stays zero."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-9), np.float32)


FEATURES = 5 + 5 + 5 + 2 + len(KERNELS) + 1 + 4 + 4 + 2 + 2 + 1
"""Numbers that `features` computes for a pair."""
