"""Documents a second that an index is built at, beside bare `SentenceTransformer.encode`, and memory as a corpus grows.

    python benchmarks/encode_rate.py FOLDER_OF_WEIGHTS BEIR_FOLDER --documents 2000 --rounds 3

Both encode the same documents in the same dtype, in turns in one process. Bare encoding gets them sorted by length, all
at once, which is the best that it can be given; the build reads its corpus from the disk, counts tokens, packs, writes,
checks and commits. Then, each in a process of its own, an index of n and one of 4 n documents of the same texts is
built, and the largest resident memory of both is told.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

import torch

from mteb_cascade.corpora.beir import load
from mteb_cascade.corpora.documents import documents_of
from mteb_cascade.engine.latency import machine
from mteb_cascade.retriever.building import build
from mteb_cascade.stages.bi_encoder import BiEncoder


def written(texts: list[str], path: Path, times: int = 1) -> Path:
    """The texts, several times under other ids, as corpus.jsonl."""
    with path.open("w", encoding="utf-8") as file:
        for copy in range(times):
            for row, text in enumerate(texts):
                file.write(json.dumps({"_id": f"{copy}-{row}", "text": text}) + "\n")
    return path


def rates(weights: str, texts: list[str], dtype: str, rounds: int, folder: Path) -> dict[str, list[float]]:
    """Documents a second of each round, by who encodes."""
    stage = BiEncoder(model=str(Path(weights).absolute()), dtype=dtype)
    stage.prepare()
    network = stage.network
    documents = documents_of(written(texts, folder / "corpus.jsonl"))
    in_order = sorted(texts, key=len, reverse=True)
    found: dict[str, list[float]] = {"bare": [], "build": [], "encoding of the build": []}
    network.encode(in_order[:64], batch_size=32)
    for number in range(rounds):
        start = perf_counter()
        network.encode(in_order, batch_size=32, convert_to_numpy=True)
        found["bare"].append(len(texts) / (perf_counter() - start))
        report = build(stage, documents, folder / f"index-{number}", compare=False)
        found["build"].append(len(texts) / report.seconds)
        found["encoding of the build"].append(report.documents_per_second or 0)
        print(f"  round {number + 1}: " + ", ".join(f"{who} {rate[-1]:,.1f}/s" for who, rate in found.items()))
    return found


def memory(weights: str, dtype: str, corpus: Path, folder: Path) -> tuple[float, float]:
    """MB of resident memory once the model is loaded, and at most, of a build in this process."""
    stage = BiEncoder(model=str(Path(weights).absolute()), dtype=dtype)
    stage.prepare()
    stage.encode_documents(["warm"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    build(stage, documents_of(corpus), folder)
    return before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    """Measure, or (with --memory) be the process whose memory is measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("corpus")
    parser.add_argument("--documents", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtype", default="bfloat16", choices=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=int(os.environ.get("OMP_NUM_THREADS", "2")))
    parser.add_argument("--growth", type=int, default=40_000, help="n of the comparison of memory; 0 for none")
    parser.add_argument("--table", help="weights for that comparison: a table of token vectors is quick")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        if options.memory:
            print(json.dumps(memory(options.weights, options.dtype, Path(options.corpus), folder / "index")))
            return
        corpus = load(Path(options.corpus), allow_empty=True).corpus
        texts = corpus.texts[: options.documents].to_pylist()
        print(f"{len(texts):,} documents of {options.corpus}, {options.dtype}, {options.threads} threads, {machine()}")
        if options.rounds:
            found = rates(options.weights, texts, options.dtype, options.rounds, folder)
            middle = {who: statistics.median(rate) for who, rate in found.items()}
            ratio = middle["build"] / middle["bare"]
            print("median: " + ", ".join(f"{who} {rate:,.1f}/s" for who, rate in middle.items()))
            print(f"build / bare = {ratio:.2f}")
        for times in (1, 4) if options.growth else ():
            short = [text[:400] for text in corpus.texts.to_pylist()]
            path = written(short, folder / f"{times}.jsonl", max(1, round(times * options.growth / len(short))))
            rows = sum(1 for _ in path.open(encoding="utf-8"))
            told = subprocess.run(
                [
                    *(sys.executable, __file__, options.table or options.weights, str(path), "--memory"),
                    *("--threads", str(options.threads), "--dtype", "float32"),
                ],
                capture_output=True,
                text=True,
                check=True,
            )
            before, most = json.loads(told.stdout.splitlines()[-1])
            print(f"{rows:,} documents: {before:,.0f} MB with the model loaded, at most {most:,.0f} MB while building")


if __name__ == "__main__":
    main()
