"""A budget calibrated on the machine at hand: how many candidates may be scored for the 95th percentile to keep it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mteb_cascade.corpora.corpus import Queries
from mteb_cascade.engine.latency import Latency, Limit, machine, times
from mteb_cascade.errors import InputError
from mteb_cascade.progress import Progress, silent
from mteb_cascade.retriever.budget import AGAIN, FACT
from mteb_cascade.retriever.queries import OF_DOCUMENTS, described, first_of, read
from mteb_cascade.retriever.retriever import Retriever
from mteb_cascade.stages.base import Stage
from mteb_cascade.stages.cascade import Cascade
from mteb_cascade.stages.latency import K, singles_of
from mteb_cascade.store.index.writer import Writer
from mteb_cascade.store.switch import bypassed

PERCENTILE = 95

ROUNDS = 14
"""Depths that are timed at most: the spec's own, none, and what lies between."""

WARM_UP = 5


def calibrate(
    index: str | Path,
    *,
    queries: Path | None = None,
    model: str | Path | Stage | None = None,
    device: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Calibrate the budget of an index's model on this machine, and keep what is found in the index.

    Args:
        index: Its folder.
        queries: A file, whose first queries are asked; by default the first words of documents.
        model: What searches, if not the model that the index was made from.
        device: Torch device of stages that have one.
        progress: Told of the depths timed.

    Returns:
        What `calibration_of` returns.

    Raises:
        InputError: There is no such index, the model has no budget, or the index cannot be changed.
    """
    folder = Path(index).expanduser()
    asked = None if queries is None else read(queries)
    with warnings.catch_warnings():
        # That the old calibration does not fit is why this one is made.
        warnings.filterwarnings("ignore", message=f".*{AGAIN}")
        snapshot = Retriever.open(folder, model, device=device).snapshot
    some = first_of(asked, snapshot.index.corpus)
    found = calibration_of(snapshot.stage, some, described(queries), progress=progress)
    with Writer.of(folder) as writer:
        writer.note({FACT: found})
    return found


def calibration_of(
    cascade: Stage, queries: Queries, of: str = OF_DOCUMENTS, *, k: int = K, progress: Progress = silent
) -> dict[str, Any]:
    """Find the cap: the most candidates of the last step that keep the budget, in the stages' serving order.

    The spec's own depth is timed first, then none; what lies between is narrowed down, until the cap kept the budget
    itself and one twentieth more, or a micro-batch, did not. A depth that certainly breaks it is timed no further.

    Args:
        cascade: One that `has_budget`, over an index or an indexed corpus, its models loaded.
        queries: Q >= 1 queries, each asked once a depth.
        of: What they are, in words.
        k: Documents that a search is asked for.
        progress: Told of the depths timed.

    Returns:
        `cap` candidates, `keeps` (whether the stages before the last step leave it anything), what it was measured
        with, and `measured`, {depth, p50, p95, p99, calls, inputs} of each depth that was timed, in milliseconds.

    Raises:
        InputError: There is no budget, or no query.
    """
    if not isinstance(cascade, Cascade) or not cascade.steps or cascade.budget_ms is None:
        raise InputError(f"{cascade.label} has no budget: budget_ms is a key of a cascade with one step or more")
    if not len(queries):
        raise InputError(f"{cascade.label}: no query to time; expected some, such as the first words of documents")
    measured: dict[int, Latency] = {}

    def p95(depth: int) -> float:
        progress(len(measured), ROUNDS, f"depth {depth}")
        measured[depth] = latency_at(cascade, depth, queries, k)
        return measured[depth].p95

    step = cascade.steps[-1]
    cap = deepest_within(p95, step.depth, cascade.budget_ms, micro_batch(step.stage))
    progress(ROUNDS, ROUNDS, f"cap {cap}")
    return {
        "budget_ms": cascade.budget_ms,
        "cap": cap,
        "depth": step.depth,
        "keeps": measured[cap].p95 <= cascade.budget_ms,
        "percentile": PERCENTILE,
        "k": k,
        "micro_batch": micro_batch(step.stage),
        "queries": of,
        "documents": len(cascade.corpus),
        "fingerprint": cascade.fingerprint,
        "machine": machine(),
        "measured": [{"depth": depth, **latency.as_json()} for depth, latency in sorted(measured.items())],
    }


def latency_at(cascade: Cascade, depth: int, queries: Queries, k: int) -> Latency:
    """Latency of a cascade as it is served, its last step at this depth; fewer calls where the budget is broken."""
    depths = [*cascade.depths[:-1], depth]

    def search(query: Queries) -> None:
        with bypassed():
            cascade.trace(query, k, depths)

    singles = singles_of(queries, len(queries))
    limit = Limit(PERCENTILE, cascade.budget_ms or 0)
    return Latency.of(times(search, singles, calls=len(singles), warm_up=WARM_UP, limit=limit), len(singles))


def deepest_within(p95: Callable[[int], float], depth: int, budget: float, micro_batch: int = 1) -> int:
    """The deepest depth that keeps a budget, of those that were timed.

    >>> deepest_within(lambda depth: 5 + 2 * depth, 100, budget=30)
    12

    Args:
        p95: Milliseconds at a depth; deeper takes longer.
        depth: The deepest that is wanted, >= 0.
        budget: Milliseconds.
        micro_batch: Pairs that are scored together: the result may miss the deepest that keeps the budget by as many,
            and by a twentieth of itself.

    Returns:
        A depth that was timed and kept the budget; 0 where none does.
    """
    above = p95(depth)
    if above <= budget or not depth:
        return depth
    within, below = 0, p95(0)
    if below > budget:
        return 0
    for number in range(ROUNDS - 2):
        if depth - within <= max(1, min(micro_batch, within // 20)):
            break
        # Along the line between the two, which time that grows pair by pair follows; halves where it grows by leaps.
        share = (budget - below) / (above - below) if number % 2 == 0 and above > below else 0.5
        tried = min(max(within + int(share * (depth - within)), within + 1), depth - 1)
        found = p95(tried)
        if found <= budget:
            within, below = tried, found
        else:
            depth, above = tried, found
    return within


def micro_batch(stage: Stage) -> int:
    """Pairs that a stage scores together, as its spec says; 1 of one that does not say."""
    return max(1, int(getattr(stage, "batch_size", 1)))


def told(calibration: Mapping[str, Any]) -> str:
    """What calibration found, in a line."""
    budget, cap, depth = calibration["budget_ms"], calibration["cap"], calibration["depth"]
    at = {one["depth"]: one["p95"] for one in calibration["measured"]}
    if not calibration["keeps"]:
        return (
            f"Budget {budget:g} ms: gone before the last step, p95 {at[cap]:.0f} ms without it, so it scores nothing. "
            "Raise budget_ms or take a faster first stage."
        )
    what = f"all {depth:,} candidates are scored" if cap == depth else f"{cap:,} of {depth:,} candidates are scored"
    calls = next(one["calls"] for one in calibration["measured"] if one["depth"] == cap)
    return f"Budget {budget:g} ms: {what}, p95 {at[cap]:.0f} ms over {calls:,} queries, {calibration['queries']}."
