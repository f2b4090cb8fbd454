"""Every benchmark against a peer, one after the other, and one table of what was wanted and what was got.

    python benchmarks/table.py            four queries in the sweep, under 15 minutes on two cores
    python benchmarks/table.py --full     everything at full size, with scaling, under an hour
    python benchmarks/table.py --gpu      what a GPU computes, at a GPU's size
    python benchmarks/table.py --again    no run: the table of what results/benchmarks/ holds

Each is a file of this folder that runs alone, too; their figures lie in results/benchmarks/SIZE/NAME.json.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from turns import RESULTS, read, table

HERE = Path(__file__).resolve().parent
PEERS = ("rerank", "sweep_speed", "stored_sweep", "encode", "curves", "bm25_speed", "funnel", "engine")
BENCHMARKS = {
    "bench": PEERS,
    "full": (*PEERS, "adversarial", "scaling"),
    "gpu": ("rerank", "sweep_speed", "encode", "engine"),
}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    size = options.add_mutually_exclusive_group()
    size.add_argument("--full", dest="size", action="store_const", const="full", default="bench")
    size.add_argument("--gpu", dest="size", action="store_const", const="gpu")
    options.add_argument("--again", action="store_true")
    given = options.parse_args()
    if given.size == "gpu" and not given.again:
        refuse_without_gpu()
    files = [RESULTS / given.size / f"{name}.json" for name in BENCHMARKS[given.size]]
    failed = []
    if not given.again:
        for file in files:
            file.unlink(missing_ok=True)  # what is left out this time is not told as if it were measured
        failed = [file.stem for file in files if not ran(file.stem, "--size", given.size)]
    rows = [row for file in files if file.exists() for row in read(file)]
    print("\n" + table(rows))
    left_out = [file.stem for file in files if not file.exists()]
    if left_out:
        print(f"\nleft out: {', '.join(left_out)}")
    if failed:
        raise SystemExit(f"did not come to their end: {', '.join(failed)}; what they say is above")


def ran(name: str, *options: str) -> bool:
    """Run a benchmark; whether it came to its end."""
    start = perf_counter()
    print(f"\n== {name} ==", flush=True)
    done = subprocess.run([sys.executable, HERE / f"{name}.py", *options], check=False).returncode == 0
    print(f"== {name}: {(perf_counter() - start) / 60:.1f} min", flush=True)
    return done


def refuse_without_gpu() -> None:
    """End here where torch sees no GPU."""
    import torch

    if not torch.cuda.is_available():
        raise SystemExit("no GPU that torch can use is here; `make bench` measures what the processor does")


if __name__ == "__main__":
    main()
