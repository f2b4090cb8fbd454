"""Several ways of doing one piece of work, by turns in one process: seconds, ratios with their spread, peak memory.

Every benchmark against a peer stands on this. A ratio is taken round by round, since a machine has slow minutes, and
told as the median of the rounds with the least and the greatest. Order turns round from one round to the next. What
was measured is written as JSON, with the machine, to results/benchmarks/SIZE/.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from memory import Peak

RESULTS = Path(__file__).resolve().parents[1] / "results" / "benchmarks"
NAMED = (
    "mteb-cascade",
    "torch",
    "transformers",
    "sentence-transformers",
    "mteb",
    "bm25s",
    "faiss-cpu",
    "openvino",
    "nncf",
)
SIZES = ("small", "bench", "full", "gpu")


@dataclass(frozen=True)
class Told:
    """What a worker in another environment says of its turn.

    Args:
        seconds: That the work took there.
        peak: MB of memory that it took at most.
        value: What it found.
    """

    seconds: float
    peak: float
    value: Any


@dataclass(frozen=True)
class Ratio:
    """How many times as long one way takes as another: median, least and greatest of the rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, longer: Sequence[float], shorter: Sequence[float]) -> Ratio:
        """Of the seconds of each round.

        >>> Ratio.of([8.0, 10.0, 9.0], [4.0, 2.0, 3.0])
        Ratio(median=3.0, least=2.0, greatest=5.0)
        """
        every = [one / other for one, other in zip(longer, shorter, strict=True)]
        return cls(statistics.median(every), min(every), max(every))


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Args:
        work: What is done.
        against: The peer, or the limit.
        got: How many times as fast, or the share reached; median, least and greatest.
        wanted: What it should be at least; None where it is told only.
        unit: "x" for times as fast, "%" for a share.
        note: What else is to be known.
    """

    work: str
    against: str
    got: Ratio
    wanted: float | None = None
    unit: str = "x"
    note: str = ""

    @property
    def reached(self) -> bool | None:
        """Whether the median is what is wanted; None where nothing is."""
        return None if self.wanted is None else self.got.median >= self.wanted

    def figure(self, value: float) -> str:
        """A ratio or a share, as it is read."""
        if self.unit == "%":
            return f"{value:.1%}"
        return f"{value:,.0f}x" if value >= 100 else f"{value:.1f}x" if value >= 10 else f"{value:.2f}x"

    def cells(self) -> list[str]:
        """Against, wanted, got, spread, whether it is reached."""
        wanted = "-" if self.wanted is None else self.figure(self.wanted)
        spread = f"{self.figure(self.got.least)} - {self.figure(self.got.greatest)}"
        reached = {None: "-", True: "yes", False: "NO"}[self.reached]
        return [self.against, wanted, self.figure(self.got.median), spread, reached]


@dataclass(frozen=True)
class Taken:
    """What the ways took.

    Args:
        seconds: {way: seconds of each round}.
        cpu: {way: seconds of the processor, this process's}; what counts on a machine that others use, too.
        peak: {way: MB of memory at most, over what there was}.
        values: {way: what it returned the last time}.
    """

    seconds: dict[str, list[float]]
    cpu: dict[str, list[float]]
    peak: dict[str, float]
    values: dict[str, Any]

    def ratio(self, longer: str, shorter: str) -> Ratio:
        """How many times as long the one takes as the other."""
        return Ratio.of(self.seconds[longer], self.seconds[shorter])

    def as_json(self) -> dict[str, Any]:
        """Everything but what was returned; of a worker in another environment the processor's time is not known."""
        cpu = {name: [None if math.isnan(one) else one for one in spent] for name, spent in self.cpu.items()}
        return {"seconds": self.seconds, "cpu": cpu, "peak_mb": self.peak}

    def show(self, work: str, against: str) -> None:
        """Print a line a way, beside the one that they are held against."""
        print(f"\n{work}")
        print(f"{'':<30}{'median s':>9}{'CPU s':>8}{'peak MB':>9}  times as long")
        for name, seconds in self.seconds.items():
            ratio = self.ratio(name, against)
            print(
                f"{name:<30}{statistics.median(seconds):>9.3f}{statistics.median(self.cpu[name]):>8.2f}"
                f"{self.peak[name]:>9,.0f}  {ratio.median:.2f} ({ratio.least:.2f} - {ratio.greatest:.2f})",
                flush=True,
            )


def alternate(ways: Mapping[str, Callable[[], Any]], rounds: int, warm: int = 1) -> Taken:
    """Let the ways do their work by turns.

    Args:
        ways: {name: the work}; one that returns `Told` has timed itself.
        rounds: Turns of each, >= 1.
        warm: Turns of each before them, which are not timed.
    """
    for _ in range(warm):
        for work in ways.values():
            work()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    peak = dict.fromkeys(ways, 0.0)
    values = {}
    for number in range(rounds):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            memory = Peak()
            start, start_of_cpu = perf_counter(), process_time()
            value = ways[name]()
            spent, spent_of_cpu = perf_counter() - start, process_time() - start_of_cpu
            more = memory.more
            if isinstance(value, Told):
                spent, spent_of_cpu, more, value = value.seconds, math.nan, value.peak, value.value
            seconds[name].append(spent)
            cpu[name].append(spent_of_cpu)
            peak[name] = max(peak[name], more)
            values[name] = value
    return Taken(seconds, cpu, peak, values)


def exponent(sizes: Sequence[float], figures: Sequence[float]) -> float:
    """How a figure grows with a size: the slope of the line through both logarithms; 1 for a straight line through 0.

    >>> round(exponent([10, 20, 40], [3, 12, 48]), 6)
    2.0
    """
    xs, ys = ([math.log(value) for value in values] for values in (sizes, figures))
    middle = statistics.fmean(xs)
    return sum((x - middle) * y for x, y in zip(xs, ys, strict=True)) / sum((x - middle) ** 2 for x in xs)


def parser(text: str) -> argparse.ArgumentParser:
    """The options of every benchmark: how large, how often, where to."""
    found = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("--size", choices=SIZES, default="bench")
    found.add_argument("--rounds", type=int, help="in place of the size's own")
    found.add_argument(
        "-o", "--output", type=Path, help="JSON; results/benchmarks/SIZE/ unless said, nothing for --size small"
    )
    return found


def write(name: str, given: argparse.Namespace, rows: Sequence[Row], **more: Any) -> None:
    """Print the rows, and write them with everything else that was measured."""
    from mteb_cascade.engine.latency import machine

    print("\n" + table(rows))
    path = given.output or (None if given.size == "small" else RESULTS / given.size / f"{name}.json")
    if path is None:
        return
    every = [{**asdict(row), "reached": row.reached} for row in rows]
    content = {"benchmark": name, "size": given.size, "rows": every, "machine": machine(), "versions": versions()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, **more}, indent=1) + "\n", encoding="utf-8")


def read(path: Path) -> list[Row]:
    """The rows that `write` wrote."""
    found = []
    for row in json.loads(path.read_text(encoding="utf-8"))["rows"]:
        row.pop("reached", None)
        found.append(Row(**{**row, "got": Ratio(**row["got"])}))
    return found


def table(rows: Sequence[Row]) -> str:
    """The rows in 80 columns: what is done on a line of its own, then what it is held against, and what is noted."""

    def line(against: str, wanted: str, got: str, spread: str, reached: str) -> str:
        return f"{against:<34}{wanted:>9}{got:>9}{spread:>19}{reached:>9}"

    lines, work = [line("work, against", "at least", "got", "least - greatest", "reached")], ""
    for row in rows:
        if row.work != work:
            work = row.work
            lines.append(work)
        against, *figures = row.cells()
        lines.append(line(f"  {against}", *figures))
        lines += textwrap.wrap(row.note, 80, initial_indent="    ", subsequent_indent="    ")
    return "\n".join(lines)


def versions() -> dict[str, str]:
    """Of the libraries that the figures stand on."""
    found = {}
    for name in NAMED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
