"""Which number format a model computes in where its user does not say: measured once for a model and kind of device.

The fastest format is taken that is at least `FACTOR` times as fast as torch's float32 on pairs of realistic length, and
changes the best document of at most `FLIPS` of the probe's lists; where there is none, float32. The answer is kept, so
that a model's fingerprint is known without loading it, and a run that is taken up again goes on in the same format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.atomic import replaced
from mteb_cascade.engine import openvino
from mteb_cascade.engine.latency import machine
from mteb_cascade.engine.probe_texts import passages
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.store.folder import cache_folder

Fixed = Literal["float32", "bfloat16", "float16", "int8"]
Backend = Literal["torch", "openvino"]
Choice = Literal["auto", "torch", "openvino"]


@dataclass(frozen=True)
class Format:
    """A number format, and what computes in it.

    Args:
        dtype: The format of the transformer's weights; of int8, of what it multiplies.
        backend: OpenVINO computes in float32 or int8, torch in all but int8.
    """

    dtype: Fixed
    backend: Backend = "torch"

    def __str__(self) -> str:
        return self.dtype if self.backend == "torch" else f"{self.backend} {self.dtype}"


PLAIN = Format("float32")
TORCH = (PLAIN, Format("bfloat16"))
INT8 = Format("int8", "openvino")
OPENVINO = (Format("float32", "openvino"), INT8)

FACTOR = 1.2
"""How many times as fast as float32 another format has to be: below that the lost digits are not worth it."""

FLIPS = 0.05
"""Share of lists whose best document another format may change."""

SMALL = 4_000_000
"""Bytes of weights below which a model is not probed: it is fast in any format."""

LARGE = 500_000_000
"""Bytes of weights from which on OpenVINO is not tried unasked: quantising a larger model takes many minutes."""

LIST = 6
"""Documents in a list of the probe: a question's own passage and others."""

JOINED = 6
"""Passages in a long document of the probe: about 250 tokens."""

LONG = {"cpu": 8}
"""Long pairs that are timed; elsewhere `LONG_ELSEWHERE`, which keep an accelerator busy."""

LONG_ELSEWHERE = 384

Score = Callable[[Sequence[str], Sequence[str], NDArray[np.int32]], NDArray[np.float32]]
"""Scores of queries [Q], documents [N] and the rows of the documents that each query is compared with [Q, K]."""


@dataclass(frozen=True)
class Probed:
    """What a probe found.

    Args:
        dtype: The format to compute in.
        backend: What is to compute in it.
        factor: Float32's time over the fastest other format's that was looked at last; None where none could be tried.
        flips: Share of lists of which that one has another best document; None where it was not fast enough to look.
        lists: Lists looked at.
        seconds: What each format took for the long pairs.
        why: What kept formats from being tried.
        looked: `flips` of every format that was fast enough.
    """

    dtype: Fixed
    backend: Backend = "torch"
    factor: float | None = None
    flips: float | None = None
    lists: int = 0
    seconds: dict[str, float] | None = None
    why: str | None = None
    looked: dict[str, float] = field(default_factory=dict)


def probed(models: Mapping[Format, Score], device: str, otherwise: Format = PLAIN) -> Probed:
    """Compare formats.

    Args:
        models: The model in each format, loaded when it is first called; `PLAIN` comes first.
        device: Type of the device that all run on.
        otherwise: What is taken where no format is fast and faithful enough.
    """
    questions, documents = texts()
    count = LONG.get(device, LONG_ELSEWHERE)
    joined = long_passages(documents)
    asked = [questions[row % len(questions)] for row in range(count)]
    long = (asked, joined, (np.arange(count, dtype=np.int32) % len(joined))[:, None])
    running, failed = {}, []
    for one, score in models.items():
        try:
            score(asked[:1], joined, long[2][:1])
            running[one] = score
        except (RuntimeError, InputError) as error:
            failed.append(in_one_line(error))
    why = "; ".join(failed) or None
    if PLAIN not in running or len(running) == 1:
        return Probed(otherwise.dtype, otherwise.backend, why=why)
    times = dict(zip(running, fastest(list(running.values()), long), strict=True))
    seconds = {str(one): took for one, took in times.items()}
    factors = {one: times[PLAIN] / took for one, took in times.items() if one != PLAIN}
    order = sorted(factors, key=lambda one: -factors[one])
    fast = [one for one in order if factors[one] >= FACTOR]
    if not fast:
        return Probed(otherwise.dtype, otherwise.backend, factors[order[0]], seconds=seconds, why=why)
    own = np.arange(len(questions), dtype=np.int32)[:, None] // 2
    strides = np.arange(LIST, dtype=np.int32) * (len(documents) // LIST)
    lists = (questions, documents, (own + strides) % len(documents))
    best = np.asarray(running[PLAIN](*lists)).argmax(axis=1)
    looked: dict[str, float] = {}
    for one in fast:
        flips = looked[str(one)] = float((best != np.asarray(running[one](*lists)).argmax(axis=1)).mean())
        taken = one if flips <= FLIPS else otherwise
        found = Probed(
            taken.dtype, taken.backend, factors[one], flips, len(questions), seconds=seconds, why=why, looked=looked
        )
        if taken is one:
            break
    return found


def compared(choice: Choice, device: str, size: int) -> tuple[Format, ...]:
    """The formats that "auto" chooses from, float32 of torch first.

    Args:
        choice: The back-end that is asked for.
        device: Type of the device.
        size: Bytes of the model's weights.
    """
    if choice == "openvino":
        return (PLAIN, *OPENVINO)
    tried = choice == "auto" and device == "cpu" and size < LARGE and openvino.is_installed()
    return (*TORCH, INT8) if tried else TORCH


def long_passages(documents: Sequence[str]) -> list[str]:
    """As many documents of several passages each."""
    return [" ".join(np.roll(documents, -first)[:JOINED]) for first in range(len(documents))]


def texts() -> tuple[list[str], list[str]]:
    """The questions, two of each passage in a row, and the passages."""
    found = passages()
    return [question for _, *asked in found for question in asked], [passage for passage, *_ in found]


def fastest(
    scores: Sequence[Score], pairs: tuple[Sequence[str], Sequence[str], NDArray[np.int32]], times: int = 3
) -> list[float]:
    """Seconds of each one's fastest pass of a few, in turns: other programs can only slow one down."""
    found: list[list[float]] = [[] for _ in scores]
    for _ in range(times):
        for score, seconds in zip(scores, found, strict=True):
            start = perf_counter()
            score(*pairs)
            seconds.append(perf_counter() - start)
    return [min(seconds) for seconds in found]


def kept(model: str, device: str, formats: Sequence[Format] = TORCH) -> Format | None:
    """The format that was found for a model (its digest) on a type of device; None where nothing is kept.

    Args:
        model: Digest of its files.
        device: Type of the device.
        formats: Those that were compared: with OpenVINO at hand, another answer than without.
    """
    try:
        found = json.loads(path_of(model, device, formats).read_text(encoding="utf-8"))
        answer = Format(found["dtype"], found.get("backend", "torch"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return answer if answer in formats else None


def keep(model: str, device: str, answer: Probed, name: str, formats: Sequence[Format] = TORCH) -> None:
    """Write down what was found, with what it was measured on; a cache that cannot be written costs time only."""
    content: dict[str, Any] = {"model": name, "device": device, **asdict(answer), "machine": machine()}
    content["rule"] = {"at least so many times as fast": FACTOR, "flips at most": FLIPS}
    if INT8 in formats:
        content["versions"] = openvino.versions()
    try:
        with replaced(path_of(model, device, formats)) as beside:
            beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError:
        pass


def path_of(model: str, device: str, formats: Sequence[Format] = TORCH) -> Path:
    """Where an answer is kept."""
    among = {TORCH: "", (*TORCH, INT8): ".with-int8"}.get(tuple(formats), ".openvino")
    return cache_folder() / "dtypes" / f"{model}.{device}{among}.json"
