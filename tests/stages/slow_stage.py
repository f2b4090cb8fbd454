"""A pointwise stage of numpy whose scores depend on what is scored together, as float32 networks' do; and its world."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from mteb_cascade.corpora.corpus import Corpus, Queries
from mteb_cascade.stages.base import Stage, cells, scattered
from mteb_cascade.values.run import PAD, Run

CALLS = "SLOW_STAGE_CALLS"
"""Environment variable: a file that gets the pairs of every call, one call a line."""

STOPS = "SLOW_STAGE_STOPS"
"""Environment variable: the number of calls after which one raises."""


class StoppedError(RuntimeError):
    """What a call raises when it is stopped."""


@dataclass(kw_only=True, eq=False, repr=False)
class Slow(Stage):
    """Scores by the lengths of the texts, with a rounding that depends on the number of pairs in the call."""

    kind: ClassVar[str] = "slow"
    block_tokens: ClassVar[int] = 50

    seed: int = 0

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        rows, columns = cells(candidates)
        file = Path(os.environ[CALLS])
        texts = candidates.corpus.texts_at(candidates.docs[rows, columns])
        asked = [f"{queries.texts[row]}>{text}" for row, text in zip(rows, texts, strict=True)]
        done = file.read_text().splitlines() if file.exists() else []
        if len(done) == int(os.environ.get(STOPS, -1)):
            raise StoppedError
        file.write_text("\n".join([*done, "|".join(asked)]) + "\n")
        values = [len(pair) + sum(map(ord, pair)) % 7 / 3 for pair in asked]
        return scattered(candidates, np.array(values, np.float32) + np.float32(len(rows) * 1e-4))


WORDS = ("red fox", "blue whale", "green tree", "old stone", "zebra", "a fox", "whale song", "tree house")
CORPUS = Corpus.of([f"d{row}" for row in range(24)], [f"{WORDS[row % 8]} {'x' * (row // 2)}" for row in range(24)])
QUERIES = Queries(tuple(f"q{row}" for row in range(12)), tuple(WORDS[row // 2] for row in range(12)))


def candidates(seed: int = 0, depth: int = 6) -> Run:
    docs = np.stack([np.random.default_rng([seed, row]).permutation(24)[:depth] for row in range(12)]).astype(np.int32)
    docs[3, 2:] = PAD
    docs[5] = PAD
    return Run(QUERIES.ids, CORPUS, docs, np.where(docs == PAD, -np.inf, 1).astype(np.float32))


def shards_of(cache: Path, kind: str = "scores") -> list[Path]:
    return sorted(cache.glob(f"{kind}/*/*.parquet"))
