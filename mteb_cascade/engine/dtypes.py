"""Which number format a model computes in where its user does not say: measured once for a model and kind of device.

bfloat16 is taken where it is at least `FACTOR` times as fast as float32 on pairs of realistic length, and changes the
best document of at most `FLIPS` of the probe's lists; everywhere else float32. The answer is kept, so that a model's
fingerprint is known without loading it, and a run that is taken up again goes on in the same format.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mteb_cascade.atomic import replaced
from mteb_cascade.engine.latency import machine
from mteb_cascade.engine.probe_texts import passages
from mteb_cascade.errors import InputError, in_one_line
from mteb_cascade.store.folder import cache_folder

Fixed = Literal["float32", "bfloat16", "float16"]

FACTOR = 1.2
"""How many times as fast bfloat16 has to be: below that the lost digits are not worth it."""

FLIPS = 0.05
"""Share of lists whose best document bfloat16 may change."""

SMALL = 4_000_000
"""Bytes of weights below which a model is not probed: it is fast in any format."""

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
        factor: Float32's time over bfloat16's; None where bfloat16 could not be tried.
        flips: Share of lists with another best document; None where it was not fast enough to look.
        lists: Lists looked at.
        seconds: What each format took for the long pairs.
        why: What kept it from being tried.
    """

    dtype: Literal["float32", "bfloat16"]
    factor: float | None = None
    flips: float | None = None
    lists: int = 0
    seconds: dict[str, float] | None = None
    why: str | None = None


def probed(plain: Score, short: Score, device: str) -> Probed:
    """Compare the two formats.

    Args:
        plain: The model in float32.
        short: The model in bfloat16, which is loaded when it is first called.
        device: Type of the device that both run on.
    """
    questions, documents = texts()
    count = LONG.get(device, LONG_ELSEWHERE)
    joined = [" ".join(np.roll(documents, -first)[:JOINED]) for first in range(len(documents))]
    asked = [questions[row % len(questions)] for row in range(count)]
    long = (asked, joined, (np.arange(count, dtype=np.int32) % len(joined))[:, None])
    try:
        for score in (plain, short):
            score(asked[:1], joined, long[2][:1])
        seconds = dict(zip(("float32", "bfloat16"), fastest((plain, short), long), strict=True))
        factor = seconds["float32"] / seconds["bfloat16"]
        if factor < FACTOR:
            return Probed("float32", factor, seconds=seconds)
        own = np.arange(len(questions), dtype=np.int32)[:, None] // 2
        strides = np.arange(LIST, dtype=np.int32) * (len(documents) // LIST)
        lists = (questions, documents, (own + strides) % len(documents))
        best, other = (np.asarray(score(*lists)).argmax(axis=1) for score in (plain, short))
    except (RuntimeError, InputError) as error:
        return Probed("float32", why=in_one_line(error))
    flips = float((best != other).mean())
    return Probed("bfloat16" if flips <= FLIPS else "float32", factor, flips, len(questions), seconds)


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


def kept(model: str, device: str) -> Fixed | None:
    """The format that was found for a model (its digest) on a type of device; None where nothing is kept."""
    try:
        found = json.loads(path_of(model, device).read_text(encoding="utf-8"))["dtype"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if found in ("float32", "bfloat16") else None


def keep(model: str, device: str, answer: Probed, name: str) -> None:
    """Write down what was found, with what it was measured on; a cache that cannot be written costs time only."""
    content: dict[str, Any] = {"model": name, "device": device, **asdict(answer), "machine": machine()}
    content["rule"] = {"at least so many times as fast": FACTOR, "flips at most": FLIPS}
    try:
        with replaced(path_of(model, device)) as beside:
            beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError:
        pass


def path_of(model: str, device: str) -> Path:
    """Where an answer is kept."""
    return cache_folder() / "dtypes" / f"{model}.{device}.json"
