"""What we cost before any work: the hook at interpreter start, `import mteb_cascade`, `mteb-cascade --help`.

python benchmarks/startup.py [--runs 20]
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import time

HOOK = "_mteb_cascade_autoload"


def hook_milliseconds() -> float:
    """Import time of the hook's module, as the interpreter itself reports it."""
    command = [sys.executable, "-X", "importtime", "-c", "pass"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(re.search(rf"\|\s*(\d+) \|\s*{HOOK}$", done.stderr, re.MULTILINE)[1]) / 1000


def seconds(*command: str, **environment: str) -> float:
    """Wall-clock time of one process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    return time.perf_counter() - started


def main() -> None:
    """Measure and print medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    runs = range(parser.parse_args().runs)
    bare = [seconds(sys.executable, "-c", "pass") for _ in runs]
    with_us = [seconds(sys.executable, "-c", "import mteb_cascade") for _ in runs]
    command = [seconds(sys.executable, "-m", "mteb_cascade", "--help") for _ in runs]
    print(f"medians of {len(runs)} runs, {os.cpu_count()} cores, Python {sys.version.split()[0]}")
    print(f"hook at start         {statistics.median(hook_milliseconds() for _ in runs):8.3f} ms")
    print(f"python -c pass        {statistics.median(bare):8.3f} s")
    print(f"import mteb_cascade   {statistics.median(with_us):8.3f} s")
    print(f"mteb-cascade --help   {statistics.median(command):8.3f} s")


if __name__ == "__main__":
    main()
