"""Late interaction: one vector a token, compared by MaxSim (Khattab and Zaharia 2020, ColBERT)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.base import cells, scattered
from mteb_cascade.stages.model_stage import EncoderStage
from mteb_cascade.values.run import PAD, Run

if TYPE_CHECKING:
    import torch
    from sentence_transformers import MultiVectorEncoder


@dataclass(kw_only=True, eq=False, repr=False)
class LateInteraction(EncoderStage):
    """Any sentence-transformers MultiVectorEncoder (ColBERT models among them)."""

    kind: ClassVar[str] = "late-interaction"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._tokens: tuple[str, dict[int, torch.Tensor]] = ("", {})

    def load(self, folder: Path) -> MultiVectorEncoder:
        """The MultiVectorEncoder in this folder."""
        from sentence_transformers import MultiVectorEncoder

        network = MultiVectorEncoder(str(folder), **self.loading())
        if self.max_length is not None:
            network.max_seq_length = self.max_length
        return network

    def _documents(self, corpus: Corpus, rows: NDArray[np.integer]) -> dict[int, torch.Tensor]:
        """Token vectors [tokens, d] of these documents; each is encoded once."""
        with self._lock:
            if self._tokens[0] != corpus.digest:
                self._tokens = (corpus.digest, {})
            tokens = self._tokens[1]
            missing = [int(row) for row in np.unique(rows) if int(row) not in tokens]
            if missing:
                texts = corpus.texts_at(missing)
                encoded = self.network.encode_document(texts, **self.encoding(texts, self.document_prompt))
                tokens.update(zip(missing, encoded, strict=True))
            return tokens

    def score(self, queries: Queries, candidates: Run) -> NDArray[np.float32]:
        """MaxSim of every candidate, a query at a time."""
        rows, columns = cells(candidates)
        if not len(rows):
            return scattered(candidates, ())
        tokens = self._documents(candidates.corpus, candidates.docs[rows, columns])
        encoded = self.network.encode_query(list(queries.texts), **self.encoding(queries.texts, self.query_prompt))
        scores = np.full(candidates.docs.shape, -np.inf, np.float32)
        for row, docs in enumerate(candidates.docs):
            found = docs != PAD
            if found.any():
                documents = [tokens[int(doc)] for doc in docs[found]]
                scores[row, found] = self.network.similarity([encoded[row]], documents)[0].float().cpu().numpy()
        return scores
