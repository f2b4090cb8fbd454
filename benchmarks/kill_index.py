"""Indexes whose build, add and compact are killed at random moments: what is left opens, the same command goes on.

Every trial is a `mteb-cascade` command in a process of its own, killed (-9) at a random moment between its first
segment and a little after its commit. Then the index is read through: it holds the old or the new documents, none
lost and none twice. The same command, run again, must end as an undisturbed one did: ids, texts, every array equal.

    python benchmarks/kill_index.py [--model our-hybrid] [--kills 20] [--documents 4000] [--seed 0]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import import_module
from multiprocessing import get_context
from multiprocessing.context import ForkProcess as Process
from pathlib import Path
from typing import Any

import numpy as np

from mteb_cascade.corpora.load import load as load_collection
from mteb_cascade.errors import InputError
from mteb_cascade.retriever import building, changing
from mteb_cascade.store.index.index import Index

SEGMENT_ROWS = 256
"""Documents of a segment: a corpus that is encoded in seconds has several all the same."""


def command(arguments: Sequence[str], told: Path) -> None:
    """What `mteb-cascade` does with these arguments; what it prints goes to a file."""
    file = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = ["mteb-cascade", *arguments]
    from mteb_cascade.cli.main import main

    main()


def started(arguments: Sequence[Any], told: Path) -> Process:
    """A command in a process of its own, forked where all modules are imported: it begins at once."""
    process = get_context("fork").Process(target=command, args=([str(one) for one in arguments], told))
    process.start()
    return process


def finish(process: Process, told: Path) -> None:
    process.join()
    if process.exitcode:
        raise RuntimeError(f"a command failed: {told.read_text()}")


class Work:
    """One kind of command on an index.

    Args:
        name: `index`, `add` or `compact`.
        arguments: Of the command; DIR stands for the folder.
        before: A folder with the index that it begins with; None where there is none.
        home: Where the undisturbed index lies, and those of the trials.
    """

    def __init__(self, name: str, arguments: Sequence[str], before: Path | None, home: Path) -> None:
        self.name, self.arguments, self.before, self.home = name, arguments, before, home
        folder = self.fresh("undisturbed")
        process = self.started(folder)
        begun = self.begun(folder, process)
        self.seconds = self.committed(folder, process) - begun
        finish(process, self.told)
        self.old = None if before is None else documents(Index.open(before))
        self.undisturbed = Index.open(folder)
        self.new = documents(self.undisturbed)

    def fresh(self, name: str) -> Path:
        """A folder with what the command begins with."""
        folder = self.home / self.name / name
        folder.parent.mkdir(parents=True, exist_ok=True)
        if self.before is not None:
            shutil.copytree(self.before, folder)
            (folder / "lock").unlink(missing_ok=True)
        return folder

    @property
    def told(self) -> Path:
        """Where its commands print to."""
        return self.home / f"{self.name}.txt"

    def started(self, folder: Path) -> Process:
        return started([self.name, *(folder if one == "DIR" else one for one in self.arguments)], self.told)

    def begun(self, folder: Path, process: Process) -> float:
        """When it began to write its first segment."""
        before = set() if self.before is None else names(self.before)
        while process.is_alive() and names(folder) <= before:
            time.sleep(0.0005)
        return time.perf_counter()

    def committed(self, folder: Path, process: Process) -> float:
        """When its manifest was there."""
        manifest = folder / "manifest.json"
        old = None if self.before is None else (self.before / "manifest.json").read_bytes()
        while process.is_alive() and (not manifest.exists() or manifest.read_bytes() == old):
            time.sleep(0.0005)
        return time.perf_counter()

    def trial(self, number: int, share: float) -> tuple[str, str]:
        """Kill it after a share of its time, and run it again.

        Returns:
            What the killed one left, and what is wrong; '' where nothing is.
        """
        folder = self.fresh(str(number))
        process = self.started(folder)
        begun = self.begun(folder, process)
        time.sleep(max(0.0, begun + share * self.seconds - time.perf_counter()))
        process.kill()
        process.join()
        ended = process.exitcode == 0
        state, fault = self.state(folder)
        whole, half = segments(folder), len(list(folder.glob("*/.*")))
        finish(self.started(folder), self.told)
        index = Index.open(folder, check_all=True)
        after = segments(folder)
        faults = [fault] if fault else []
        faults += ["the documents differ"] if documents(index) != self.new else differences(index, self.undisturbed)
        again = [name for name, inode in whole.items() if after.get(name, inode) != inode]
        faults += [f"{len(again)} finished segments were encoded again"] if again else []
        faults += leftovers(index)
        shutil.rmtree(folder)
        at = ENDED if ended else f"{state}; {len(whole)} segments whole, {half} folders half-written"
        return at, "; ".join(faults)

    def state(self, folder: Path) -> tuple[str, str]:
        """What a killed command left, and what is wrong with it."""
        try:
            held = documents(Index.open(folder, check_all=True))
        except InputError as error:
            unfinished = self.old is None and any(one in str(error) for one in UNFINISHED)
            return "nothing to open yet", "" if unfinished else str(error)
        if held == self.new:
            return "the documents" if self.old == self.new else "the new documents", ""
        return "the old documents", "" if held == self.old else "neither the old nor the new documents"


ENDED = "had ended before"
UNFINISHED = ("was not finished", "is no index")
"""What is said of a first build that was killed."""


def documents(index: Index) -> list[tuple[str, str]]:
    """Ids and texts."""
    everything = np.arange(len(index.corpus))
    return list(zip(index.corpus.ids_at(everything), index.corpus.texts_at(everything), strict=True))


def differences(index: Index, other: Index) -> list[str]:
    """Arrays and ranks of ids in which two indexes differ."""
    found = [] if np.array_equal(index.corpus.tie, other.corpus.tie) else ["the order of ids differs"]
    for fingerprint in index.manifest.keepers:
        one, two = index.arrays(fingerprint), other.arrays(fingerprint)
        if one is None or two is None or one.names != two.names:
            found.append("other arrays are kept")
            continue
        for name in sorted(one.names):
            values = [np.concatenate([block.arrays[name] for block in arrays.blocks(name)]) for arrays in (one, two)]
            found += [] if np.array_equal(*values) else [f"{name} differs"]
    return found


def segments(folder: Path) -> dict[str, int]:
    """{name of a whole segment: inode of its documents}."""
    return {path.parent.name: path.stat().st_ino for path in folder.glob("segments/[!.]*/documents.arrow")}


def leftovers(index: Index) -> list[str]:
    """Files that the manifest does not name."""
    named = {index.folder / file.path for file in index.manifest.files}
    there = {path for path in index.folder.glob("*/**/*") if path.is_file()}
    return [f"{len(there - named)} files are left over"] if there != named else []


def names(folder: Path) -> set[str]:
    """Of segments, those that are being written included."""
    return {path.name for path in (folder / "segments").glob("*")}


def write(documents: Sequence[tuple[str, str]], path: Path) -> str:
    path.write_text("".join(json.dumps({"_id": one, "text": text}) + "\n" for one, text in documents), encoding="utf-8")
    return str(path)


def kinds_of_work(model: str, count: int, home: Path) -> list[Work]:
    """A build of all documents, an add of the second half to the first, a compact of pieces with holes."""
    corpus = load_collection("PythonDocs").corpus
    rows = np.linspace(0, len(corpus) - 1, count).astype(int)
    chosen = list(zip(corpus.ids_at(rows), corpus.texts_at(rows), strict=True))
    halves = [write(part, home / f"{at}.jsonl") for at, part in enumerate((chosen[: count // 2], chosen[count // 2 :]))]
    build = Work("index", [model, write(chosen, home / "corpus.jsonl"), "-o", "DIR", "--allow-empty"], None, home)
    told = home / "told.txt"
    half, holes = home / "half", home / "holes"
    run(told, "index", model, halves[0], "-o", half, "--allow-empty")
    add = Work("add", ["DIR", halves[1], "--allow-empty"], half, home)
    shutil.copytree(half, holes)
    pieces = count // 10
    for start in range(count // 2, count, pieces):
        piece = write(chosen[start : start + pieces], home / f"piece-{start}.jsonl")
        run(told, "add", holes, piece, "--allow-empty")
    ids = home / "ids.txt"
    ids.write_text("\n".join(identity for identity, _ in chosen[::7]) + "\n", encoding="utf-8")
    run(told, "remove", holes, "--ids", ids)
    return [build, add, Work("compact", ["DIR"], holes, home)]


def run(told: Path, *arguments: Any) -> None:
    """A command to its end."""
    finish(started(arguments, told), told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="our-hybrid")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--documents", type=int, default=4_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    for function in (building.build, changing.add, changing.compact):
        function.__kwdefaults__["segment_rows"] = SEGMENT_ROWS  # Every command that is forked from here has it.
    for name in ("torch", "sentence_transformers", "bm25s"):
        import_module(name)
    moments, wrong = random.Random(given.seed), 0
    with tempfile.TemporaryDirectory() as home:
        works = kinds_of_work(given.model, given.documents, Path(home))
        for work in works:
            print(
                f"{work.name}: {len(work.new):,} documents, {work.seconds:.2f} s from first segment to commit",
                flush=True,
            )
        print(f"{'':>3}  {'command':<8} {'killed at':>9}  what it left; what is wrong after the same command again")
        hit = number = 0
        while hit < given.kills:
            work, share = works[number % len(works)], moments.uniform(0, 1)
            left, fault = work.trial(number, share)
            hit, number, wrong = hit + (left != ENDED), number + 1, wrong + bool(fault)
            print(f"{number:>3}  {work.name:<8} {share:>8.0%}  {left}; {fault or 'nothing'}", flush=True)
    print(f"{number - wrong} of {number} as undisturbed; {number - hit} of them had ended before they were killed")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
