"""Sweeps in processes of their own, that can be killed, doubled and left without room."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SWEEPER = Path(__file__).with_name("sweeper.py")

WORDS = ("red", "fox", "blue", "whale", "green", "tree", "old", "stone", "warm", "sea", "long", "road")


def write_collection(folder: Path, queries: int, documents: int) -> None:
    """A BEIR folder with a dev and a test split of `queries` each; every document shares words with some queries."""
    rng = np.random.default_rng(0)
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(rng.choice(WORDS, 12)) for _ in range(documents)]
    lines = [json.dumps({"_id": f"d{row}", "text": f"{text} {row}"}) for row, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("\n".join(lines) + "\n")
    asked = [
        json.dumps({"_id": f"q{row}", "text": f"{' '.join(rng.choice(WORDS, 3))} {row}"}) for row in range(2 * queries)
    ]
    (folder / "queries.jsonl").write_text("\n".join(asked) + "\n")
    for split, start in (("test", 0), ("dev", queries)):
        judged = [f"q{start + row}\td{rng.integers(documents)}\t1" for row in range(queries) for _ in range(3)]
        (folder / "qrels" / f"{split}.tsv").write_text("\n".join(["query-id\tcorpus-id\tscore", *judged]) + "\n")


@dataclass(frozen=True)
class Ended:
    """What a process left: negative codes are signals."""

    code: int
    err: str

    @property
    def last_line(self) -> str:
        return self.err.strip().splitlines()[-1]


@dataclass(frozen=True)
class House:
    """A working folder with a collection, BM25 and a reranker, and a store of its own.

    Args:
        folder: The working folder.
        reranker: TOML of the reranker.
        depth: The deepest.
        block_tokens: Tokens of a block.
    """

    folder: Path
    reranker: str
    depth: int = 20
    block_tokens: int = 1_000

    @classmethod
    def built(cls, folder: Path, collection: Path, **options: Any) -> House:
        house = cls(folder, **options)
        (folder / "models").mkdir(parents=True)
        (folder / "models" / "our-bm25.toml").write_text('kind = "bm25"\n')
        (folder / "models" / "ours.toml").write_text(house.reranker)
        (folder / "data").symlink_to(collection.absolute())
        return house

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def log(self) -> Path:
        """Written before the sweep's first work."""
        return self.folder / "results" / "LOG.md"

    @property
    def blocks(self) -> Path:
        """Written when the first block begins."""
        return self.folder / "blocks"

    @property
    def scored(self) -> list[int]:
        """Pairs of every block that was begun."""
        return [int(line) for line in self.blocks.read_text().splitlines()] if self.blocks.exists() else []

    def start(self, **variables: str) -> subprocess.Popen[str]:
        known = {
            "HF_HUB_OFFLINE": "1",
            "MTEB_CASCADE_CACHE": str(self.cache),
            "TRIAL_LOG": str(self.blocks),
            "TRIAL_BLOCK_TOKENS": str(self.block_tokens),
        }
        arguments = f"sweep --first our-bm25 --rerank ours -t data --depth {self.depth}".split()
        return subprocess.Popen(
            [sys.executable, str(SWEEPER), *arguments],
            cwd=self.folder,
            env={**os.environ, **known, **variables},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, fault: str = "", at: int = 0) -> Ended:
        """Run until it ends, or something happens to it when that block begins, counted with those of earlier runs."""
        return ended(self.start(TRIAL_FAULT=fault, TRIAL_FAULT_AT=str(at)))

    def killed(self, seconds: float, since: Path) -> Ended:
        """Start, and kill it that long after a file was written."""
        process = self.start()
        wait(process, since)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        return ended(process)

    def timed(self, since: Path) -> float:
        """Run to the end; seconds since a file was written."""
        process = self.start()
        wait(process, since)
        begun = time.perf_counter()
        done = ended(process)
        if done.code:
            raise RuntimeError(done.err)
        return time.perf_counter() - begun

    def results(self) -> dict[str, Any]:
        """{file: content} of all that the sweep wrote, but for times and the machine that they were taken on."""
        found: dict[str, Any] = {}
        for path in sorted((self.folder / "results" / "sweeps").glob("*")):
            found[path.name] = json.loads(path.read_text()) if path.suffix == ".json" else path.read_bytes()
            if path.suffix == ".json":
                del found[path.name]["timings"], found[path.name]["provenance"]["date"]
        return found

    def shards(self, what: str = "scores") -> list[Path]:
        return sorted((self.cache / what).rglob("*.parquet"))


def ended(process: subprocess.Popen[str]) -> Ended:
    _, err = process.communicate(timeout=600)
    return Ended(process.returncode, err)


def wait(process: subprocess.Popen[str], written: Path) -> None:
    while not written.exists() and process.poll() is None:
        time.sleep(0.002)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def differences(one: dict[str, Any], other: dict[str, Any]) -> Sequence[str]:
    """Where two sweeps' files differ: names of files, and keys of their JSON."""
    found = sorted(set(one) ^ set(other))
    for name in sorted(set(one) & set(other)):
        if one[name] != other[name]:
            keys = sorted({**one[name], **other[name]}) if name.endswith(".json") else []
            unequal = [key for key in keys if one[name].get(key) != other[name].get(key)]
            found.append(f"{name}: {', '.join(unequal)}")
    return found
