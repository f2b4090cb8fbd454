"""How large micro-batches are where nobody says: found by trying, once for a model and kind of accelerator.

On a CPU nothing is tried: from 1,000 to 4,000 tokens a micro-batch are equally fast there, more are slower, and
`packing` knows. An accelerator takes twice as much as long as that makes it faster, and its memory holds it. The answer
is kept, so that a run that is taken up again packs as before.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

from mteb_cascade.atomic import replaced
from mteb_cascade.engine.dtypes import JOINED, Score, texts
from mteb_cascade.engine.latency import machine
from mteb_cascade.engine.memory import is_out_of_memory, release
from mteb_cascade.engine.packing import DEFAULT, budget_of
from mteb_cascade.errors import InputError
from mteb_cascade.store.folder import cache_folder

GAIN = 1.05
"""How many times as fast a doubled micro-batch has to be to be taken."""

LARGEST = 4_096
"""A micro-batch that is not doubled any more."""

SECONDS = 2.0
"""A try that takes longer is the last one: larger ones would take longer still."""

TOKENS = 250
"""About the tokens of a probe's pair."""


def probed(rate: Callable[[int], tuple[float, float]]) -> dict[int, float]:
    """Speed by batch size: doubled from the default on until it gains too little, takes too long or memory runs out.

    Args:
        rate: Pairs a second with a batch size, and the seconds that they took.
    """
    found: dict[int, float] = {}
    size = DEFAULT
    while size <= LARGEST:
        try:
            found[size], seconds = rate(size)
        except (RuntimeError, MemoryError, InputError) as error:
            if not is_out_of_memory(error) and not isinstance(error, InputError):
                raise
            release()
            break
        if seconds > SECONDS or found[size] < GAIN * found.get(size // 2, 0.0):
            break
        size *= 2
    return found


def fastest(found: dict[int, float]) -> int:
    """The smallest batch size from which on doubling gains too little.

    >>> fastest({32: 100.0, 64: 190.0, 128: 195.0}), fastest({})
    (64, 32)
    """
    best = DEFAULT
    for size, pairs in found.items():
        if pairs >= GAIN * found[best]:
            best = size
    return best


def rate_of(score: Callable[[int], Score], device: str) -> Callable[[int], tuple[float, float]]:
    """Times a model on two micro-batches of a size and more, after one that is not timed.

    Args:
        score: Scores with a batch size.
        device: Type of the device that it runs on.
    """
    questions, documents = texts()
    joined = [" ".join(np.roll(documents, -first)[:JOINED]) for first in range(len(documents))]

    def rate(size: int) -> tuple[float, float]:
        count = max(64, 2 * budget_of(size, device) // TOKENS)
        asked = [questions[row % len(questions)] for row in range(count)]
        rows = (np.arange(count, dtype=np.int32) % len(joined))[:, None]
        run = score(size)
        run(asked[: count // 2], joined, rows[: count // 2])
        start = perf_counter()
        run(asked, joined, rows)
        seconds = perf_counter() - start
        return count / seconds, seconds

    return rate


def kept(model: str, device: str) -> int | None:
    """The batch size that was found for a model (its digest) on a type of device; None where nothing is kept."""
    try:
        found = json.loads(path_of(model, device).read_text(encoding="utf-8"))["batch_size"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int) and 1 <= found <= LARGEST else None


def keep(model: str, device: str, found: dict[int, float], name: str) -> int:
    """Write down what was found, with what it was measured on; the batch size.

    Of two processes at once, both take what the first one wrote.
    """
    before = kept(model, device)
    if before is not None:
        return before
    size = fastest(found)
    speeds = {str(tried): round(pairs, 1) for tried, pairs in found.items()}
    content = {"model": name, "device": device, "batch_size": size, "pairs a second": speeds, "machine": machine()}
    try:
        with replaced(path_of(model, device)) as beside:
            beside.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError:
        pass
    return size


def path_of(model: str, device: str) -> Path:
    """Where an answer is kept."""
    return cache_folder() / "batch_sizes" / f"{model}.{device}.json"
