"""Settings of a funnel that are worth looking at for a corpus of this size and vectors of this width."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from mteb_cascade.stages.funnel_step import Codes, FunnelStep

SHARES = (0.005, 0.01, 0.02, 0.05)
"""Of the corpus that is rescored in full."""

WIDER = 4
"""How many times as much the first of two steps keeps."""

FIRST = (64, 128, 256)
"""Numbers of first dimensions."""


@dataclass(frozen=True)
class Setting:
    """The steps of a funnel.

    Args:
        steps: In their order.
        origin: "grid", "faiss", or "spec", the model's own.
    """

    steps: tuple[FunnelStep, ...]
    origin: str = "grid"

    def tables(self) -> list[dict[str, Any]]:
        """The [[step]] tables of a spec, without what stands at its default."""
        told = [asdict(step) for step in self.steps]
        keys = ("codes", "faiss", "parameters", "gpu", "dimensions", "keep")
        return [{key: table[key] for key in keys if table[key]} for table in told]

    def label(self) -> str:
        """One word a step, such as "hamming 640 > int8 160"."""
        return " > ".join(f"{called(step)} {step.keep}" for step in self.steps)

    def family(self) -> str:
        """The same without how much is kept, such as "hamming > int8"."""
        return " > ".join(map(called, self.steps))


def scanned(step: FunnelStep, width: int) -> int | None:
    """Bytes of a document that a step reads; None of an index of faiss.

    >>> [scanned(FunnelStep(codes=codes, keep=1), 384) for codes in ("hamming", "int8", "float32")]
    [48, 388, 1536]
    """
    dimensions = step.dimensions or width
    sizes = {"hamming": ceil(dimensions / 64) * 8, "int8": dimensions + 4, "float32": 4 * dimensions}
    return sizes.get("hamming" if step.codes == "binary" else str(step.codes))


def called(step: FunnelStep) -> str:
    """What a step compares: codes and the number of first dimensions, or faiss' own word."""
    if step.faiss is not None:
        return f"{step.faiss} {step.parameters}".strip()
    return f"{step.codes}{f'@{step.dimensions}' if step.dimensions else ''}"


def grid(documents: int, width: int, depth: int, shares: Iterable[float] = SHARES) -> list[Setting]:
    """One and two steps of every code, keeping a few shares of the corpus.

    Args:
        documents: N.
        width: Dimensions of a vector.
        depth: Documents that shall be found: no step keeps fewer.
        shares: Of the corpus that is rescored in full.
    """
    first: list[tuple[Codes, int | None]] = [("hamming", None), ("binary", None), ("int8", None)]
    first += [("int8", count) for count in FIRST if count < width]
    second: tuple[Codes, ...] = ("binary", "int8")
    found = []
    for keep in keeps(documents, depth, shares):
        found += [Setting((step(codes, keep, count),)) for codes, count in first]
        wider = min(WIDER * keep, documents)
        if wider > keep:
            found += [Setting((step("hamming", wider), step(codes, keep))) for codes in second]
            narrow = [count for count in FIRST[:2] if count < width]
            found += [Setting((step("int8", wider, count), step("int8", keep))) for count in narrow]
    return found


def alone(width: int, depth: int) -> list[Setting]:
    """Each code and each number of first dimensions by itself: no more is kept than is looked for."""
    codes: tuple[Codes, ...] = ("hamming", "binary", "int8")
    cut = [step("float32", depth, count) for count in FIRST if count < width]
    return [Setting((one,)) for one in (*(step(one, depth) for one in codes), *cut)]


def with_faiss(words: Sequence[str], documents: int, depth: int, shares: Iterable[float] = SHARES) -> list[Setting]:
    """An index of faiss as the first step, keeping what the grid's steps keep.

    Args:
        words: Each a factory string and perhaps parameters behind a semicolon, such as "IVF64,Flat;nprobe=8".
        documents: N.
        depth: Documents that shall be found.
        shares: Of the corpus that is rescored in full.
    """
    return [
        Setting((FunnelStep(faiss=factory, parameters=parameters, keep=keep),), "faiss")
        for factory, _, parameters in (word.partition(";") for word in words)
        for keep in keeps(documents, depth, shares)
    ]


def keeps(documents: int, depth: int, shares: Iterable[float]) -> list[int]:
    """How many documents these shares of the corpus are; at least `depth`, at most the corpus.

    >>> keeps(8_000, 100, [0.005, 0.02, 0.05])
    [100, 160, 400]
    """
    return sorted({min(documents, max(depth, ceil(round(share * documents, 6)))) for share in shares})


def step(codes: Codes, keep: int, dimensions: int | None = None) -> FunnelStep:
    """A step of codes."""
    return FunnelStep(codes=codes, dimensions=dimensions, keep=keep)
