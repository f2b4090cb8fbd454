"""The command line with a slow stage of one's own; it says how much is scored, and can be left without room.

TRIAL_LOG names the file that gets a line for each block, before it is scored. TRIAL_BLOCK_TOKENS is a block's size.
TRIAL_FAULT comes when block number TRIAL_FAULT_AT begins: SIGKILL, SIGINT, or FULL, from which on no file can grow.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import xxhash

import mteb_cascade
from mteb_cascade.cli.main import main
from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.stages.base import SERVING, Stage, cells, scattered
from mteb_cascade.stages.stored import Pairs
from mteb_cascade.values.run import Run


@dataclass(kw_only=True, eq=False)
class Slow(Stage):
    """By a hash of both texts, and a little by what else is scored in the same call, as packing moves a model's scores.

    So results are the same only where the same pairs are scored together.
    """

    kind: ClassVar[str] = "slow"

    pause: float = field(default=0.0, metadata=SERVING)
    """Seconds a pair."""

    def score(self, queries: Queries, candidates: Run) -> np.ndarray:
        rows, columns = cells(candidates)
        texts = candidates.corpus.texts_at(candidates.docs[rows, columns])
        pairs = [f"{queries.texts[row]}|{text}".encode() for row, text in zip(rows, texts, strict=True)]
        time.sleep(self.pause * len(pairs))
        together = xxhash.xxh3_64_intdigest(b"\n".join(sorted(pairs))) % 1000 * 1e-5
        return scattered(candidates, [xxhash.xxh3_64_intdigest(one) % 1000 + together for one in pairs])


def told(self: Pairs, stage: Stage, pairs: np.ndarray, score=Pairs.score) -> np.ndarray:
    """As `Pairs.score`, which scores a block."""
    log = Path(os.environ["TRIAL_LOG"])
    with log.open("a") as lines:
        lines.write(f"{len(pairs)}\n")
    if len(log.read_text().splitlines()) == int(os.environ.get("TRIAL_FAULT_AT", "0")):
        fault = os.environ["TRIAL_FAULT"]
        if fault == "FULL":
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        else:
            os.kill(os.getpid(), signal.Signals[fault])
    return score(self, stage, pairs)


def small(self: Pairs, tokens: int, blocks=Pairs.blocks) -> Iterator[slice]:
    """As `Pairs.blocks`, of a size for trials whatever the stage's is."""
    return blocks(self, int(os.environ["TRIAL_BLOCK_TOKENS"]))


if __name__ == "__main__":
    Pairs.blocks = small
    Pairs.score = told
    mteb_cascade.register_kind("slow", Slow)
    main()
